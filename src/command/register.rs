//! Keeps Discord's commands those of the live script set.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{debug, error, warn};

use super::Commands;
use crate::domain::Command;
use crate::outbox::{Refused, Registration, Scope};

/// The wait after the first failure; it doubles with each further one.
const RETRY: Duration = Duration::from_secs(60);
const LONGEST_RETRY: Duration = Duration::from_secs(60 * 60);

impl Commands {
    /// Registers the commands of the live set, and again whenever a reload changes them, for as long as there is a
    /// reloader. `tried` hears of the end of the first time, however it ended.
    pub async fn keep_registered(self, tried: oneshot::Sender<()>) {
        let mut tried = Some(tried);
        let mut scripts = self.turns.scripts.clone();
        let mut registered = None;
        let mut retry = RETRY;
        loop {
            let commands: Vec<Command> =
                scripts.borrow_and_update().commands().iter().map(|command| (**command).clone()).collect();
            if registered.as_ref() != Some(&commands) {
                registered = self.register(&commands).await.then_some(commands);
                if let Some(tried) = tried.take() {
                    // Whoever waited for it may have given up.
                    let _ = tried.send(());
                }
            }
            let changed = if registered.is_some() {
                retry = RETRY;
                scripts.changed().await
            } else {
                let changed = timeout(retry, scripts.changed()).await;
                retry = (retry * 2).min(LONGEST_RETRY);
                changed.unwrap_or(Ok(()))
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Registers these commands where Discord knows others. What it refuses is logged. Whether there is nothing to try
    /// again.
    async fn register(&self, commands: &[Command]) -> bool {
        let (guilds, store) = (&self.guilds, &self.turns.store);
        let left = store.give_commands_to(guilds.clone()).await.unwrap_or_else(|failure| {
            warn!(?failure, "cannot look up guilds that no longer get commands; they may keep old ones");
            Vec::new()
        });
        let mut all_final = true;
        for (scope, registered) in self.discord.register_all(guilds, &left, commands).await {
            match &registered {
                Ok(Registration::Unchanged) => debug!(?scope, "the commands are up to date"),
                Ok(Registration::Replaced) => {}
                Err(refused) => error!(?scope, %refused, "cannot register the commands"),
            }
            // A guild that the bot has left needs no second try.
            let is_final = !matches!(registered, Err(Refused::GaveUp { .. } | Refused::Token));
            all_final &= is_final;
            if let Scope::Guild(guild) = scope
                && left.contains(&guild)
                && is_final
                && let Err(failure) = store.took_commands_from(guild).await
            {
                warn!(?failure, %guild, "its commands are removed at the next start");
            }
        }
        all_final
    }
}
