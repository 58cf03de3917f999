//! Tests over real processes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
