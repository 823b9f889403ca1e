//! Reactions of the bot.
//! <https://discord.com/developers/docs/resources/message#create-reaction>

use serde_json::{Value, json};

use super::super::event::Event;
use super::super::object;
use super::super::sample::value;
use super::super::world::BOT_ID;
use super::channels::Place;
use super::{Answer, Ask, Desk, bot, bot_id};

pub(super) fn answer(
    desk: &mut Desk,
    ask: &Ask,
    place: Place,
    message: &str,
    rest: &[&str],
) -> Answer {
    let kept = desk.message(&place.channel.to_string(), message);
    let about = json!({ "channel_id": place.channel.to_string(), "message_id": message });
    let about = place.mark(about);
    let guild = place.guild_id();
    match (ask.method, rest) {
        ("PUT", [name, "@me"]) => {
            mark(kept, &emoji(name), true);
            let mut data = reaction(about, name);
            data["message_author_id"] = bot_id().into();
            if let Some(guild) = &place.guild {
                data["member"] = value(|out| object::member(out, guild, BOT_ID, true));
            }
            Answer::empty().with(place.event(Event::ReactionAdd), guild, data)
        }
        ("DELETE", [name, _]) => {
            mark(kept, &emoji(name), false);
            let data = reaction(about, name);
            Answer::empty().with(place.event(Event::ReactionRemove), guild, data)
        }
        ("GET", [_]) => Answer::ok(json!([bot()])),
        ("DELETE", [name]) => {
            mark(kept, &emoji(name), false);
            let mut data = about;
            data["emoji"] = emoji(name);
            Answer::empty().with(place.event(Event::ReactionRemoveEmoji), guild, data)
        }
        ("DELETE", []) => {
            if let Some(message) = kept {
                message["reactions"] = json!([]);
            }
            Answer::empty().with(place.event(Event::ReactionRemoveAll), guild, about)
        }
        _ => Answer::not_allowed(),
    }
}

fn reaction(mut about: Value, name: &str) -> Value {
    about["emoji"] = emoji(name);
    about["user_id"] = bot_id().into();
    about["burst"] = false.into();
    about["type"] = 0.into();
    about
}

/// `🎉`, or `name:id` of a guild's own.
fn emoji(name: &str) -> Value {
    match name.split_once(':') {
        Some((name, id)) => json!({ "name": name, "id": id, "animated": false }),
        None => json!({ "name": name, "id": null }),
    }
}

fn mark(message: Option<&mut Value>, emoji: &Value, present: bool) {
    let Some(message) = message else { return };
    let mut all = message["reactions"].as_array().cloned().unwrap_or_default();
    all.retain(|one| one["emoji"] != *emoji);
    if present {
        all.push(json!({
            "emoji": emoji, "count": 1, "me": true, "me_burst": false, "burst_colors": [],
            "count_details": { "burst": 0, "normal": 1 },
        }));
    }
    message["reactions"] = all.into();
}
