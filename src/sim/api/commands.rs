//! Application commands.
//! <https://discord.com/developers/docs/interactions/application-commands>

use serde_json::{Value, json};

use super::{Answer, Ask, Desk, bot_id};

pub(super) fn answer(desk: &mut Desk, ask: &Ask, guild: Option<&str>, rest: &[&str]) -> Answer {
    let place = guild.unwrap_or_default();
    match (ask.method, rest) {
        ("GET", []) => Answer::ok(desk.commands(place).clone().into()),
        ("PUT", []) => {
            desk.commands(place).clear();
            for body in ask.body.as_array().into_iter().flatten() {
                let command = command(desk, ask, guild, body);
                desk.keep_command(place, command);
            }
            Answer::ok(desk.commands(place).clone().into())
        }
        ("POST", []) => {
            let command = command(desk, ask, guild, &ask.body);
            desk.keep_command(place, command.clone());
            Answer::new(201, command)
        }
        ("GET", ["permissions"]) => Answer::ok(json!([])),
        (_, [id]) => one(desk, ask, place, id),
        _ => Answer::not_allowed(),
    }
}

fn one(desk: &mut Desk, ask: &Ask, place: &str, id: &str) -> Answer {
    let kept = desk.commands(place);
    let Some(at) = kept.iter().position(|command| command["id"] == id) else {
        return Answer::missing(10063, "Unknown application command");
    };
    match ask.method {
        "DELETE" => {
            kept.remove(at);
            Answer::empty()
        }
        "GET" | "PATCH" => match kept.get_mut(at) {
            Some(command) => {
                for (key, value) in ask.body.as_object().into_iter().flatten() {
                    command[key.as_str()] = value.clone();
                }
                Answer::ok(command.clone())
            }
            None => Answer::missing(10063, "Unknown application command"),
        },
        _ => Answer::not_allowed(),
    }
}

fn command(desk: &mut Desk, ask: &Ask, guild: Option<&str>, body: &Value) -> Value {
    let id = desk.snowflake(ask.now_ms);
    let mut command = json!({
        "id": id.to_string(), "version": id.to_string(), "application_id": bot_id(), "type": 1,
        "description": "", "default_member_permissions": null, "dm_permission": true, "nsfw": false,
        "options": [], "name_localizations": null, "description_localizations": null,
        "integration_types": [0], "contexts": null,
    });
    if let Some(guild) = guild {
        command["guild_id"] = guild.into();
    }
    for (key, value) in body.as_object().into_iter().flatten() {
        command[key.as_str()] = value.clone();
    }
    command
}
