//! Messages: posted, edited, deleted, pinned, read back.
//! <https://discord.com/developers/docs/resources/message>

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::event::Event;
use super::super::object;
use super::super::sample::value;
use super::super::world::BOT_ID;
use super::channels::Place;
use super::{Answer, Ask, Desk, bot};

/// Longest content in characters.
const MOST_CHARACTERS: usize = 2000;

pub(super) fn answer(desk: &mut Desk, ask: &Ask, place: Place, rest: &[&str]) -> Answer {
    match (ask.method, rest) {
        ("GET", []) => list(desk, ask, place),
        ("POST", []) => match post(desk, ask, place, &ask.body) {
            Ok((message, news)) => Answer {
                news: vec![news],
                ..Answer::ok(message)
            },
            Err(answer) => answer,
        },
        ("POST", ["bulk-delete"]) => bulk_delete(desk, ask, place),
        ("GET", [id]) => match desk.message(&place.channel.to_string(), id) {
            Some(message) => Answer::ok(message.clone()),
            None => unknown(),
        },
        ("PATCH", [id]) => edit(desk, ask, place, id, &ask.body),
        ("DELETE", [id]) => delete(desk, place, id),
        _ => Answer::not_allowed(),
    }
}

/// A new message, and what sessions hear of it.
pub(super) fn post(
    desk: &mut Desk,
    ask: &Ask,
    place: Place,
    body: &Value,
) -> Result<(Value, super::News), Answer> {
    let content = body["content"].as_str().unwrap_or_default();
    let some = |key: &str| body[key].as_array().is_some_and(|list| !list.is_empty());
    let other = ["embeds", "components", "sticker_ids", "attachments"];
    if content.is_empty() && !other.into_iter().any(some) && body["poll"].is_null() {
        return Err(Answer::bad(50006, "Cannot send an empty message"));
    }
    if content.chars().count() > MOST_CHARACTERS {
        return Err(Answer::new(400, too_long()));
    }
    let (id, channel) = (desk.snowflake(ask.now_ms), place.channel.to_string());
    let mut message = json!({
        "id": id.to_string(), "channel_id": channel, "type": 0, "content": content, "author": bot(),
        "timestamp": iso(ask.now_ms), "edited_timestamp": null, "tts": false, "pinned": false,
        "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [],
        "embeds": embeds(body), "components": list_of(body, "components"),
        "flags": body["flags"].as_u64().unwrap_or(0),
    });
    if !body["nonce"].is_null() {
        message["nonce"] = body["nonce"].clone();
    }
    if let Some(reference) = body["message_reference"]["message_id"].as_str() {
        let about = json!({ "type": 0, "message_id": reference, "channel_id": channel });
        message["message_reference"] = place.mark(about);
        message["type"] = 19.into();
        message["referenced_message"] = desk
            .message(&channel, reference)
            .map_or(Value::Null, |found| found.clone());
    }
    desk.keep(message.clone());
    let news = super::News {
        event: place.event(Event::MessageCreate),
        guild: place.guild_id(),
        data: seen(place, &message),
    };
    Ok((message, news))
}

pub(super) fn edit(desk: &mut Desk, ask: &Ask, place: Place, id: &str, body: &Value) -> Answer {
    let Some(message) = desk.message(&place.channel.to_string(), id) else {
        return unknown();
    };
    for key in ["content", "components", "flags"] {
        if !body[key].is_null() {
            message[key] = body[key].clone();
        }
    }
    if body["embeds"].is_array() {
        message["embeds"] = embeds(body);
    }
    message["edited_timestamp"] = iso(ask.now_ms).into();
    let message = message.clone();
    let event = place.event(Event::MessageUpdate);
    Answer::ok(message.clone()).with(event, place.guild_id(), seen(place, &message))
}

pub(super) fn delete(desk: &mut Desk, place: Place, id: &str) -> Answer {
    let channel = place.channel.to_string();
    if desk.message(&channel, id).is_none() {
        return unknown();
    }
    desk.messages.retain(|message| message["id"] != id);
    let data = place.mark(json!({ "id": id, "channel_id": channel }));
    Answer::empty().with(place.event(Event::MessageDelete), place.guild_id(), data)
}

pub(super) fn pin(desk: &mut Desk, ask: &Ask, place: Place, id: &str) -> Answer {
    let channel = place.channel.to_string();
    let Some(message) = desk.message(&channel, id) else {
        return unknown();
    };
    message["pinned"] = (ask.method == "PUT").into();
    let message = message.clone();
    let pins = json!({ "channel_id": channel, "last_pin_timestamp": iso(ask.now_ms) });
    Answer::empty()
        .with(
            place.event(Event::ChannelPinsUpdate),
            place.guild_id(),
            place.mark(pins),
        )
        .with(
            place.event(Event::MessageUpdate),
            place.guild_id(),
            seen(place, &message),
        )
}

/// Pinned messages, newest first; `dated`: as the newer of the two routes answers them.
pub(super) fn pinned(desk: &Desk, place: Place, dated: bool) -> Value {
    let channel = place.channel.to_string();
    let pinned = desk
        .messages
        .iter()
        .rev()
        .filter(|message| message["channel_id"] == channel && message["pinned"] == true);
    pinned
        .map(|message| {
            if dated {
                json!({ "pinned_at": message["timestamp"], "message": message })
            } else {
                message.clone()
            }
        })
        .collect()
}

pub(super) fn unknown() -> Answer {
    Answer::missing(10008, "Unknown Message")
}

fn list(desk: &Desk, ask: &Ask, place: Place) -> Answer {
    let channel = place.channel.to_string();
    let id = |message: &Value| super::me::id(&message["id"]).unwrap_or(0);
    let bound = |key| ask.query(key).and_then(|id| id.parse::<u64>().ok());
    let (before, after) = (bound("before"), bound("after"));
    let found = desk.messages.iter().rev().filter(|message| {
        message["channel_id"] == channel
            && before.is_none_or(|bound| id(message) < bound)
            && after.is_none_or(|bound| id(message) > bound)
    });
    Answer::ok(found.take(ask.limit(50, 100)).cloned().collect())
}

fn bulk_delete(desk: &mut Desk, ask: &Ask, place: Place) -> Answer {
    let ids = list_of(&ask.body, "messages");
    let gone = |message: &Value| {
        ids.as_array()
            .is_some_and(|ids| ids.contains(&message["id"]))
    };
    desk.messages.retain(|message| !gone(message));
    let data = place.mark(json!({ "ids": ids, "channel_id": place.channel.to_string() }));
    Answer::empty().with(Event::MessageDeleteBulk, place.guild_id(), data)
}

/// A message as the gateway carries it: with its guild, its author's member, its channel's type.
fn seen(place: Place, message: &Value) -> Value {
    let mut data = place.mark(message.clone());
    data["channel_type"] = u8::from(place.guild.is_none()).into();
    if let Some(guild) = &place.guild {
        data["member"] = value(|out| object::member(out, guild, BOT_ID, false));
    }
    data
}

fn embeds(body: &Value) -> Value {
    let mut embeds = list_of(body, "embeds");
    for embed in embeds.as_array_mut().into_iter().flatten() {
        if embed.is_object() && embed["type"].is_null() {
            embed["type"] = "rich".into();
        }
    }
    embeds
}

fn list_of(body: &Value, key: &str) -> Value {
    match &body[key] {
        Value::Array(list) => list.clone().into(),
        _ => json!([]),
    }
}

fn too_long() -> Value {
    json!({
        "message": "Invalid Form Body", "code": 50035,
        "errors": { "content": { "_errors": [{
            "code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length.",
        }] } },
    })
}

/// Unix milliseconds as an ISO 8601 time.
pub(super) fn iso(ms: u64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}
