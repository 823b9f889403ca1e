//! Pure: one event as one line, if it is wanted.

use std::{borrow::Cow, io::Read};

use async_nats::Message;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::event::{CONTENT_ENCODING, MESSAGE_ID, ZSTD};

/// Which events are wanted; an empty list wants all.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) shards: Vec<u32>,
    pub(super) events: Vec<String>,
    pub(super) guilds: Vec<u64>,
}

/// The largest event that is unpacked; none of Discord's comes near.
const LARGEST: u64 = 256 << 20;
/// As much of a payload as a line for people shows.
const SHOWN: usize = 160;

/// A line, or none where the filter or the message's own form says so.
pub(super) fn line(message: &Message, filter: &Filter, json: bool) -> Option<String> {
    let mut tokens = message.subject.rsplitn(3, '.');
    let (event, shard) = (tokens.next()?, tokens.next()?.parse::<u32>().ok()?);
    let wanted = |list: &[u32]| list.is_empty() || list.contains(&shard);
    if !wanted(&filter.shards)
        || !(filter.events.is_empty() || filter.events.iter().any(|e| e == event))
    {
        return None;
    }
    let payload = payload(message)?;
    // A word to the stream, not an event.
    if payload.is_empty() {
        return None;
    }
    if !filter.guilds.is_empty()
        && !guild(event, &payload).is_some_and(|id| filter.guilds.contains(&id))
    {
        return None;
    }
    let id = header(message, MESSAGE_ID).unwrap_or_default();
    if json {
        let raw: &RawValue = serde_json::from_slice(&payload).ok()?;
        let object = serde_json::json!({
            "subject": message.subject.as_str(), "shard": shard, "event": event, "id": id, "payload": raw,
        });
        return Some(object.to_string() + "\n");
    }
    let seq = id.rsplit(':').next().unwrap_or_default();
    let text = String::from_utf8_lossy(&payload);
    let (size, shown) = (payload.len(), shown(&text));
    Some(format!(
        "{shard:>5}  {seq:>8}  {event:<24} {size:>8} B  {shown}\n"
    ))
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    Some(message.headers.as_ref()?.get(name)?.as_str())
}

fn payload(message: &Message) -> Option<Cow<'_, [u8]>> {
    if header(message, CONTENT_ENCODING) != Some(ZSTD) {
        return Some(Cow::Borrowed(&message.payload));
    }
    let mut out = Vec::new();
    let reader = zstd::stream::read::Decoder::new(&message.payload[..]).ok()?;
    reader.take(LARGEST).read_to_end(&mut out).ok()?;
    Some(Cow::Owned(out))
}

/// The guild that an event is of: its `guild_id`, or of a guild itself its `id`.
fn guild(event: &str, payload: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Dispatch<'a> {
        #[serde(borrow)]
        d: Place<'a>,
    }
    #[derive(Deserialize)]
    struct Place<'a> {
        #[serde(default, borrow)]
        guild_id: Option<Cow<'a, str>>,
        #[serde(default, borrow)]
        id: Option<&'a RawValue>,
    }
    let Place { guild_id, id } = serde_json::from_slice::<Dispatch>(payload).ok()?.d;
    let own = || {
        let id =
            id.filter(|_| matches!(event, "GUILD_CREATE" | "GUILD_UPDATE" | "GUILD_DELETE"))?;
        id.get().trim_matches('"').parse().ok()
    };
    guild_id.and_then(|id| id.parse().ok()).or_else(own)
}

/// One line, no longer than fits.
fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;

    use super::*;

    const BODY: &str = r#"{"t":"MESSAGE_CREATE","s":7,"op":0,"d":{"id":"5","guild_id":"42"}}"#;

    fn message(subject: &str, payload: &[u8], headers: &[(&str, &str)]) -> Message {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, *value);
        }
        Message {
            subject: subject.into(),
            reply: None,
            payload: payload.to_vec().into(),
            headers: Some(map),
            status: None,
            description: None,
            length: payload.len(),
        }
    }

    #[test]
    fn an_event_is_wanted_by_shard_name_and_guild() {
        let event = message(
            "discord.3.MESSAGE_CREATE",
            BODY.as_bytes(),
            &[(MESSAGE_ID, "abc:7")],
        );
        let told = |filter: &Filter| line(&event, filter, false);
        let text = told(&Filter::default()).unwrap();
        assert!(
            text.contains("MESSAGE_CREATE") && text.contains("    7  "),
            "{text}"
        );
        let of = |shards: &[u32], events: &[&str], guilds: &[u64]| Filter {
            shards: shards.to_vec(),
            events: events.iter().map(|e| (*e).to_owned()).collect(),
            guilds: guilds.to_vec(),
        };
        assert!(told(&of(&[3], &["MESSAGE_CREATE"], &[42])).is_some());
        assert!(told(&of(&[4], &[], &[])).is_none());
        assert!(told(&of(&[], &["TYPING_START"], &[])).is_none());
        assert!(told(&of(&[], &[], &[5])).is_none());
    }

    #[test]
    fn a_guild_is_its_own_and_zstd_is_unpacked() {
        let body = br#"{"t":"GUILD_CREATE","s":1,"op":0,"d":{"id":"42","name":"x"}}"#;
        let packed = zstd::encode_all(&body[..], 1).unwrap();
        let event = message(
            "discord.0.GUILD_CREATE",
            &packed,
            &[(CONTENT_ENCODING, ZSTD)],
        );
        let filter = Filter {
            guilds: vec![42],
            ..Filter::default()
        };
        let json = line(&event, &filter, true).unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["payload"]["d"]["name"], "x");
        assert_eq!(
            (&value["shard"], &value["event"]),
            (&0.into(), &"GUILD_CREATE".into())
        );
    }
}
