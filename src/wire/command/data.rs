//! What Discord takes as `d` of each opcode: read to be checked, and thrown away.
//!
//! <https://discord.com/developers/docs/events/gateway-events#send-events>

use serde::{Deserialize, Deserializer, de};

/// An id: decimal digits in a string.
///
/// <https://discord.com/developers/docs/reference#snowflakes>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snowflake(pub u64);

impl<'de> Deserialize<'de> for Snowflake {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        // Rust would read "+7", too.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let id = text.parse().ok().filter(|_| digits);
        id.map(Self)
            .ok_or_else(|| de::Error::custom("an id is a string of digits"))
    }
}

#[derive(Deserialize)]
pub(super) struct Presence {
    #[serde(rename = "since")]
    _since: Option<u64>,
    #[serde(rename = "activities")]
    _activities: Vec<serde_json::Map<String, serde_json::Value>>,
    #[serde(rename = "status")]
    _status: Status,
    #[serde(rename = "afk")]
    _afk: bool,
}

/// A word; an enum would also be read from `{"idle":null}`.
pub(super) struct Status;

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const STATUSES: &[&str] = &["online", "dnd", "idle", "invisible", "offline"];
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        if STATUSES.contains(&&*text) {
            Ok(Self)
        } else {
            Err(de::Error::unknown_variant(&text, STATUSES))
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Voice {
    pub(super) guild_id: Snowflake,
    #[serde(rename = "channel_id")]
    _channel_id: Option<Snowflake>,
    #[serde(rename = "self_mute")]
    _self_mute: bool,
    #[serde(rename = "self_deaf")]
    _self_deaf: bool,
}

#[derive(Deserialize)]
pub(super) struct Members {
    pub(super) guild_id: Snowflake,
    #[serde(default, rename = "query")]
    _query: Option<String>,
    #[serde(default)]
    pub(super) limit: u32,
    #[serde(default)]
    pub(super) user_ids: Option<OneOrMany>,
    #[serde(default, rename = "presences")]
    _presences: Option<bool>,
    #[serde(default)]
    pub(super) nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an id or a list of ids")]
pub(super) enum OneOrMany {
    One(#[expect(dead_code, reason = "read to be checked")] Snowflake),
    Many(#[expect(dead_code, reason = "read to be checked")] Vec<Snowflake>),
}

#[derive(Deserialize)]
pub(super) struct Soundboard {
    pub(super) guild_ids: Vec<Snowflake>,
}

#[derive(Deserialize)]
pub(super) struct ChannelInfo {
    pub(super) guild_id: Snowflake,
    #[serde(rename = "fields")]
    _fields: Vec<String>,
}
