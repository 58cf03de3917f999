//! How our own types stand in SQLite's columns.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Type, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DeliveryState, Millis, ShownMessage, TurnState, Unwanted};
use crate::domain::{
    ChannelId, GuildId, MessageId, MicroUsd, Outcome, PermissionMode, ProjectName, SessionId, UserId,
    Verbosity,
};

macro_rules! ids {
    ($($id:ident),*) => {$(
        impl ToSql for $id {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                // Bit by bit: no id is lost, though one over 2^63 would sort first.
                Ok((self.get() as i64).into())
            }
        }

        impl FromSql for $id {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let number = value.as_i64()?;
                Self::new(number as u64).ok_or(FromSqlError::OutOfRange(number))
            }
        }
    )*};
}

ids!(ChannelId, GuildId, MessageId, UserId);

impl ToSql for Millis {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for Millis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

impl ToSql for MicroUsd {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for MicroUsd {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Self).map_err(|_| FromSqlError::OutOfRange(number))
    }
}

impl ToSql for ProjectName {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for ProjectName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        String::column_result(value).map(Self)
    }
}

impl ToSql for SessionId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

impl FromSql for SessionId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(FromSqlError::other)
    }
}

impl ToSql for PermissionMode {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for PermissionMode {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        serde_json::from_value(word.into()).map_err(FromSqlError::other)
    }
}

impl ToSql for Verbosity {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Verbosity {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        serde_json::from_value(word.into()).map_err(FromSqlError::other)
    }
}

/// A path, byte for byte.
pub struct Dir(pub PathBuf);

impl Dir {
    /// The path as a column takes it.
    pub fn column(path: &Path) -> &[u8] {
        path.as_os_str().as_bytes()
    }
}

impl FromSql for Dir {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(PathBuf::from(OsStr::from_bytes(value.as_blob()?))))
    }
}

/// A value that a column holds as JSON: the attachments of a message, the roles of its author.
pub struct Json<T>(pub T);

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let json = serde_json::to_string(&self.0);
        json.map(Into::into).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

impl ToSql for TurnState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let word = match self {
            Self::Waiting => "waiting",
            Self::Running | Self::Offered => "running",
            Self::Ended(Outcome::Answered | Outcome::Steered) => "answered",
            Self::Ended(Outcome::Failed) => "failed",
            Self::Ended(Outcome::Cancelled) => "cancelled",
            Self::Ended(Outcome::Interrupted) => "interrupted",
        };
        Ok(word.into())
    }
}

impl FromSql for TurnState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "waiting" => Ok(Self::Waiting),
            "running" => Ok(Self::Running),
            "answered" => Ok(Self::Ended(Outcome::Answered)),
            "failed" => Ok(Self::Ended(Outcome::Failed)),
            "cancelled" => Ok(Self::Ended(Outcome::Cancelled)),
            "interrupted" => Ok(Self::Ended(Outcome::Interrupted)),
            word => Err(FromSqlError::Other(format!("`{word}` is no state of a turn").into())),
        }
    }
}

impl TurnState {
    /// From the columns `state` and `steered_into`.
    pub(super) fn from_columns(state: Self, steered_into: Option<MessageId>) -> rusqlite::Result<Self> {
        match (state, steered_into) {
            (state, None) => Ok(state),
            (Self::Running, Some(_)) => Ok(Self::Offered),
            (Self::Ended(Outcome::Answered), Some(_)) => Ok(Self::Ended(Outcome::Steered)),
            (state, Some(_)) => {
                let what = format!("a turn that is {state:?} cannot be in another one");
                Err(rusqlite::Error::FromSqlConversionFailure(0, Type::Text, what.into()))
            }
        }
    }
}

impl ToSql for Unwanted {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let word = match self {
            Self::Deleted => "deleted",
            Self::Stopped => "stopped",
        };
        Ok(word.into())
    }
}

impl FromSql for Unwanted {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "deleted" => Ok(Self::Deleted),
            "stopped" => Ok(Self::Stopped),
            word => Err(FromSqlError::Other(format!("`{word}` is no reason to end a turn").into())),
        }
    }
}

impl ToSql for ShownMessage {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            // No message has this id.
            Self::Coming => Ok(0.into()),
            Self::Stands(message) => message.to_sql(),
        }
    }
}

impl FromSql for ShownMessage {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Coming),
            _ => MessageId::column_result(value).map(Self::Stands),
        }
    }
}

impl DeliveryState {
    /// From the columns `state` and `reason`.
    pub(super) fn from_columns(state: &str, reason: Option<String>) -> Self {
        match (state, reason) {
            ("open", _) => Self::Open,
            (_, Some(reason)) => Self::Refused(reason),
            (_, None) => Self::Done,
        }
    }
}
