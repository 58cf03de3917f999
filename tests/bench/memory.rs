//! Whether the bot's memory stays flat: `cargo bench --bench memory`.
//!
//! A separate `moonlane run` with demo agents answers 10,000 turns in 20 channels; prints its resident memory on the
//! way.
#![allow(clippy::unwrap_used, reason = "a bench says by panicking that something is wrong")]

mod stage;

use std::time::Instant;

use moonlane::local::{Id, LocalDiscord, Say};
use stage::Bot;

const CHANNELS: usize = 20;
const TURNS: usize = 10_000;

#[tokio::main]
async fn main() {
    let folder = stage::set_up();
    let discord = stage::local_discord().await;
    let bot = Bot::start(folder.path(), &discord).await;
    let channels: Vec<Id> = (0..CHANNELS).map(|n| discord.channel(&format!("channel-{n}"))).collect();
    let began = Instant::now();
    let mut posted = 0;
    for round in 1..=TURNS / CHANNELS {
        for &channel in &channels {
            discord.say(Say::to_bot(channel, discord.owner(), format!("LONG:{}", 100 + round % 900)));
        }
        posted += CHANNELS;
        answered(&discord, posted).await;
        if [100, 1_000, 2_000, 5_000, 10_000].contains(&posted) {
            let seconds = began.elapsed().as_secs();
            println!(
                "VmRSS after {posted:>6} turns: {:.1} MB ({seconds} s)",
                bot.resident_kib() as f64 / 1024.0
            );
        }
    }
}

/// Waits until so many answers have been posted in all.
async fn answered(discord: &LocalDiscord, count: usize) {
    let posts = || {
        let is_post =
            |call: &&moonlane::local::Call| call.method == "POST" && call.path.ends_with("/messages");
        discord.calls().iter().filter(is_post).filter(|call| call.status == Some(200)).count()
    };
    while posts() < count {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
