//! Commands upstream: a worker's request, and the fleet's answer.
//!
//! The request is the payload that Discord takes, `{"op":…,"d":…}`, and goes out byte for byte. It is
//! read strictly first: what Discord would close a connection for, drop or ignore never reaches it.
//!
//! <https://discord.com/developers/docs/events/gateway-events#send-events>

mod data;
mod reply;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use self::data::{ChannelInfo, Data, Members, Presence, Soundboard, Voice};
use crate::fleet::ShardId;

pub use self::{
    data::Snowflake,
    reply::{Accepted, Reason, Refused, Reply, Spread},
};

/// The largest payload that Discord takes, in bytes.
///
/// <https://discord.com/developers/docs/events/gateway#sending-events>
pub const MAX_BYTES: usize = 4096;
/// Set by the fleet when it passes a command on: where the asker hears of a `RATE_LIMITED` later.
pub const ASKER: &str = "Fleet-Asker";

/// The opcodes that a worker may send.
///
/// <https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway-gateway-opcodes>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// 3, Update Presence.
    Presence,
    /// 4, Update Voice State.
    Voice,
    /// 8, Request Guild Members.
    Members,
    /// 31, Request Soundboard Sounds.
    Soundboard,
    /// 43, Request Channel Info.
    ChannelInfo,
}

impl Op {
    fn of(op: u64) -> Option<Self> {
        Some(match op {
            3 => Self::Presence,
            4 => Self::Voice,
            8 => Self::Members,
            31 => Self::Soundboard,
            43 => Self::ChannelInfo,
            _ => return None,
        })
    }

    /// The label of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Voice => "voice",
            Self::Members => "members",
            Self::Soundboard => "soundboard",
            Self::ChannelInfo => "channel_info",
        }
    }
}

/// A request that was read and found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What it asks for.
    pub op: Op,
    /// The guilds it names; none for a presence.
    pub guilds: Vec<u64>,
    /// True for op 8 that asks for every member of its guild.
    pub all_members: bool,
    /// True for op 8 that lists members without naming any, all or so many: the intent `GUILD_MEMBERS`.
    pub lists_members: bool,
    /// True for op 8 that asks for presences: the intent `GUILD_PRESENCES`.
    pub presences: bool,
    /// The nonce of op 8.
    pub nonce: Option<String>,
    /// The payload as it came.
    pub json: String,
}

impl Command {
    /// Reads a request; never panics, whatever the bytes.
    ///
    /// # Errors
    /// The refusal that the asker gets.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        if bytes.len() > MAX_BYTES {
            let detail = format!("{} bytes; Discord takes {MAX_BYTES}", bytes.len());
            return Err(Refused::new(Reason::TooLarge, detail));
        }
        let malformed = |why: &dyn std::fmt::Display| Refused::new(Reason::Malformed, why);
        let json = std::str::from_utf8(bytes).map_err(|error| malformed(&error))?;
        // Read whole first: what serde skips it does not look at, and it takes a list for a struct.
        let whole: Value = serde_json::from_str(json).map_err(|error| malformed(&error))?;
        if !whole.is_object() {
            return Err(malformed(&"not a JSON object"));
        }
        let envelope: Envelope<'_> =
            serde_json::from_str(json).map_err(|error| malformed(&error))?;
        let Some(op) = Op::of(envelope.op) else {
            let detail = format!("op {}; workers may send 3, 4, 8, 31 and 43", envelope.op);
            return Err(Refused::new(Reason::UnknownOp, detail));
        };
        let mut command = Self {
            op,
            guilds: Vec::new(),
            all_members: false,
            lists_members: false,
            presences: false,
            nonce: None,
            json: json.to_owned(),
        };
        if !whole["d"].is_object() {
            return Err(malformed(&"d is not a JSON object"));
        }
        let data = envelope.d.get();
        let read = match op {
            Op::Presence => Presence::read(data).map(drop),
            Op::Voice => Voice::read(data).map(|d| command.guilds.push(d.guild_id.0)),
            Op::Members => Members::read(data).map(|d| {
                command.guilds.push(d.guild_id.0);
                command.all_members = d.lists_all();
                command.lists_members = d.lists();
                command.presences = d.presences == Some(true);
                command.nonce = d.nonce;
            }),
            Op::Soundboard => Soundboard::read(data)
                .map(|d| command.guilds.extend(d.guild_ids.iter().map(|id| id.0))),
            Op::ChannelInfo => ChannelInfo::read(data).map(|d| command.guilds.push(d.guild_id.0)),
        };
        read.map_err(|why| malformed(&format!("d of op {}: {why}", envelope.op)))?;
        Ok(command)
    }

    /// The one shard whose guilds it names; none for a presence.
    ///
    /// # Errors
    /// The refusal of one that names guilds of several shards.
    pub fn shard(&self, shards: u32) -> Result<Option<ShardId>, Refused> {
        let mut owners = self.guilds.iter().map(|id| ShardId::of_guild(*id, shards));
        let first = owners.next();
        match owners.find(|other| Some(*other) != first) {
            Some(_) => {
                let detail = "guilds of several shards: send one command for each shard";
                Err(Refused::new(Reason::WrongShard, detail))
            }
            None => Ok(first),
        }
    }
}

/// Discord's own word that an op 8 came too early.
///
/// <https://discord.com/developers/docs/events/gateway-events#rate-limited>
#[derive(Debug, Deserialize)]
pub struct RateLimited {
    /// The opcode that was too much.
    pub opcode: u64,
    /// Seconds to wait.
    pub retry_after: f64,
    /// Which request it was.
    pub meta: RateLimitedMeta,
}

/// Which op 8 was too much.
#[derive(Debug, Deserialize)]
pub struct RateLimitedMeta {
    /// Its guild.
    pub guild_id: Snowflake,
    /// Its nonce, if it had one.
    #[serde(default)]
    pub nonce: Option<String>,
}

/// Reads a dispatch of `RATE_LIMITED`.
pub fn rate_limited(payload: &str) -> Option<RateLimited> {
    #[derive(Deserialize)]
    struct Dispatch {
        d: RateLimited,
    }
    serde_json::from_str::<Dispatch>(payload)
        .ok()
        .map(|dispatch| dispatch.d)
}

#[derive(Deserialize)]
struct Envelope<'a> {
    op: u64,
    #[serde(borrow)]
    d: &'a RawValue,
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
