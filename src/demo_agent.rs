//! The demo agent: speaks the same stream-json as `claude`, and does what its prompt says.
//!
//! It is a real child process, so it serves the playground and the tests: it can stall, crash, ignore signals and
//! leave processes behind. It uses no other module of this crate, and costs nothing.
//!
//! The prompt is a script: one directive per line, or several separated by ` ;; `, done in order. A prompt without
//! one is answered with a friendly word.
//!
//! ```text
//! TEXT:words       say these words             LONG:n        say n characters
//! SLEEP:s          wait                        DRIP:ms       pause between the pieces of text to come
//! UNTIL:file       wait until this file is there
//! TOOL:Name:arg    use a tool (`TOOL:Bash:sleep 5` takes 5 s; `until FILE` waits for a file)
//! RUN:s:command    run a command, which takes s seconds
//! ASK:Name:arg     ask for permission, then say what was decided
//! FORM:server      ask people as an MCP server of this name does, then say what they answered; `FORM:server:{json}` asks this
//! ERR:status       fail as the API does        STALL         report nothing more
//! RETRY:n:ms       the API is overloaded n times, ms apart
//! FALLBACK:model   switch to another model     CLEAR         continue in another session
//! COMPACT:a:b[:ms] compact the context from a tokens to b
//! USAGE:i,o,r,w    from here on a request reports these tokens: input, output, cache read and written
//! USAGE:none       report neither tokens nor cost   COST:d   the turn costs d dollars
//! CRASH[:code]     exit without a result       DEAF          ignore interrupts and SIGTERM from now on
//! NOIDLE           never become idle, never exit when stdin ends
//! LIMIT:s          fail because a usage limit is reached that resets in s seconds; LIMIT alone does not say when
//! WARN:n           report that n percent of a usage limit is used
//! UNREAD           stop reading, and never exit
//! BACK             wait until a message is asked for, and give it back only after the result
//! IDLE             start no further turn, but answer control requests
//! FORK             leave a process in the group that holds stdout and stderr
//! SETSID           leave a process in a session of its own
//! GARBAGE          print lines that are no events
//! BIG:n            print one line of n bytes   STDERR:n      write n bytes to stderr
//! FLOOD:n      print n bytes of events     UNENDED:n     print n bytes without a newline
//! GHOST, GHOST:later   a turn that nobody asked for, now or after this one
//! READ:file        say what is in this file, byte for byte
//! SAY              say what was said before in this session
//! ECHO             say the exact prompt, as a JSON string
//! ENV:NAME         say a variable              CWD, ARGS     say the directory, the arguments
//! MODE             say model and mode          MODE:mode     change the mode, as EnterPlanMode does
//! ```
//!
//! The prompts `permission`, `plan`, `question`, `questions` and `form` ask something; `work` and `compact` stand for scripts that
//! show what a channel sees of a turn at work. `work 20` runs twenty times as fast.
//!
//! A message that comes while a turn runs is taken in when a tool ends, and done like the prompt; where no tool ends any more,
//! it is a turn of its own after the result.
//!
//! `DEMO_AGENT_LOG` names a file that gets one JSON line for each start, prompt (again when it is taken in or taken back),
//! interrupt, result and exit, with the time in nanoseconds: tests use it to prove order and overlap. `DEMO_AGENT_LANE` names a file that an agent locks while it is at
//! work; a prompt that comes while it, or another agent, has the lock is logged as an `overlap` as well.

mod friendly;
mod limit;
mod mischief;
mod script;
mod session;
mod shows;
mod usage;
mod wire;

use std::process::ExitCode;

use wire::Wire;

/// Runs the demo agent with the arguments of `claude`; those that mean nothing to it are ignored.
pub fn main(args: Vec<String>) -> ExitCode {
    let mut words = args.iter();
    if words.next().is_some_and(|word| word == "--linger") {
        return linger(words.next().is_some_and(|word| word == "setsid"));
    }
    let (mut new, mut resumed) = (None, None);
    let (mut model, mut mode) = ("demo".to_owned(), "default".to_owned());
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let value = |words: &mut std::slice::Iter<String>| value.or_else(|| words.next().cloned());
        match flag {
            "--session-id" => new = value(&mut words),
            "--resume" => resumed = value(&mut words),
            "--model" => model = value(&mut words).unwrap_or(model),
            "--permission-mode" => mode = value(&mut words).unwrap_or(mode),
            _ => {}
        }
    }
    let session = match session::DemoSession::open(new, resumed) {
        Ok(session) => session,
        Err(trouble) => return trouble.report(),
    };
    let mut wire = Wire::new(session.id().to_owned(), model, mode);
    wire.log("start", None);
    let code = script::serve(&mut wire, session, &args);
    wire.log("exit", None);
    code
}

/// What FORK and SETSID leave behind: a process that holds what it inherited.
fn linger(own_session: bool) -> ExitCode {
    if own_session {
        // It fails only for a group leader, which this is not.
        rustix::process::setsid().ok();
    }
    std::thread::sleep(std::time::Duration::from_secs(600));
    ExitCode::SUCCESS
}
