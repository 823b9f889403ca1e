//! The answer to a command.

use serde::{Deserialize, Serialize};

use crate::wire::VERSION;

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reply {
    /// It went out to Discord. No word on what Discord made of it.
    Accepted(Accepted),
    /// It did not go out; or Discord took it and then said `RATE_LIMITED`.
    Refused(Refused),
    /// A presence for the whole fleet: what became of it on every shard.
    Spread(Spread),
}

/// It went out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Version.
    pub v: u32,
    /// By this shard.
    pub shard: u32,
    /// When, in milliseconds since the Unix epoch.
    pub sent_at_ms: u64,
}

/// It did not go out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Version.
    pub v: u32,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people.
    pub detail: String,
    /// When it is worth another try, in milliseconds from now; none where another try is as bad.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_ms: Option<u64>,
}

/// Went out by so many shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Version.
    pub v: u32,
    /// Shards by which it went out.
    pub accepted: u32,
    /// Shards that refused it, or did not answer.
    pub refused: Vec<u32>,
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not the JSON that Discord takes for this opcode.
    Malformed,
    /// More than [`super::MAX_BYTES`].
    TooLarge,
    /// An opcode that is not a worker's to send.
    UnknownOp,
    /// Its guild belongs to another shard.
    WrongShard,
    /// The shard has no session at this moment, or nobody runs it.
    NoSession,
    /// One of Discord's limits, or the fleet's own queue, is full.
    Limited,
}

impl Reason {
    /// The label of metrics, the same word as on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::UnknownOp => "unknown_op",
            Self::WrongShard => "wrong_shard",
            Self::NoSession => "no_session",
            Self::Limited => "limited",
        }
    }
}

impl Refused {
    /// A refusal of this release's version.
    pub fn new(reason: Reason, detail: impl std::fmt::Display) -> Self {
        Self {
            v: VERSION,
            reason,
            detail: detail.to_string(),
            retry_after_ms: None,
        }
    }

    /// Worth another try after this long.
    #[must_use]
    pub fn retry_after(mut self, wait: std::time::Duration) -> Self {
        let whole = u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        self.retry_after_ms = Some(whole);
        self
    }
}
