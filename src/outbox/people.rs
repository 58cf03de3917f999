//! People, as Discord knows them: the bot itself, its owners, and the members of guilds.

use std::time::Duration;

use serde::de::IgnoredAny;

use super::call::Call;
use super::{CallKind, ConnectError, NEEDED, Outbox, Refused, wire};
use crate::domain::{ApplicationId, ChannelId, GuildId, RoleId, UserId};

/// How long to try to learn something about a person.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who the bot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub user: UserId,
    pub name: String,
    /// The application's id, which stands in the invite link.
    pub application: ApplicationId,
    /// Who owns the application; for a team, the accepted members that may do more than read.
    pub owners: Vec<UserId>,
    /// Whether the message content intent is switched on in the Developer Portal.
    pub message_content: bool,
}

impl Identity {
    /// The link that takes the bot into a guild, with just the permissions that it needs.
    pub fn invite(&self) -> String {
        let permissions = NEEDED.iter().fold(0, |bits, need| bits | need.bit);
        let application = self.application;
        format!(
            "https://discord.com/oauth2/authorize?client_id={application}&scope=bot&permissions={permissions}"
        )
    }
}

impl Outbox {
    /// Who the bot is, and who owns it.
    ///
    /// # Errors
    /// A refused token, or no answer within half a minute.
    pub async fn whoami(&self) -> Result<Identity, ConnectError> {
        let user: wire::User = self.start("/users/@me").await?;
        let application: wire::Application = self.start("/applications/@me").await?;
        Ok(Identity {
            user: user.id,
            name: user.username,
            message_content: application.message_content(),
            application: application.id,
            owners: application.owners(),
        })
    }

    /// Who owns the application now.
    ///
    /// # Errors
    /// See [`Refused`]; no answer within half a minute.
    pub async fn owners(&self) -> Result<Vec<UserId>, Refused> {
        let application: wire::Application =
            self.soon(CallKind::Start, 0, "/applications/@me".to_owned()).await?;
        Ok(application.owners())
    }

    /// The guild that this channel is in; none for direct messages.
    ///
    /// # Errors
    /// See [`Refused`]; no answer within half a minute.
    pub async fn guild_of(&self, channel: ChannelId) -> Result<Option<GuildId>, Refused> {
        let path = format!("/channels/{channel}");
        let channel: wire::FetchedChannel = self.soon(CallKind::Channel, channel.get(), path).await?;
        Ok(channel.guild_id)
    }

    /// The roles that this person has now in the guild.
    ///
    /// # Errors
    /// See [`Refused`]: `NotFound` where the person is not in the guild; no answer within half a minute.
    pub async fn roles(&self, guild: GuildId, person: UserId) -> Result<Vec<RoleId>, Refused> {
        let path = format!("/guilds/{guild}/members/{person}");
        let member: wire::Member = self.soon(CallKind::Member, guild.get(), path).await?;
        Ok(member.roles)
    }

    /// Whether this person is a member of the guild.
    ///
    /// # Errors
    /// See [`Refused`]; it is no error if the person is not a member. No answer within half a minute.
    pub async fn is_member(&self, guild: GuildId, person: UserId) -> Result<bool, Refused> {
        let path = format!("/guilds/{guild}/members/{person}");
        match self.soon::<IgnoredAny>(CallKind::Member, guild.get(), path).await {
            Ok(_) => Ok(true),
            Err(Refused::NotFound { code: Some(_), .. }) => Ok(false),
            Err(refused) => Err(refused),
        }
    }

    async fn soon<T: serde::de::DeserializeOwned>(
        &self,
        kind: CallKind,
        place: u64,
        path: String,
    ) -> Result<T, Refused> {
        let give_up_after = Some(PATIENCE.min(self.0.sender.patience.give_up_after));
        self.0.sender.ask(Call { give_up_after, ..Call::get(kind, place, path) }).await
    }
}
