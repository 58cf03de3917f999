//! Messages that are read again, because nobody listened when they may have been edited or deleted.

use super::super::catch_up::{member_path, or_left};
use super::super::event::WireMessage;
use super::{Answered, Converter};
use crate::domain::{GuildId, Reread, Stands};
use crate::outbox::{CallKind, Outbox, Refused};

impl Converter {
    /// Asks Discord how a message stands. Whoever wants to know waits for as long as they like, and learns nothing
    /// where Discord does not say.
    pub(super) fn reread(&self, request: Reread) {
        // A place that is gone has none.
        let guild = self.places.get(&request.channel).and_then(|place| place.guild);
        let (outbox, answered) = (self.outbox.clone(), self.answered.clone());
        tokio::spawn(async move {
            match read(&outbox, &request, guild).await {
                Ok(Some(said)) if said.is_edited() => {
                    let Some(guild) = guild else { return };
                    // Nobody listens any more when the bot is stopping.
                    drop(answered.send(Answered::Reread { request, said: Box::new(said), guild }));
                }
                Ok(Some(_)) => drop(request.answer.send(Stands::Unchanged)),
                Ok(None) => drop(request.answer.send(Stands::Deleted)),
                Err(refused) => {
                    tracing::debug!(channel = %request.channel, "a message cannot be read again: {refused}");
                }
            }
        });
    }

    pub(super) fn reread_answered(&self, request: Reread, said: WireMessage, guild: GuildId) {
        let message = Box::new(self.message(said, guild));
        drop(request.answer.send(Stands::Edited(message)));
    }
}

/// The message as it stands now; `None` where it does not. If it was edited, with its author's roles.
async fn read(
    outbox: &Outbox,
    request: &Reread,
    guild: Option<GuildId>,
) -> Result<Option<WireMessage>, Refused> {
    let (channel, message) = (request.channel, request.message);
    let path = format!("/channels/{channel}/messages/{message}");
    let mut said: WireMessage = match outbox.get(CallKind::History, channel.get(), path).await {
        Ok(said) => said,
        Err(refused) if refused.is_of_what_is_gone() => return Ok(None),
        Err(refused) => return Err(refused),
    };
    if said.is_edited()
        && let Some(guild) = guild
    {
        let path = member_path(guild, said.author.id);
        said.member = Some(or_left(outbox.get(CallKind::Member, guild.get(), path).await)?);
    }
    Ok(Some(said))
}
