//! What is kept, and what goes, without Discord.

use std::fs;
use std::time::Duration;

use bytesize::ByteSize;

use super::*;

fn files(folder: &Path, max_total: u64) -> Files {
    let config = FilesConfig {
        max_file: ByteSize(100),
        max_message: ByteSize(150),
        max_total: ByteSize(max_total),
        dir: folder.join("files"),
        ..FilesConfig::default()
    };
    Files::new(config)
}

fn channel() -> ChannelId {
    ChannelId::new(1).unwrap()
}

fn message(id: u64) -> MessageId {
    MessageId::new(id).unwrap()
}

/// A file of a message, as old as that.
fn put(files: &Files, id: u64, bytes: usize, age: Duration) -> PathBuf {
    let folder = files.make_folder(channel(), message(id), bytes as u64).unwrap();
    fs::write(folder.join("a"), vec![b'x'; bytes]).unwrap();
    let then = SystemTime::now() - age;
    fs::File::open(&folder).unwrap().set_modified(then).unwrap();
    folder
}

fn attachment(size: u64) -> Attachment {
    Attachment { name: "a".to_owned(), size, content_type: None, url: String::new(), voice: false }
}

#[test]
fn only_so_much_is_fetched_of_each_file_and_of_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = [101, 90, 61, 60, 1].map(attachment);
    let too_much = Err(UnreadReason::TooMuch { bytes: 150 });
    assert_eq!(
        files(folder.path(), 1000).admit(&sizes),
        [Err(UnreadReason::TooLarge { bytes: 100 }), Ok(()), too_much, Ok(()), too_much]
    );
    let huge = [attachment(100), attachment(u64::MAX)];
    assert!(files(folder.path(), 1000).admit(&huge)[1].is_err());
}

#[test]
fn old_files_go_and_the_oldest_make_room_for_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), 250);
    let day = Duration::from_secs(24 * 60 * 60);
    let (old, newer, new) =
        (put(&files, 1, 100, day * 8), put(&files, 2, 100, day * 2), put(&files, 3, 50, day));
    files.sweep();
    assert!(!old.exists() && newer.exists() && new.exists());
    files.make_folder(channel(), message(4), 90).unwrap();
    assert!(newer.exists(), "there was room");
    files.make_folder(channel(), message(5), 150).unwrap();
    assert!(!newer.exists() && new.exists());
    assert!(files.make_folder(channel(), message(6), 251).is_err(), "more than all");
    assert!(new.exists());
}

#[test]
fn a_file_that_does_not_have_the_size_that_it_says_is_not_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    // Such files say that they have a page, and have less.
    let place = PathBuf::from("/sys/devices/system/cpu");
    let hand_over = HandOver {
        paths: vec!["online".to_owned()],
        dir: place.clone(),
        within: vec![place],
        denied: Vec::new(),
        most: 1 << 20,
        into: folder.path().join("out"),
    };
    let (path, why) = hand_over.copy(&crate::redact::Redactor::off()).unwrap_err();
    assert!(path == "online" && matches!(why, NotHandedOver::Changes), "{why}");
    assert!(!folder.path().join("out").exists());
}

#[test]
fn nobody_else_may_look_into_it_and_links_are_not_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), 1000);
    let kept = files.make_folder(channel(), message(1), 0).unwrap();
    for folder in [&kept, kept.parent().unwrap(), &folder.path().join("files")] {
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
    // Where a link stands in the place of a message's folder, what it leads to stays.
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("precious"), "x").unwrap();
    symlink(&elsewhere, kept.parent().unwrap().join("2")).unwrap();
    files.sweep();
    files.shrink_to(0).unwrap();
    assert!(files.make_folder(channel(), message(2), 0).unwrap().is_dir());
    assert!(elsewhere.join("precious").exists());
}
