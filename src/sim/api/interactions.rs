//! Answers to interactions, and what follows them.
//! <https://discord.com/developers/docs/interactions/receiving-and-responding>

use serde_json::{Value, json};

use super::super::world::interaction_of;
use super::channels::Place;
use super::{Answer, Ask, Desk, Scope, bot_id, messages};

/// `POST /interactions/{id}/{token}/callback`.
pub(super) fn callback(desk: &mut Desk, scope: &Scope, ask: &Ask, token: &str) -> Answer {
    let Some((place, id)) = find(desk, scope, token) else {
        return Answer::missing(10062, "Unknown interaction");
    };
    let kind = ask.body["type"].as_u64().unwrap_or(0);
    let mut made = json!({ "interaction": {
        "id": id.to_string(), "type": 2, "response_message_loading": kind == 5,
        "response_message_ephemeral": false,
    } });
    let mut news = Vec::new();
    if kind == 4 {
        match messages::post(desk, ask, place, &ask.body["data"]) {
            Ok((message, told)) => {
                let message = sign(desk, &message, token);
                made["interaction"]["response_message_id"] = message["id"].clone();
                made["resource"] = json!({ "type": 4, "message": message });
                news.push(told);
            }
            Err(answer) => return answer,
        }
    }
    let answer = match ask.query("with_response") {
        Some("true" | "True" | "1") => Answer::ok(made),
        _ => Answer::empty(),
    };
    Answer { news, ..answer }
}

/// `/webhooks/{application}/{token}…` of an interaction.
pub(super) fn webhook(
    desk: &mut Desk,
    scope: &Scope,
    ask: &Ask,
    token: &str,
    rest: &[&str],
) -> Answer {
    let Some((place, _)) = find(desk, scope, token) else {
        return Answer::missing(10015, "Unknown Webhook");
    };
    let original = || {
        desk.messages
            .iter()
            .find(|message| message["webhook_token"] == token)
    };
    let id = |name: &str| match name {
        "@original" => original().and_then(|found| found["id"].as_str().map(str::to_owned)),
        other => Some(other.to_owned()),
    };
    match (ask.method, rest) {
        ("POST", []) => follow(desk, ask, place, token),
        ("GET", ["messages", name]) => id(name)
            .and_then(|id| desk.message(&place.channel.to_string(), &id).cloned())
            .map_or_else(messages::unknown, Answer::ok),
        ("PATCH", ["messages", name]) => match id(name) {
            Some(id) => messages::edit(desk, ask, place, &id, &ask.body),
            // What was deferred is answered now.
            None => follow(desk, ask, place, token),
        },
        ("DELETE", ["messages", name]) => match id(name) {
            Some(id) => messages::delete(desk, place, &id),
            None => messages::unknown(),
        },
        _ => Answer::not_allowed(),
    }
}

fn follow(desk: &mut Desk, ask: &Ask, place: Place, token: &str) -> Answer {
    match messages::post(desk, ask, place, &ask.body) {
        Ok((message, told)) => Answer {
            news: vec![told],
            ..Answer::ok(sign(desk, &message, token))
        },
        Err(answer) => answer,
    }
}

/// A message of an interaction knows it, so that `@original` finds it.
fn sign(desk: &mut Desk, message: &Value, token: &str) -> Value {
    let (channel, id) = (&message["channel_id"], &message["id"]);
    let kept = desk.message(
        channel.as_str().unwrap_or_default(),
        id.as_str().unwrap_or_default(),
    );
    let Some(kept) = kept else {
        return message.clone();
    };
    kept["webhook_token"] = token.into();
    kept["webhook_id"] = bot_id().into();
    kept["application_id"] = bot_id().into();
    let mut shown = kept.clone();
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("webhook_token");
    }
    shown
}

fn find(desk: &Desk, scope: &Scope, token: &str) -> Option<(Place, u64)> {
    let (channel, id) = interaction_of(token)?;
    Some((Place::find(desk, scope, channel)?, id))
}
