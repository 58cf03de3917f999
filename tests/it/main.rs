//! Whole-bot tests: conversations over a local Discord; and the agent over real processes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod agent;
mod answers;
mod attachments;
mod bad_input;
mod choices;
mod commands;
mod conversations;
mod crash_test;
mod crashes;
mod deliveries;
mod doctor;
mod evidence;
mod fault_table;
mod format;
mod full_disk;
mod gateway_faults;
mod guard;
mod hooks;
mod lanes;
mod layers;
mod leftovers;
mod load;
mod long_answers;
mod messages_api;
mod process_tests;
mod processes;
mod real_advice;
mod real_claude;
mod real_failures;
mod record;
mod reload;
mod runaway;
mod scripts;
mod secrets;
mod separate;
mod sessions;
mod shares;
mod soak;
mod support;
mod traffic;
mod troubles;
mod try_out;
mod verdict;
