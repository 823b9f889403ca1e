//! What Discord takes as `d` of each opcode: read to be checked, and thrown away. What it would drop, or
//! answer as if a field were not there, is refused too: its asker would wait for an answer that never
//! comes, or take another for it.
//!
//! <https://discord.com/developers/docs/events/gateway-events#send-events>

use serde::{Deserialize, Deserializer, de, de::DeserializeOwned};

/// The largest nonce of op 8, in bytes: a longer one is ignored, and its chunks are nobody's.
const LONGEST_NONCE: usize = 32;
/// The most ids that op 8 names.
const MOST_USERS: usize = 100;
/// The last type of an activity that Discord names; 0 is the first.
const LAST_ACTIVITY: u64 = 5;
/// The type of a custom status, which is its `state`.
const CUSTOM: u64 = 4;
/// What op 43 can ask for.
const CHANNEL_FIELDS: [&str; 2] = ["status", "voice_start_time"];

/// The `d` of one opcode.
pub(super) trait Data: DeserializeOwned {
    /// Why Discord would not do what it asks for, though every field has its form.
    fn flaw(&self) -> Option<&'static str> {
        None
    }

    /// Reads it.
    fn read(json: &str) -> Result<Self, String> {
        let data: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        match data.flaw() {
            Some(flaw) => Err(flaw.to_owned()),
            None => Ok(data),
        }
    }
}

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
    activities: Vec<serde_json::Map<String, serde_json::Value>>,
    #[serde(rename = "status")]
    _status: Status,
    #[serde(rename = "afk")]
    _afk: bool,
}

impl Data for Presence {
    fn flaw(&self) -> Option<&'static str> {
        self.activities.iter().find_map(|activity| {
            let text = |key| activity.get(key).and_then(serde_json::Value::as_str);
            let kind = activity.get("type").and_then(serde_json::Value::as_u64);
            if text("name").is_none_or(str::is_empty) {
                Some("an activity has a name")
            } else if kind.is_none_or(|kind| kind > LAST_ACTIVITY) {
                Some("an activity has a type from 0 to 5")
            } else if kind == Some(CUSTOM) && text("state").is_none_or(str::is_empty) {
                Some("an activity of type 4, a custom status, has a state")
            } else {
                None
            }
        })
    }
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

impl Data for Voice {}

#[derive(Deserialize)]
pub(super) struct Members {
    pub(super) guild_id: Snowflake,
    #[serde(default)]
    query: Option<String>,
    #[serde(default, deserialize_with = "there")]
    limit: Option<u32>,
    #[serde(default)]
    user_ids: Option<OneOrMany>,
    #[serde(default)]
    pub(super) presences: Option<bool>,
    #[serde(default)]
    pub(super) nonce: Option<String>,
}

impl Members {
    /// Names nobody: the list of the guild, from its first member on.
    pub(super) fn lists(&self) -> bool {
        self.user_ids.is_none() && self.query.as_deref() == Some("")
    }

    /// The whole list.
    pub(super) fn lists_all(&self) -> bool {
        self.lists() && self.limit == Some(0)
    }
}

impl Data for Members {
    fn flaw(&self) -> Option<&'static str> {
        let named = self.query.as_deref().is_some_and(|query| !query.is_empty());
        match (&self.user_ids, &self.query) {
            (None, None) => return Some("neither query nor user_ids"),
            (Some(_), Some(_)) if named => return Some("both query and user_ids: one is ignored"),
            (None, Some(_)) if self.limit.is_none() => return Some("a query has a limit"),
            (Some(OneOrMany::Many(ids)), _) if ids.is_empty() => return Some("user_ids is empty"),
            (Some(OneOrMany::Many(ids)), _) if ids.len() > MOST_USERS => {
                return Some("more than 100 user_ids: send one command for each hundred");
            }
            _ => {}
        }
        let nonce = self.nonce.as_ref().map_or(0, String::len);
        (nonce > LONGEST_NONCE).then_some(
            "a nonce of more than 32 bytes is ignored, and no chunk of the answer bears it",
        )
    }
}

/// A field that may be away but not null.
fn there<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    u32::deserialize(from).map(Some)
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an id or a list of ids")]
pub(super) enum OneOrMany {
    One(#[expect(dead_code, reason = "read to be checked")] Snowflake),
    Many(Vec<Snowflake>),
}

#[derive(Deserialize)]
pub(super) struct Soundboard {
    pub(super) guild_ids: Vec<Snowflake>,
}

impl Data for Soundboard {
    fn flaw(&self) -> Option<&'static str> {
        self.guild_ids.is_empty().then_some("guild_ids is empty")
    }
}

#[derive(Deserialize)]
pub(super) struct ChannelInfo {
    pub(super) guild_id: Snowflake,
    fields: Vec<String>,
}

impl Data for ChannelInfo {
    fn flaw(&self) -> Option<&'static str> {
        let known = |field: &String| CHANNEL_FIELDS.contains(&field.as_str());
        if self.fields.is_empty() {
            Some("fields is empty")
        } else if self.fields.iter().all(known) {
            None
        } else {
            Some("a field is status or voice_start_time: Discord knows no other")
        }
    }
}
