//! Places: the channels and threads that the bot knows, and how far each has been read.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Transaction, params};

use super::choices::{ChannelChoice, choice_there};
use super::threads::parent;
use super::{Millis, Store, StoreError};
use crate::domain::{ChannelId, GuildId, MessageId, NamedChannel, UserId};

/// A channel or a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenChannel {
    pub channel: ChannelId,
    pub guild: GuildId,
    /// Its name without `#`; empty if unknown.
    pub name: String,
    /// For a thread, the channel that it belongs to.
    pub parent: Option<ChannelId>,
    /// For a thread, who has opened it, if that is known.
    pub owner: Option<UserId>,
    /// For a thread, whether it is archived.
    pub archived: bool,
    /// It has been read up to here. There need not be a message with this id.
    pub seen: MessageId,
}

/// A channel, and what it has chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRow {
    /// The channel, as far as it is known.
    pub channel: NamedChannel,
    /// What it has chosen; of a thread, what its channel has, where it has chosen nothing itself.
    pub choice: ChannelChoice,
}

pub(super) fn row(tx: &Transaction<'_>, channel: ChannelId) -> rusqlite::Result<ChannelRow> {
    let mut statement = tx.prepare_cached("SELECT name FROM places WHERE channel = ?1")?;
    let name = statement.query_row([channel], |row| row.get(0)).optional()?.unwrap_or_default();
    let channel = NamedChannel { id: channel, name, parent_id: parent(tx, channel)? };
    Ok(ChannelRow { choice: choice_there(tx, channel.id)?, channel })
}

impl Store {
    /// Every place that is not gone.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn places(&self) -> Result<Vec<SeenChannel>, StoreError> {
        self.step(|tx| {
            let sql =
                "SELECT channel, guild, name, parent, archived, seen, owner FROM places WHERE gone IS NULL";
            let mut statement = tx.prepare_cached(sql)?;
            let found = statement.query_map((), |row| {
                Ok(SeenChannel {
                    channel: row.get(0)?,
                    guild: row.get(1)?,
                    name: row.get(2)?,
                    parent: row.get(3)?,
                    archived: row.get(4)?,
                    seen: row.get(5)?,
                    owner: row.get(6)?,
                })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Records that these places exist. How far a place has been read stays as it is, unless the place was gone.
    ///
    /// # Errors
    /// If the database fails: nothing is written then.
    pub async fn learn_places(&self, places: Vec<SeenChannel>) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql =
                "INSERT INTO places (channel, guild, name, parent, archived, seen, owner) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                       ON CONFLICT DO UPDATE SET guild = ?2, name = ?3, parent = ?4, archived = ?5, gone = NULL,
                           seen = iif(gone IS NULL, seen, ?6), owner = ?7";
            let mut statement = tx.prepare_cached(sql)?;
            for SeenChannel { channel, guild, name, parent, archived, seen, owner } in places {
                statement.execute(params![channel, guild, name, parent, archived, seen, owner])?;
            }
            Ok(())
        })
        .await
    }

    /// The channel and its choices, as far as they are known.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn channel(&self, channel: ChannelId) -> Result<ChannelRow, StoreError> {
        self.step(move |tx| Ok(row(tx, channel)?)).await
    }

    /// Records how far places have been read; this never goes back.
    ///
    /// # Errors
    /// If the database fails: nothing is written then.
    pub async fn advance_places(&self, seen: Vec<(ChannelId, MessageId)>) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE places SET seen = ?2 WHERE channel = ?1 AND seen < ?2";
            let mut statement = tx.prepare_cached(sql)?;
            for (channel, seen) in seen {
                statement.execute(params![channel, seen])?;
            }
            Ok(())
        })
        .await
    }

    /// Records that these places are gone. Their choices and sessions are kept for as long as messages are.
    ///
    /// # Errors
    /// If the database fails: nothing is written then.
    pub async fn lose_places(&self, channels: Vec<ChannelId>) -> Result<(), StoreError> {
        self.step(move |tx| {
            let sql = "UPDATE places SET gone = ?2 WHERE channel = ?1 AND gone IS NULL";
            let mut statement = tx.prepare_cached(sql)?;
            for channel in channels {
                statement.execute(params![channel, Millis::now()])?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets those of these places for which nothing is kept: no session, no choice and no message. Returns them.
    ///
    /// # Errors
    /// If the database fails: nothing is forgotten then.
    pub async fn forget_places(&self, mut channels: Vec<ChannelId>) -> Result<Vec<ChannelId>, StoreError> {
        self.step(move |tx| {
            let sql = "SELECT channel FROM sessions UNION SELECT channel FROM choices UNION SELECT channel FROM messages";
            let mut statement = tx.prepare_cached(sql)?;
            let kept = statement.query_map((), |row| row.get(0))?.collect::<Result<HashSet<ChannelId>, _>>()?;
            channels.retain(|channel| !kept.contains(channel));
            let mut statement = tx.prepare_cached("DELETE FROM places WHERE channel = ?1")?;
            for channel in &channels {
                statement.execute([channel])?;
            }
            Ok(channels)
        })
        .await
    }

    /// Whether the message is in the store.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn knows(&self, message: MessageId) -> Result<bool, StoreError> {
        self.step(move |tx| {
            Ok(tx.prepare_cached("SELECT 1 FROM messages WHERE id = ?1")?.exists([message])?)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{ChannelChoice, NewChoice};
    use super::*;
    use crate::domain::{ProjectName, SessionId};

    const DAY: i64 = 24 * 60 * 60 * 1000;

    #[tokio::test]
    async fn what_belongs_to_a_place_that_is_gone_is_kept_for_30_days() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("moonlane.db")).unwrap();
        let [there, gone, back] = [1, 2, 3].map(|id| ChannelId::new(id).unwrap());
        let project = ProjectName("here".to_owned());
        let place = |channel| SeenChannel {
            channel,
            guild: GuildId::new(9).unwrap(),
            name: "general".to_owned(),
            parent: None,
            owner: None,
            archived: false,
            seen: MessageId::new(1).unwrap(),
        };
        for channel in [there, gone, back] {
            store.learn_places(vec![place(channel)]).await.unwrap();
            store.set_choice(channel, NewChoice::Model(Some("opus".to_owned()))).await.unwrap();
            store.put_session(channel, &project, SessionId::random(), PathBuf::from("/")).await.unwrap();
        }
        let kept = async || {
            let mut kept = Vec::new();
            for channel in [there, gone, back] {
                let chosen = store.channel(channel).await.unwrap().choice != ChannelChoice::default();
                let session = store.session(channel, &project).await.unwrap().is_some();
                assert_eq!(chosen, session);
                kept.extend(chosen.then_some(channel));
            }
            kept
        };
        let now = Millis::now();
        store.lose_places(vec![gone, back]).await.unwrap();
        store.forget_old_at(Millis(now.0 + 30 * DAY - 1)).await.unwrap();
        assert_eq!(kept().await, [there, gone, back]);
        // The bot is in its guild again.
        store.learn_places(vec![place(back)]).await.unwrap();
        store.forget_old_at(Millis(now.0 + 31 * DAY)).await.unwrap();
        assert_eq!(kept().await, [there, back]);
        assert_eq!(store.places().await.unwrap().len(), 2);
    }
}
