//! The bot, its application, other users.
//! <https://discord.com/developers/docs/resources/user>

use serde_json::{Value, json};

use super::super::object;
use super::super::sample::value;
use super::{Answer, Ask, Desk, Scope, channels, guilds};

pub(super) fn users(desk: &mut Desk, scope: &Scope, ask: &Ask, rest: &[&str]) -> Answer {
    match (ask.method, rest) {
        ("GET", ["@me"]) => Answer::ok(me(ask)),
        ("PATCH", ["@me"]) => {
            let mut me = me(ask);
            if let Some(name) = ask.body["username"].as_str() {
                me["username"] = name.into();
            }
            Answer::ok(me)
        }
        ("GET", ["@me", "guilds"]) => {
            let after = ask
                .query("after")
                .and_then(|id| id.parse().ok())
                .unwrap_or(0);
            let found = scope.all().into_iter().filter(|guild| guild.id > after);
            let page: Vec<_> = found
                .take(ask.limit(200, 200))
                .map(|guild| guilds::listed(&guild))
                .collect();
            Answer::ok(page.into())
        }
        ("GET", ["@me", "channels"]) => Answer::ok(json!([])),
        ("POST", ["@me", "channels"]) => match id(&ask.body["recipient_id"]) {
            Some(user) => {
                desk.open_dm(user);
                Answer::ok(channels::direct(user))
            }
            None => Answer::bad(50033, "Invalid Recipient(s)"),
        },
        ("GET", [user]) => match user.parse() {
            Ok(user) => Answer::ok(value(|out| object::user(out, user))),
            Err(_) => Answer::missing(10013, "Unknown User"),
        },
        _ => Answer::not_allowed(),
    }
}

fn me(ask: &Ask) -> Value {
    value(|out| object::bot_of(out, ask.bot))
}

pub(super) fn application(bot: u64) -> Value {
    json!({
        "id": bot.to_string(), "name": "simulated", "icon": null, "description": "", "summary": "",
        "type": null, "bot": value(|out| object::bot_of(out, bot)), "bot_public": true, "bot_require_code_grant": false,
        "is_monetized": false, "verify_key": "0".repeat(64), "flags": 565_248, "hook": true,
        "redirect_uris": [], "interactions_endpoint_url": null, "role_connections_verification_url": null,
        "approximate_guild_count": 0, "approximate_user_install_count": 0, "team": null,
        "owner": value(|out| object::user(out, 100_000_000_000_000_000)), "tags": [],
        "integration_types_config": { "0": {} },
    })
}

/// An id, which Discord takes as a string or as a number.
pub(super) fn id(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str().and_then(|id| id.parse().ok()))
}
