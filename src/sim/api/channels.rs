//! Channels, and what is done in them.
//! <https://discord.com/developers/docs/resources/channel>

use serde_json::{Value, json};

use super::super::event::Event;
use super::super::object;
use super::super::sample::value;
use super::super::world::{BOT_ID, DM_CHANNEL, Guild};
use super::{Answer, Ask, Desk, Scope, bot_id, guilds, messages, reactions};

/// Where a message is posted.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) channel: u64,
    /// None: a direct message.
    pub(super) guild: Option<Guild>,
}

impl Place {
    pub(super) fn find(desk: &Desk, scope: &Scope, channel: u64) -> Option<Self> {
        if desk.dm_user(channel).is_some() {
            return Some(Self {
                channel,
                guild: None,
            });
        }
        let guild = scope.find(channel)?;
        let within = channel - guild.id;
        let exists = (1..=u64::from(guild.channels)).contains(&within) || within >= 100_000;
        exists.then_some(Self {
            channel,
            guild: Some(guild),
        })
    }

    pub(super) fn guild_id(self) -> Option<u64> {
        self.guild.map(|guild| guild.id)
    }

    /// The kind of an event in this place.
    pub(super) fn event(self, event: Event) -> Event {
        match self.guild {
            Some(_) => event,
            None => event.direct().unwrap_or(event),
        }
    }

    /// Says which guild `data` is about, if any.
    pub(super) fn mark(self, mut data: Value) -> Value {
        if let Some(guild) = self.guild {
            data["guild_id"] = guild.id.to_string().into();
        }
        data
    }
}

pub(super) fn answer(
    desk: &mut Desk,
    scope: &Scope,
    ask: &Ask,
    channel: &str,
    rest: &[&str],
) -> Answer {
    let found = channel.parse().ok();
    let Some(place) = found.and_then(|id| Place::find(desk, scope, id)) else {
        return Answer::missing(10003, "Unknown Channel");
    };
    match (ask.method, rest) {
        ("GET" | "PATCH", []) => Answer::ok(whole(desk, place)),
        ("POST", ["typing"]) => typing(place, ask.now_ms),
        (_, ["messages", message, "reactions", rest @ ..]) => {
            reactions::answer(desk, ask, place, message, rest)
        }
        (_, ["messages", "pins"]) => {
            Answer::ok(json!({ "items": messages::pinned(desk, place, true), "has_more": false }))
        }
        ("GET", ["pins"]) => Answer::ok(messages::pinned(desk, place, false)),
        ("PUT" | "DELETE", ["pins", message] | ["messages", "pins", message]) => {
            messages::pin(desk, ask, place, message)
        }
        (_, ["messages", rest @ ..]) => messages::answer(desk, ask, place, rest),
        ("GET", ["invites" | "webhooks" | "thread-members"]) => Answer::ok(json!([])),
        _ => Answer::not_allowed(),
    }
}

/// The direct-message channel with a user.
pub(super) fn direct(user: u64) -> Value {
    json!({
        "id": (user + DM_CHANNEL).to_string(), "type": 1, "last_message_id": null, "flags": 0,
        "recipients": [value(|out| object::user(out, user))],
    })
}

fn whole(desk: &Desk, place: Place) -> Value {
    match place.guild {
        None => desk.dm_user(place.channel).map(direct).unwrap_or_default(),
        Some(guild) => match place.channel - guild.id {
            thread @ 100_000.. => value(|out| object::thread(out, &guild, thread - 100_000)),
            index => guilds::channel(&guild, u32::try_from(index - 1).unwrap_or(0)),
        },
    }
}

fn typing(place: Place, now_ms: u64) -> Answer {
    let mut data = json!({
        "channel_id": place.channel.to_string(), "user_id": bot_id(), "timestamp": now_ms / 1000,
    });
    if let Some(guild) = &place.guild {
        data["member"] = value(|out| object::member(out, guild, BOT_ID, true));
    }
    let event = place.event(Event::TypingStart);
    Answer::empty().with(event, place.guild_id(), place.mark(data))
}
