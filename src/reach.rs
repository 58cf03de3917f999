//! What a user of this machine can reach, by the permission bits of owner, group and others.
//!
//! The kernel answers that only for whoever asks, so the bits are read here. Access control lists are not looked at, and
//! neither is what a user gets by other ways, such as `sudo` or the group of a container runtime.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::domain::Ids;

/// The most links that are followed, as in the kernel.
const MAX_LINKS: usize = 40;
/// In a folder with this bit only an entry's owner, or the folder's, may replace it.
const STICKY: u32 = 0o1000;

/// One of the permission bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// `r`
    Read,
    /// `w`
    Write,
    /// `x`: for a folder, to pass through it.
    Enter,
}

/// A bit that decides, and who has to have it or must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bit {
    /// The file or folder.
    pub place: PathBuf,
    class: Class,
    right: Right,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Owner,
    Group,
    Others,
}

impl Bit {
    /// What takes the right away.
    pub fn taken(&self) -> impl fmt::Display {
        let place = self.place.display();
        match self.class {
            // An owner would give it back to itself.
            Class::Owner => format!("give {place} another owner"),
            class => format!("`chmod {}-{} {place}`", class.letter(), self.right.letter()),
        }
    }

    /// What gives the right.
    pub fn given(&self) -> impl fmt::Display {
        format!("`chmod {}+{} {}`", self.class.letter(), self.right.letter(), self.place.display())
    }
}

impl Class {
    fn letter(self) -> char {
        match self {
            Self::Owner => 'u',
            Self::Group => 'g',
            Self::Others => 'o',
        }
    }
}

impl Right {
    fn letter(self) -> char {
        match self {
            Self::Read => 'r',
            Self::Write => 'w',
            Self::Enter => 'x',
        }
    }

    fn bit(self) -> u32 {
        match self {
            Self::Read => 4,
            Self::Write => 2,
            Self::Enter => 1,
        }
    }
}

/// What this user can reach. It is not root.
#[derive(Debug, Clone, Copy)]
pub struct Reach<'a>(pub &'a Ids);

impl Reach<'_> {
    /// The bit that lets the user read this file; `None` where none does, or there is no such file.
    pub fn reads(self, file: &Path) -> Option<Bit> {
        let real = way(file).pop()?;
        let found = fs::symlink_metadata(&real).ok()?;
        self.can_get(&real, &found, Right::Read).filter(|_| self.gets_to(&real))
    }

    /// The bit that lets the user change what is found at this path: the file itself, or a folder on the way, in which
    /// something else could be put in its place.
    pub fn changes(self, path: &Path) -> Option<Bit> {
        let way = way(path);
        let replaced = way.iter().find_map(|step| self.replaces(step));
        let real = way.last()?;
        let written = || {
            let found = fs::symlink_metadata(real).ok()?;
            self.can_get(real, &found, Right::Write).filter(|_| self.gets_to(real))
        };
        replaced.or_else(written)
    }

    /// Whether the user may look at this path itself: whether it is there, and what it is.
    pub fn sees(self, path: &Path) -> bool {
        way(path)
            .iter()
            .flat_map(|step| folders_above(step))
            .all(|(_, it)| has(&it, self.class(&it), Right::Enter))
    }

    fn gets_to(self, real: &Path) -> bool {
        folders_above(real).all(|(folder, it)| self.can_get(folder, &it, Right::Enter).is_some())
    }

    /// The bit that the user lacks to use this path so: of a folder on the way, or of what is there. `None` also where
    /// there is nothing, or where this process may not look.
    pub fn lacks(self, path: &Path, right: Right) -> Option<Bit> {
        let way = way(path);
        let above = way.iter().flat_map(|step| folders_above(step));
        let shut = |place: &Path, found: &Metadata, right: Right| {
            let class = self.class(found);
            let bit = Bit { place: place.to_owned(), class, right };
            (!has(found, class, right)).then_some(bit)
        };
        let folder = { above }.find_map(|(folder, found)| shut(folder, &found, Right::Enter));
        folder.or_else(|| {
            let real = way.last()?;
            shut(real, &fs::symlink_metadata(real).ok()?, right)
        })
    }

    /// The bit of a folder above by which the user can put something else at this place, which is no link but in its
    /// last part.
    fn replaces(self, place: &Path) -> Option<Bit> {
        for (folder, found) in folders_above(place) {
            self.can_get(folder, &found, Right::Enter)?;
            let Some(bit) = self.can_get(folder, &found, Right::Write) else { continue };
            let is_sticky = found.mode() & STICKY != 0 && found.uid() != self.0.user;
            let entry = folder.join(place.strip_prefix(folder).ok()?.components().next()?);
            match fs::symlink_metadata(&entry) {
                Ok(it) if is_sticky && it.uid() == self.0.user => {
                    return self.can_get(&entry, &it, Right::Write);
                }
                Ok(_) if is_sticky => {}
                _ => return Some(bit),
            }
        }
        None
    }

    /// The bit by which the user has this right, or can give it to itself.
    fn can_get(self, place: &Path, found: &Metadata, right: Right) -> Option<Bit> {
        let class = self.class(found);
        let bit = Bit { place: place.to_owned(), class, right };
        (class == Class::Owner || has(found, class, right)).then_some(bit)
    }

    fn class(self, found: &Metadata) -> Class {
        let Ids { user, group, groups } = self.0;
        match () {
            () if found.uid() == *user => Class::Owner,
            () if found.gid() == *group || groups.contains(&found.gid()) => Class::Group,
            () => Class::Others,
        }
    }
}

fn has(found: &Metadata, class: Class, right: Right) -> bool {
    let shift = match class {
        Class::Owner => 6,
        Class::Group => 3,
        Class::Others => 0,
    };
    (found.mode() >> shift) & right.bit() != 0
}

/// The folders above a place, the root first, as far as they can be looked at.
fn folders_above(place: &Path) -> impl Iterator<Item = (&Path, Metadata)> {
    let mut above: Vec<&Path> = place.ancestors().skip(1).collect();
    above.reverse();
    above.into_iter().map_while(|folder| Some((folder, fs::symlink_metadata(folder).ok()?)))
}

/// Everything on the way to `path` that decides where it leads: each link, and at last the place itself. It need not
/// be there.
pub fn way(path: &Path) -> Vec<PathBuf> {
    let mut steps = Vec::new();
    let mut real = PathBuf::from("/");
    let mut left: VecDeque<OsString> = names(path).collect();
    while let Some(name) = left.pop_front() {
        if name == ".." {
            real.pop();
            continue;
        }
        let next = real.join(name);
        match next.read_link() {
            Ok(target) if steps.len() < MAX_LINKS => {
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                let rest = std::mem::take(&mut left);
                left = names(&target).chain(rest).collect();
                steps.push(next);
            }
            _ => real = next,
        }
    }
    steps.push(real);
    steps
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    let named = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(named).map(|part| part.as_os_str().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::TempDir;

    use super::*;

    /// Of nobody here, and in no group here.
    const STRANGER: Ids = Ids { user: 4_000_001, group: 4_000_001, groups: Vec::new() };

    /// `a/b/file`, with everything open to everybody but for writing.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/file"), "x").unwrap();
        for (place, mode) in [("", 0o755), ("a", 0o755), ("a/b", 0o755), ("a/b/file", 0o644)] {
            set(&folder, place, mode);
        }
        folder
    }

    fn set(folder: &TempDir, place: &str, mode: u32) {
        fs::set_permissions(folder.path().join(place), Permissions::from_mode(mode)).unwrap();
    }

    /// The bit as `PLACE CLASS RIGHT`.
    fn in_words(folder: &TempDir, bit: Option<Bit>) -> String {
        let Some(bit) = bit else { return "no".to_owned() };
        let place = bit.place.strip_prefix(folder.path()).unwrap();
        format!("{}:{}{}", place.display(), bit.class.letter(), bit.right.letter())
    }

    fn all(folder: &TempDir, ids: &Ids, place: &str) -> [String; 3] {
        let path = folder.path().join(place);
        let reach = Reach(ids);
        [reach.reads(&path), reach.changes(&path), reach.lacks(&path, Right::Read)]
            .map(|bit| in_words(folder, bit))
    }

    #[test]
    fn every_bit_on_the_way_counts() {
        let folder = folder();
        let of = |ids: &Ids| all(&folder, ids, "a/b/file");
        assert_eq!(of(&STRANGER), ["a/b/file:or", "no", "no"]);
        set(&folder, "a/b/file", 0o640);
        assert_eq!(of(&STRANGER), ["no", "no", "a/b/file:or"]);
        set(&folder, "a/b/file", 0o646);
        assert_eq!(of(&STRANGER), ["a/b/file:or", "a/b/file:ow", "no"]);
        // Nobody gets there any more, whatever is open behind it.
        set(&folder, "a", 0o776);
        set(&folder, "a/b", 0o777);
        assert_eq!(of(&STRANGER), ["no", "no", "a:ox"]);
        // Another file can be put there, and also another folder.
        set(&folder, "a", 0o755);
        assert_eq!(of(&STRANGER)[1], "a/b:ow");
        set(&folder, "a", 0o757);
        assert_eq!(of(&STRANGER)[1], "a:ow");
    }

    #[test]
    fn the_group_counts_before_the_others_and_the_owner_before_both() {
        let folder = folder();
        let file = fs::metadata(folder.path().join("a/b/file")).unwrap();
        let member = Ids { groups: vec![file.gid()], ..STRANGER };
        let own = Ids { group: file.gid(), ..STRANGER };
        set(&folder, "a/b/file", 0o604);
        for ids in [&member, &own] {
            assert_eq!(all(&folder, ids, "a/b/file"), ["no", "no", "a/b/file:gr"]);
        }
        set(&folder, "a/b/file", 0o620);
        assert_eq!(all(&folder, &member, "a/b/file"), ["no", "a/b/file:gw", "a/b/file:gr"]);
        // An owner without a right can take it.
        let owner = Ids { user: file.uid(), ..STRANGER };
        set(&folder, "a/b/file", 0o066);
        let path = folder.path().join("a/b/file");
        assert_eq!(in_words(&folder, Reach(&owner).reads(&path)), "a/b/file:ur");
        assert_eq!(in_words(&folder, Reach(&owner).lacks(&path, Right::Read)), "a/b/file:ur");
    }

    #[test]
    fn in_a_sticky_folder_what_is_another_users_stays() {
        let folder = folder();
        set(&folder, "a/b", 0o1777);
        assert_eq!(all(&folder, &STRANGER, "a/b/file")[1], "no");
        assert_eq!(all(&folder, &STRANGER, "a/b/new")[1], "a/b:ow", "whoever comes first makes it");
        set(&folder, "a/b", 0o777);
        assert_eq!(all(&folder, &STRANGER, "a/b/file")[1], "a/b:ow");
    }

    #[test]
    fn in_a_sticky_folder_what_is_the_users_own_is_what_has_to_go() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!("skipped: only root can give a file away");
        }
        let folder = folder();
        set(&folder, "a/b", 0o1777);
        std::os::unix::fs::chown(folder.path().join("a/b/file"), Some(STRANGER.user), None).unwrap();
        assert_eq!(all(&folder, &STRANGER, "a/b/file")[1], "a/b/file:uw");
        // And no folder above it.
        assert_eq!(all(&folder, &STRANGER, "a/b/file/deeper")[1], "a/b/file:uw");
    }

    #[test]
    fn whoever_can_turn_a_link_changes_what_is_behind_it() {
        let folder = folder();
        fs::create_dir(folder.path().join("links")).unwrap();
        symlink("../a/b", folder.path().join("links/to")).unwrap();
        set(&folder, "links", 0o755);
        assert_eq!(all(&folder, &STRANGER, "links/to/file"), ["a/b/file:or", "no", "no"]);
        set(&folder, "links", 0o757);
        assert_eq!(all(&folder, &STRANGER, "links/to/file")[1], "links:ow");
        // The file can be read on another way.
        set(&folder, "links", 0o700);
        assert_eq!(all(&folder, &STRANGER, "links/to/file"), ["a/b/file:or", "no", "links:ox"]);
    }

    #[test]
    fn it_is_said_what_to_do() {
        let folder = folder();
        let path = folder.path().join("a/b/file");
        let bit = Reach(&STRANGER).reads(&path).unwrap();
        assert_eq!(bit.taken().to_string(), format!("`chmod o-r {}`", path.display()));
        let owner = Ids { user: fs::metadata(&path).unwrap().uid(), ..STRANGER };
        let bit = Reach(&owner).changes(&folder.path().join("a/b")).unwrap();
        assert!(bit.taken().to_string().ends_with("another owner"), "{}", bit.taken());
        set(&folder, "a", 0o750);
        let bit = Reach(&STRANGER).lacks(&path, Right::Read).unwrap();
        assert_eq!(bit.given().to_string(), format!("`chmod o+x {}`", folder.path().join("a").display()));
    }
}
