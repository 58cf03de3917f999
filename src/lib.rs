//! moonlane: a Discord bot that turns channels into Claude Code workplaces.
//!
//! # Layout
//! In reading order; arrows point down only, and `ARCHITECTURE.md` says what must stay true.
//!
//! - [`bot`]: the whole bot, put together; [`playground`]: the bot in a terminal
//! - [`gateway`]: what comes in from Discord → our own values
//! - [`command`]: slash commands at work
//! - [`turn`]: the story of one turn, from the message to the delivered answer
//! - [`view`]: what a turn shows while it works
//! - [`gate`]: who may do what, where
//! - [`lane`]: who runs, and who waits at which place
//! - [`reload`]: the scripts anew whenever they are saved
//! - [`script`]: the Lua side: is a message for the bot, and which project is it?
//! - [`agent`]: a `claude` process: arguments, environment, events, time limits, end
//! - [`store`]: SQLite: sessions, turns, deliveries
//! - [`respond`]: answers to commands and buttons, and dialogs
//! - [`outbox`]: every call to Discord's REST API, paced
//! - [`words`]: what the bot itself says in Discord
//! - [`text`]: Markdown → the parts that Discord shows
//! - [`config`], [`logging`], [`domain`]: settings, log lines, and the words as plain data
//! - [`panics`]: what must not end in silence
//! - `reach`: what a user of this machine can reach
//! - [`redact`]: secrets, taken out of what is posted and logged
//! - [`doctor`]: what is missing on this machine and in Discord
//! - [`mod@format`]: Markdown to parts, by hand; [`try_out`]: what the scripts decide, by hand;
//!   [`show_turn`]: what was decided in a turn
//! - [`mod@print`]: what the commands print
//! - [`host`]: who on this machine may look into the bot
//! - [`local`]: the local Discord; [`demo_agent`]: the scripted agent. Both stand apart.

#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

#[cfg(not(target_os = "linux"))]
compile_error!("moonlane runs on Linux only: it ends agents by way of pidfds, child subreapers and /proc");

pub mod agent;
pub mod bot;
pub mod command;
pub mod config;
#[allow(clippy::print_stdout, clippy::print_stderr)] // It speaks by what it prints.
pub mod demo_agent;
pub mod doctor;
pub mod domain;
pub mod files;
pub mod format;
pub mod gate;
pub mod gateway;
pub mod host;
pub mod lane;
pub mod local;
pub mod logging;
mod nearest;
pub mod outbox;
pub mod panics;
pub mod playground;
pub mod print;
mod reach;
pub mod redact;
pub mod reload;
pub mod respond;
pub mod script;
mod secret;
pub mod show_turn;
pub mod store;
pub mod text;
pub mod try_out;
pub mod turn;
pub mod view;
pub mod words;
mod worker;
