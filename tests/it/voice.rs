//! Voice messages as text, by a program of the operator's.

use std::path::Path;
use std::time::Duration;

use moonlane::domain::Outcome;
use moonlane::local::{File, Id, Say};
use moonlane::turn::Settled;

use crate::attachments::prompt_without_place;
use crate::crashes::{Program, until};
use crate::processes::lives;
use crate::support::{ANSWERED, Setup, Stage};

/// A bot that has such a shell script turn voice messages into text; `ROOT` in it is the bot's folder.
async fn stage(script: &str, time_limit: &str) -> Stage {
    let mut setup =
        Setup { triggers: "return function(message) return message.text end".to_owned(), ..Setup::default() };
    setup.discord.message_content = true;
    let stage = Stage::without_bot(setup).await;
    let script = script.replace("ROOT", stage.root().to_str().unwrap());
    let command = ["sh".to_owned(), "-c".to_owned(), script];
    stage.configure(&format!("[voice]\ncommand = {command:?}\ntime_limit = '{time_limit}'\n"));
    stage
}

async fn started(script: &str, time_limit: &str) -> Stage {
    let mut stage = stage(script, time_limit).await;
    stage.start().await;
    stage
}

/// The beginning of an Ogg file.
const RECORDING: &[u8] = b"OggS\0\x02";

/// The owner speaks in the channel.
fn speak(stage: &Stage) -> Id {
    let (channel, owner) = (stage.discord.channel("general"), stage.discord.owner());
    let bytes = RECORDING.into();
    let file =
        File { name: "voice-message.ogg".to_owned(), content_type: Some("audio/ogg".to_owned()), bytes };
    stage.discord.say(Say {
        voice: Some(Duration::from_secs(3)),
        files: vec![file],
        ..Say::new(channel, owner, "")
    })
}

/// The note below the answer.
fn note(stage: &Stage, message: Id) -> String {
    let answer = stage.answer(message);
    answer.lines().filter(|line| line.starts_with("-# ")).collect()
}

/// Whether the process whose id was written into this file is still there.
fn is_alive(file: &Path) -> bool {
    lives(std::fs::read_to_string(file).unwrap().trim())
}

/// A voice message that such a script has turned into text, or not, and its bot.
async fn heard(script: &str) -> (Stage, Id) {
    let mut stage = started(script, "1m").await;
    let question = speak(&stage);
    assert_eq!(stage.settled(question).await, ANSWERED, "{script}");
    (stage, question)
}

#[tokio::test]
async fn the_agent_reads_what_somebody_has_said() {
    let (stage, question) = heard("printf 'Why does `main` fail?\\n\\033'; head -c 4").await;
    insta::assert_snapshot!(prompt_without_place(&stage, question), @"
    [a voice message of 3 s, attached]

    Attached: FILES/voice-message.ogg (audio/ogg, 6 bytes), transcribed:
    ```
    Why does `main` fail?
    OggS
    ```
    ");
    assert_eq!(note(&stage, question), "");
}

#[tokio::test]
async fn a_recording_without_words_is_said_to_have_none() {
    let (stage, question) = heard("echo").await;
    insta::assert_snapshot!(prompt_without_place(&stage, question), @"
    [a voice message of 3 s, attached]

    Attached: FILES/voice-message.ogg (audio/ogg, 6 bytes), in which no words were recognized
    ");
    assert_eq!(note(&stage, question), "");
}

#[tokio::test]
async fn the_program_gets_no_more_of_the_environment_than_it_needs() {
    let (stage, question) = heard("env | cut -d= -f1 | sort").await;
    let told = prompt_without_place(&stage, question);
    let names = told.split("```").nth(1).unwrap().lines().filter(|line| !line.is_empty());
    let is_fine = |name: &&str| {
        let by_the_shell = ["PWD", "OLDPWD", "SHLVL", "_"].contains(name);
        let usual =
            ["PATH", "HOME", "USER", "SHELL", "LANG", "TZ", "TMPDIR", "CLAUDE_LANE_MARK"].contains(name);
        let by_its_end =
            name.starts_with("LC_") || name.starts_with("XDG_") || name.to_uppercase().ends_with("_PROXY");
        by_the_shell || usual || by_its_end || name.starts_with("SSL_CERT_") || *name == "NODE_EXTRA_CA_CERTS"
    };
    // Cargo gives the tests, and so this bot, variables of its own.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let surplus: Vec<_> = names.filter(|name| !is_fine(name)).collect();
    assert!(surplus.is_empty() && told.contains("PATH"), "{surplus:?}\n{told}");
}

#[tokio::test]
async fn where_the_program_fails_the_person_reads_so_and_the_agent_gets_the_recording() {
    let fails =
        ["echo broken >&2; exit 3", "printf '\\377\\376'", "yes", "kill -9 $$", "exec /no/such/program"];
    for script in fails {
        let (stage, question) = heard(script).await;
        let expected = "-# Not read: `voice-message.ogg` (turning it into text failed)";
        assert_eq!(note(&stage, question), expected, "{script}");
        let told = prompt_without_place(&stage, question);
        assert!(told.ends_with("Attached: FILES/voice-message.ogg (audio/ogg, 6 bytes)"), "{script}: {told}");
    }
}

/// It waits, and has something of its own that would outlive it.
const HANGS: &str = "setsid sleep 1000 & echo $! > ROOT/pid.new; mv ROOT/pid.new ROOT/pid; wait";

#[tokio::test]
async fn a_program_that_hangs_ends_with_all_that_it_started() {
    let mut stage = started(HANGS, "300ms").await;
    let question = speak(&stage);
    assert_eq!(stage.settled(question).await, ANSWERED);
    assert_eq!(note(&stage, question), "-# Not read: `voice-message.ogg` (turning it into text failed)");
    // On a busy machine it may not have come to start that.
    let pid = stage.root().join("pid");
    assert!(!pid.exists() || !is_alive(&pid));
}

#[tokio::test]
async fn nothing_is_left_by_a_program_that_kills_its_guard() {
    let leaves = "setsid sleep 1000 > /dev/null 2>&1 & echo $! > ROOT/pid; kill -9 $PPID";
    let (stage, question) = heard(leaves).await;
    assert_eq!(note(&stage, question), "-# Not read: `voice-message.ogg` (turning it into text failed)");
    assert!(!is_alive(&stage.root().join("pid")));
}

#[tokio::test]
async fn a_turn_can_be_stopped_while_its_voice_message_is_heard() {
    let mut stage = started(HANGS, "1h").await;
    let question = speak(&stage);
    let pid = stage.root().join("pid");
    until("the program", || pid.exists().then_some(())).await;
    assert!(is_alive(&pid));
    stage.discord.delete(question);
    assert_eq!(stage.settled(question).await, Settled::Ended(Outcome::Cancelled));
    until("its end", || (!is_alive(&pid)).then_some(())).await;
}

#[tokio::test]
async fn nothing_of_the_program_outlives_a_bot_that_is_killed() {
    let stage = stage(HANGS, "1h").await;
    let bot = Program::start(&stage).await;
    speak(&stage);
    let pid = stage.root().join("pid");
    until("the program", || pid.exists().then_some(())).await;
    bot.kill().await;
    until("its end", || (!is_alive(&pid)).then_some(())).await;
}
