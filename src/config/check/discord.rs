//! What Discord would refuse, found before it is asked.

use twilight_model::gateway::{ShardId, presence::ActivityType};

use super::{Reader, fault};
use crate::{
    config::{Discord, identity::Identity},
    fleet::MOST_SHARDS,
};

/// Discord closes with 4002 what is longer.
///
/// <https://discord.com/developers/docs/events/gateway#sending-events>
const LONGEST_PAYLOAD: usize = 4096;
const PRESENCE: &str = r#"{"since":null,"activities":[],"status":"online","afk":false}"#;

pub(super) fn check(discord: &Discord, reader: &mut Reader<'_>) {
    token(discord, reader);
    identify(discord, reader);
    url(
        reader,
        "discord.api",
        &discord.api,
        &["https://", "http://"],
    );
    if !discord.gateway.is_empty() {
        url(
            reader,
            "discord.gateway",
            &discord.gateway,
            &["wss://", "ws://"],
        );
    }
}

/// Pasted badly, it would fail much later and look like a wrong one. Its value is never shown.
fn token(discord: &Discord, reader: &mut Reader<'_>) {
    let token = discord.token.expose();
    let quoted = |mark: char| token.starts_with(mark) || token.ends_with(mark);
    let (reason, hint) = if quoted('"') || quoted('\'') {
        (
            "the token stands in quotes, as in a file for a shell",
            "the token alone, without quotes",
        )
    } else if token.starts_with("Bot ") {
        (
            "the token begins with \"Bot \"",
            "the token alone, without \"Bot \"",
        )
    } else if token.chars().any(char::is_whitespace) {
        (
            "the token holds white space inside",
            "the token alone, on one line",
        )
    } else if token.chars().any(|c| !c.is_ascii_graphic()) {
        (
            "the token holds a character that no token has",
            "the token as the developer portal shows it",
        )
    } else {
        return;
    };
    reader.secret_fault("discord.token", reason, hint);
}

/// The very payload that every shard would send: a loop of refused IDENTIFYs costs the day's.
fn identify(discord: &Discord, reader: &mut Reader<'_>) {
    let identity = match Identity::of(discord) {
        Ok(identity) => identity,
        Err(error) => {
            let reason = format!("not a presence: {error}");
            return fault(reader, "discord.presence", &reason, PRESENCE);
        }
    };
    let activities = identity.presence.iter().flat_map(|p| &p.activities);
    for activity in activities {
        if let ActivityType::Unknown(kind) = activity.kind {
            let reason = format!("Discord has no type {kind} of an activity");
            let hint = "0 playing, 1 streaming, 2 listening, 3 watching, 4 custom, 5 competing";
            fault(reader, "discord.presence", &reason, hint);
        }
    }
    let length = identity
        .identify(ShardId::new(MOST_SHARDS - 1, MOST_SHARDS))
        .len();
    if length > LONGEST_PAYLOAD {
        let reason = format!(
            "IDENTIFY would take {length} bytes, and Discord closes (4002) what is longer than {LONGEST_PAYLOAD}"
        );
        if identity.presence.is_some() {
            fault(reader, "discord.presence", &reason, "a shorter one");
        } else {
            reader.secret_fault(
                "discord.token",
                &reason,
                "a bot's token has about 70 letters",
            );
        }
    }
}

fn url(reader: &mut Reader<'_>, key: &str, url: &str, schemes: &[&str]) {
    let scheme = schemes.iter().find(|scheme| url.starts_with(**scheme));
    // twilight panics inside `next()` on a URL that does not parse, so that none gets there.
    let parsed = url
        .parse::<axum::http::Uri>()
        .ok()
        .and_then(|uri| uri.host().map(str::len));
    if scheme.is_none() || parsed.is_none() {
        let hint = format!("an address that begins with {}", schemes.join(" or "));
        // A login that stands in it is nobody's to see.
        if url.contains('@') {
            reader.fault(key, None, "not an address".to_owned(), &hint);
        } else {
            fault(reader, key, "not an address", &hint);
        }
    }
}
