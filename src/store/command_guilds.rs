//! Which guilds have commands of their own: Discord keeps those of a guild that is no longer named.

use super::{Store, StoreError};
use crate::domain::GuildId;

impl Store {
    /// Records that these guilds are about to get commands, and returns those that have some and get none now.
    ///
    /// # Errors
    /// If the database fails; then nothing changes.
    pub async fn give_commands_to(&self, guilds: Vec<GuildId>) -> Result<Vec<GuildId>, StoreError> {
        self.step(move |tx| {
            let mut statement = tx.prepare_cached("SELECT guild FROM command_guilds ORDER BY guild")?;
            let known = statement.query_map((), |row| row.get(0))?.collect::<Result<Vec<GuildId>, _>>()?;
            let mut insert = tx.prepare_cached("INSERT OR IGNORE INTO command_guilds VALUES (?1)")?;
            for guild in &guilds {
                insert.execute([guild])?;
            }
            Ok(known.into_iter().filter(|guild| !guilds.contains(guild)).collect())
        })
        .await
    }

    /// Records that a guild has no commands of its own any more.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn took_commands_from(&self, guild: GuildId) -> Result<(), StoreError> {
        self.step(move |tx| {
            tx.prepare_cached("DELETE FROM command_guilds WHERE guild = ?1")?.execute([guild])?;
            Ok(())
        })
        .await
    }
}
