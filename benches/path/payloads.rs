//! The events of the benchmark: Discord's shapes in the mix that a bot with presences receives.

use serde_json::{Value, json};

/// One GUILD_CREATE in so many events.
const GUILD_EVERY: u64 = 1_000;
/// Members in a GUILD_CREATE: about 50 KB.
const MEMBERS: u64 = 150;
/// 2015-01-01, from which Discord's ids count.
const ID: u64 = 1_000_000_000_000_000_000;

/// The payload with this sequence, as Discord writes it: `t`, `s`, `op`, `d`.
pub(crate) fn payload(seq: u64) -> String {
    let (name, d) = event(seq);
    format!(r#"{{"t":"{name}","s":{seq},"op":0,"d":{d}}}"#)
}

/// The READY of a session.
pub(crate) fn ready(session: &str, url: &str, shard: u32, shards: u32) -> String {
    let mut me = user(1);
    me["mfa_enabled"] = json!(true);
    let d = json!({
        "v": 10, "session_id": session, "resume_gateway_url": url, "shard": [shard, shards],
        "user": me, "guilds": [], "application": { "id": ID.to_string(), "flags": 0 },
    });
    format!(r#"{{"t":"READY","s":1,"op":0,"d":{d}}}"#)
}

/// 55 % presences, 20 % messages, 15 % typing, the rest reactions; a large guild now and then.
fn event(seq: u64) -> (&'static str, Value) {
    if seq.is_multiple_of(GUILD_EVERY) {
        return ("GUILD_CREATE", guild(seq));
    }
    // Neighbours differ, and the mix is exact over a hundred.
    match seq.wrapping_mul(61) % 100 {
        0..55 => ("PRESENCE_UPDATE", presence(seq)),
        55..75 => ("MESSAGE_CREATE", message(seq)),
        75..90 => ("TYPING_START", typing(seq)),
        _ => ("MESSAGE_REACTION_ADD", reaction(seq)),
    }
}

fn id(n: u64) -> String {
    (ID + noise(n) % 100_000_000_000_000_000).to_string()
}

/// As good as random, and always the same: splitmix64.
fn noise(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Text that compresses about as well as people's.
fn words(n: u64, count: u64) -> String {
    let word = |index| {
        let letters = noise(noise(n + index) % 4_000);
        let letter = |at: u64| char::from(b'a' + (letters >> (5 * at)) as u8 % 26);
        (0..3 + letters % 6).map(letter).collect::<String>()
    };
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

fn user(n: u64) -> Value {
    json!({
        "id": id(n), "username": format!("user{n}"), "discriminator": "0", "global_name": format!("User {n}"),
        "avatar": format!("{:016x}{:016x}", noise(n), noise(!n)), "bot": false, "public_flags": 64,
    })
}

fn member(n: u64) -> Value {
    json!({
        "avatar": null, "communication_disabled_until": null, "deaf": false, "flags": 0,
        "joined_at": "2021-03-04T05:06:07.000000+00:00", "mute": false, "nick": null, "pending": false,
        "premium_since": null, "roles": [id(n ^ 3), id(n ^ 5)],
    })
}

fn presence(n: u64) -> Value {
    json!({
        "user": { "id": id(n) }, "guild_id": id(n % 97), "status": "online",
        "client_status": { "desktop": "online", "mobile": "idle" },
        "activities": [{
            "id": "custom", "name": "Custom Status", "type": 4, "created_at": 1_700_000_000_000_u64 + n,
            "state": words(n, 6),
        }, {
            "id": format!("{n:x}"), "name": "A Game of Some Length", "type": 0,
            "created_at": 1_700_000_000_000_u64 + n, "details": "In the third act", "application_id": id(7),
            "timestamps": { "start": 1_700_000_000_000_u64 + n },
        }],
    })
}

fn message(n: u64) -> Value {
    let mut member = member(n);
    member["nick"] = json!("A nick");
    json!({
        "id": id(n), "channel_id": id(n % 997), "guild_id": id(n % 97), "author": user(n), "member": member,
        "content": words(n, 14),
        "timestamp": "2026-01-02T03:04:05.678000+00:00", "edited_timestamp": null, "tts": false,
        "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [], "embeds": [],
        "nonce": id(n ^ 9), "pinned": false, "type": 0, "flags": 0, "components": [],
        "channel_type": 0,
    })
}

fn typing(n: u64) -> Value {
    let mut member = member(n);
    member["user"] = user(n);
    json!({
        "channel_id": id(n % 997), "guild_id": id(n % 97), "user_id": id(n),
        "timestamp": 1_700_000_000_u64 + n, "member": member,
    })
}

fn reaction(n: u64) -> Value {
    let mut member = member(n);
    member["user"] = user(n);
    json!({
        "user_id": id(n), "channel_id": id(n % 997), "message_id": id(n ^ 1), "guild_id": id(n % 97),
        "member": member, "emoji": { "id": null, "name": "🔥" }, "message_author_id": id(n ^ 2),
        "burst": false, "burst_colors": [], "type": 0,
    })
}

fn guild(n: u64) -> Value {
    let members: Vec<Value> = (0..MEMBERS)
        .map(|index| {
            let mut member = member(n + index);
            member["user"] = user(n + index);
            member
        })
        .collect();
    json!({
        "id": id(n), "name": "A guild", "icon": null, "splash": null, "discovery_splash": null,
        "owner_id": id(n), "afk_channel_id": null, "afk_timeout": 300, "verification_level": 1,
        "default_message_notifications": 1, "explicit_content_filter": 0, "roles": [], "emojis": [],
        "features": [], "mfa_level": 0, "application_id": null, "system_channel_id": null,
        "system_channel_flags": 0, "rules_channel_id": null, "vanity_url_code": null,
        "description": null, "banner": null, "premium_tier": 0, "preferred_locale": "en-US",
        "public_updates_channel_id": null, "nsfw_level": 0, "premium_progress_bar_enabled": false,
        "joined_at": "2021-03-04T05:06:07.000000+00:00", "large": false, "unavailable": false,
        "member_count": MEMBERS, "voice_states": [], "members": members, "channels": [], "threads": [],
        "presences": [], "stage_instances": [], "guild_scheduled_events": [], "stickers": [],
    })
}
