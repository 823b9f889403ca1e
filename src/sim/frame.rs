//! What a client sends, parsed strictly.
//! <https://discord.com/developers/docs/events/gateway-events#send-events>

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use super::refusal::Refusal;

/// Largest frame of a client, <https://discord.com/developers/docs/events/gateway#sending-events>.
pub(super) const MOST_BYTES: usize = 4096;

/// A client's frame.
#[derive(Debug)]
pub(super) enum Command {
    /// Op 1, with the last sequence received.
    Heartbeat(Option<u64>),
    /// Op 2.
    Identify(Box<Identify>),
    /// Op 3.
    Presence,
    /// Op 4.
    Voice(Voice),
    /// Op 6.
    Resume(Resume),
    /// Op 8.
    Members(Members),
    /// Op 31.
    Soundboard(Vec<Id>),
    /// Op 43.
    ChannelInfo(Id),
}

/// Data of op 2. Intents stay unparsed: a number that is none has a close code of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Identify {
    pub(super) token: String,
    #[serde(rename = "properties")]
    _properties: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    pub(super) intents: serde_json::Value,
    #[serde(default)]
    pub(super) shard: Option<serde_json::Value>,
    #[serde(default)]
    pub(super) compress: Option<bool>,
    #[serde(default)]
    pub(super) large_threshold: Option<u32>,
}

/// Data of op 6.
#[derive(Debug, Deserialize)]
pub(super) struct Resume {
    pub(super) token: String,
    pub(super) session_id: String,
    pub(super) seq: u64,
}

/// Data of op 4.
#[derive(Debug, Deserialize)]
pub(super) struct Voice {
    pub(super) guild_id: Id,
    pub(super) channel_id: Option<Id>,
    #[serde(default)]
    pub(super) self_mute: bool,
    #[serde(default)]
    pub(super) self_deaf: bool,
}

/// Data of op 8.
#[derive(Debug, Deserialize)]
pub(super) struct Members {
    pub(super) guild_id: Id,
    #[serde(default)]
    pub(super) query: Option<String>,
    #[serde(default)]
    pub(super) limit: u32,
    #[serde(default)]
    pub(super) user_ids: Option<OneOrMany>,
    #[serde(default)]
    pub(super) presences: bool,
    #[serde(default)]
    pub(super) nonce: Option<String>,
}

/// One id or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    /// One.
    One(Id),
    /// Several.
    Many(Vec<Id>),
}

/// An id. Discord takes numbers too: some libraries send them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id(pub(super) u64);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(from)? {
            Written::Number(id) => Ok(Self(id)),
            Written::Text(id) => id.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    op: u64,
    #[serde(borrow, default)]
    d: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Presence {
    #[serde(rename = "status")]
    _status: String,
    #[serde(default, rename = "activities")]
    _activities: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Soundboard {
    guild_ids: Vec<Id>,
}

#[derive(Deserialize)]
struct ChannelInfo {
    guild_id: Id,
}

/// Reads a frame. What is wrong with it is what its connection is closed with.
pub(super) fn parse(frame: &[u8]) -> Result<Command, Refusal> {
    if frame.len() > MOST_BYTES {
        return Err(Refusal::of(
            4002,
            "payload_size",
            format!("{} bytes", frame.len()),
        ));
    }
    let Envelope { op, d } = serde_json::from_slice(frame).map_err(|error| {
        Refusal::of(
            4002,
            "bad_payload",
            format!("no JSON with an op: {}", place(&error)),
        )
    })?;
    match op {
        1 => match d.map(RawValue::get) {
            None | Some("null") => Ok(Command::Heartbeat(None)),
            Some(_) => data(op, d).map(|seq| Command::Heartbeat(Some(seq))),
        },
        2 => data(op, d).map(Command::Identify),
        3 => data::<Presence>(op, d).map(|_| Command::Presence),
        4 => data(op, d).map(Command::Voice),
        6 => data(op, d).map(Command::Resume),
        8 => data(op, d).map(Command::Members),
        31 => data::<Soundboard>(op, d).map(|d| Command::Soundboard(d.guild_ids)),
        43 => data::<ChannelInfo>(op, d).map(|d| Command::ChannelInfo(d.guild_id)),
        _ => Err(Refusal::of(4001, "bad_opcode", format!("op {op}"))),
    }
}

fn data<T: DeserializeOwned>(op: u64, d: Option<&RawValue>) -> Result<T, Refusal> {
    serde_json::from_str(d.map_or("null", RawValue::get)).map_err(|error| {
        Refusal::of(
            4001,
            "bad_payload",
            format!("data of op {op}: {}", place(&error)),
        )
    })
}

/// Where a fault is, without the values around it: one of them may be a token.
fn place(error: &serde_json::Error) -> String {
    format!("{:?} fault at column {}", error.classify(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_close_code() {
        let long = format!(r#"{{"op":1,"d":{}1}}"#, " ".repeat(4090));
        for (frame, code) in [
            ("", 4002),
            ("{", 4002),
            ("[]", 4002),
            (r#"{"d":1}"#, 4002),
            (r#"{"op":-1}"#, 4002),
            (long.as_str(), 4002),
            (r#"{"op":0,"d":null}"#, 4001),
            (r#"{"op":7,"d":null}"#, 4001),
            (r#"{"op":99}"#, 4001),
            (r#"{"op":1,"d":"x"}"#, 4001),
            (r#"{"op":2,"d":{"token":"t"}}"#, 4001),
            (r#"{"op":6,"d":{"token":"t","session_id":"s"}}"#, 4001),
        ] {
            assert_eq!(parse(frame.as_bytes()).unwrap_err().code, code, "{frame}");
        }
    }

    #[test]
    fn frames_are_read_whatever_order_or_extras_they_have() {
        assert!(matches!(
            parse(br#"{"op":1,"d":null}"#),
            Ok(Command::Heartbeat(None))
        ));
        assert!(matches!(
            parse(br#"{"op":1}"#),
            Ok(Command::Heartbeat(None))
        ));
        assert!(matches!(
            parse(br#"{"x":{},"d":7,"op":1}"#),
            Ok(Command::Heartbeat(Some(7)))
        ));
        let resume = br#"{"op":6,"d":{"seq":3,"token":"t","session_id":"s","more":1}}"#;
        assert!(matches!(
            parse(resume),
            Ok(Command::Resume(Resume { seq: 3, .. }))
        ));
        let members = br#"{"op":8,"d":{"guild_id":1,"user_ids":["5",6],"nonce":null}}"#;
        let Ok(Command::Members(Members {
            guild_id: Id(1),
            user_ids: Some(OneOrMany::Many(ids)),
            ..
        })) = parse(members)
        else {
            panic!("ids are strings or numbers");
        };
        assert_eq!(ids, [Id(5), Id(6)]);
    }
}
