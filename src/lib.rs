//! moonlane: a Discord bot that turns channels into Claude Code workplaces.

pub mod agent;
pub mod config;
pub mod demo_agent;
pub mod domain;
pub mod gateway;
pub mod lane;
pub mod local;
mod nearest;
pub mod outbox;
pub mod script;
pub mod store;
pub mod text;
pub mod turn;
mod worker;
