//! Guilds, their channels, roles and members.
//! <https://discord.com/developers/docs/resources/guild>

use serde_json::{Value, json};

use super::super::guild::updated;
use super::super::object;
use super::super::sample::value;
use super::super::world::{BOT_ID, Guild};
use super::{Answer, Ask, Scope};

/// Members of one guild that can be listed.
const MOST_MEMBERS: u32 = 10_000;

pub(super) fn answer(scope: &Scope, ask: &Ask, guild: &str, rest: &[&str]) -> Answer {
    let Some(guild) = guild
        .parse()
        .ok()
        .and_then(|id| scope.find(id).filter(|found| found.id == id))
    else {
        return Answer::missing(10004, "Unknown Guild");
    };
    if ask.method != "GET" {
        return change(ask, &guild, rest);
    }
    match rest {
        [] => Answer::ok(whole(&guild, ask.query("with_counts") == Some("true"))),
        ["channels"] => Answer::ok((0..guild.channels).map(|n| channel(&guild, n)).collect()),
        ["roles"] => Answer::ok((0..guild.roles).map(|n| role(&guild, n)).collect()),
        ["roles", id] => {
            let found = (0..guild.roles).find(|n| guild.role(u64::from(*n)).to_string() == **id);
            found.map_or_else(
                || Answer::missing(10011, "Unknown Role"),
                |n| Answer::ok(role(&guild, n)),
            )
        }
        ["members"] => {
            let after = ask
                .query("after")
                .and_then(|id| id.parse().ok())
                .unwrap_or(0);
            let mut ids: Vec<u64> = members(&guild).filter(|id| *id > after).collect();
            ids.sort_unstable();
            let page = ids.into_iter().take(ask.limit(1, 1000));
            Answer::ok(page.map(|id| member(&guild, id)).collect())
        }
        ["members", "search"] => {
            let wanted = format!(r#""username":"{}"#, ask.query("query").unwrap_or_default());
            let named = |id: &u64| {
                let mut user = String::new();
                object::user(&mut user, *id);
                user.contains(&wanted)
            };
            let page = members(&guild).filter(named).take(ask.limit(1, 1000));
            Answer::ok(page.map(|id| member(&guild, id)).collect())
        }
        ["members", id] => match id
            .parse()
            .ok()
            .filter(|id| members(&guild).any(|one| one == *id))
        {
            Some(id) => Answer::ok(member(&guild, id)),
            None => Answer::missing(10007, "Unknown Member"),
        },
        ["threads", "active"] => Answer::ok(json!({ "threads": [], "members": [] })),
        [
            "emojis" | "stickers" | "webhooks" | "invites" | "bans" | "integrations"
            | "scheduled-events",
        ]
        | ["auto-moderation", "rules"] => Answer::ok(json!([])),
        ["soundboard-sounds"] => Answer::ok(json!({ "items": [] })),
        ["audit-logs"] => Answer::ok(json!({
            "audit_log_entries": [], "users": [], "integrations": [], "webhooks": [],
            "guild_scheduled_events": [], "threads": [], "application_commands": [],
            "auto_moderation_rules": [],
        })),
        ["voice-states", _] => Answer::missing(10065, "Unknown Voice State"),
        _ => Answer::missing(0, "404: Not Found"),
    }
}

/// As `GET /users/@me/guilds` lists it.
pub(super) fn listed(guild: &Guild) -> Value {
    let whole = updated(guild);
    json!({
        "id": whole["id"], "name": whole["name"], "icon": whole["icon"], "banner": null,
        "owner": false, "permissions": "2222085186637376", "features": whole["features"],
        "approximate_member_count": guild.members, "approximate_presence_count": guild.members / 5,
    })
}

fn change(ask: &Ask, guild: &Guild, rest: &[&str]) -> Answer {
    match (ask.method, rest) {
        ("PATCH", ["members", "@me"]) => Answer::ok(member(guild, BOT_ID)),
        ("PATCH", ["members", id]) => id.parse().map_or_else(
            |_| Answer::missing(10007, "Unknown Member"),
            |id| Answer::ok(member(guild, id)),
        ),
        ("PATCH", ["voice-states", _]) | ("PUT" | "DELETE", ["members", _, "roles", _]) => {
            Answer::empty()
        }
        _ => Answer::not_allowed(),
    }
}

fn whole(guild: &Guild, counts: bool) -> Value {
    let mut whole = updated(guild);
    if counts {
        whole["approximate_member_count"] = guild.members.into();
        whole["approximate_presence_count"] = (guild.members / 5).into();
    }
    whole
}

fn members(guild: &Guild) -> impl Iterator<Item = u64> {
    let known = 0..u64::from(guild.members.min(MOST_MEMBERS));
    known.map(|index| guild.member(index)).chain([BOT_ID])
}

fn member(guild: &Guild, id: u64) -> Value {
    value(|out| object::member(out, guild, id, true))
}

fn role(guild: &Guild, index: u32) -> Value {
    value(|out| object::role(out, guild, index))
}

pub(super) fn channel(guild: &Guild, index: u32) -> Value {
    let mut channel = value(|out| object::channel(out, guild, index));
    channel["guild_id"] = guild.id.to_string().into();
    channel
}
