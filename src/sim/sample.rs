//! Minimal valid data for every dispatch that is not part of the everyday traffic.
//! <https://discord.com/developers/docs/events/gateway-events#receive-events>

use serde_json::{Value, json};

use super::event::Event;
use super::object;
use super::words::Stamp;
use super::world::{BOT_ID, Guild};

mod application;
mod channel;
mod expression;
mod moderation;
mod upkeep;

/// Where and when something happens, and to whom.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) guild: &'a Guild,
    pub(super) who: u64,
    /// A fresh snowflake.
    pub(super) id: u64,
    pub(super) at: Stamp,
    /// Whether the session may see what people write.
    pub(super) content: bool,
}

/// The data of an event in a guild.
pub(super) fn data(event: Event, scene: &Scene) -> Value {
    upkeep::data(event, scene)
        .or_else(|| channel::data(event, scene))
        .or_else(|| expression::data(event, scene))
        .or_else(|| moderation::data(event, scene))
        .or_else(|| application::data(event, scene))
        .unwrap_or_else(|| json!({ "guild_id": scene.guild() }))
}

/// The data of an event without a guild.
pub(super) fn direct(event: Event, who: u64, channel: u64, id: u64, at: Stamp) -> Value {
    let (who, channel, id) = (who.to_string(), channel.to_string(), id.to_string());
    let emoji = json!({ "name": "🎉", "id": null });
    match event {
        Event::DirectMessageDelete => json!({ "id": id, "channel_id": channel }),
        Event::DirectChannelPinsUpdate => {
            json!({ "channel_id": channel, "last_pin_timestamp": at.to_string() })
        }
        Event::DirectReactionAdd | Event::DirectReactionRemove => json!({
            "user_id": who, "channel_id": channel, "message_id": id, "emoji": emoji,
            "burst": false, "type": 0,
        }),
        Event::DirectReactionRemoveAll => json!({ "channel_id": channel, "message_id": id }),
        Event::DirectReactionRemoveEmoji => {
            json!({ "channel_id": channel, "message_id": id, "emoji": emoji })
        }
        Event::DirectPollVoteAdd | Event::DirectPollVoteRemove => {
            json!({ "user_id": who, "channel_id": channel, "message_id": id, "answer_id": 1 })
        }
        _ => application::private(event, &who, &id, at),
    }
}

impl Scene<'_> {
    fn guild(&self) -> String {
        self.guild.id.to_string()
    }

    fn who(&self) -> String {
        self.who.to_string()
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn text_channel(&self) -> String {
        self.guild.text_channel(0).to_string()
    }

    fn voice_channel(&self) -> String {
        self.guild.voice_channel(0).to_string()
    }

    /// An id in this guild that nothing else has: of something that comes and goes.
    fn passing(&self, kind: u64) -> u64 {
        self.guild.id + 9_000 + kind
    }
}

/// What a writer of [`object`] writes, as a value.
pub(super) fn value(write: impl FnOnce(&mut String)) -> Value {
    let mut out = String::new();
    write(&mut out);
    serde_json::from_str(&out).unwrap_or_default()
}

fn user(id: u64) -> Value {
    value(|out| object::user(out, id))
}

fn bot_id() -> String {
    BOT_ID.to_string()
}

#[cfg(test)]
mod tests {
    //! Every dispatch, read by models that others wrote.
    use std::collections::BTreeSet;

    use twilight_gateway::{EventTypeFlags, parse};

    use super::super::dice::Dice;
    use super::super::event::{Event, intent};
    use super::super::traffic::Traffic;
    use super::super::world::World;

    /// Not about one guild, or naming it by `id`.
    const WITHOUT_GUILD_ID: &[Event] = &[
        Event::GuildCreate,
        Event::GuildDelete,
        Event::GuildUpdate,
        Event::UserUpdate,
        Event::Resumed,
        Event::RateLimited,
    ];

    /// What twilight-model 0.18 does not read: dispatches newer than it, `meta` of `RATE_LIMITED` (it wants an
    /// enum tagged from outside, Discord sends the fields), and a reaction's removal without a guild.
    const NOT_TWILIGHT: &[&str] = &[
        "CHANNEL_INFO",
        "ENTITLEMENT_DELETE",
        "ENTITLEMENT_UPDATE",
        "GUILD_SOUNDBOARD_SOUNDS_UPDATE",
        "GUILD_SOUNDBOARD_SOUND_CREATE",
        "GUILD_SOUNDBOARD_SOUND_DELETE",
        "GUILD_SOUNDBOARD_SOUND_UPDATE",
        "GUILD_STICKERS_UPDATE",
        "MESSAGE_REACTION_REMOVE_EMOJI: missing field `guild_id`",
        "RATE_LIMITED: unknown variant `guild_id`, expected `RequestGuildMembers`",
        "SOUNDBOARD_SOUNDS",
        "VOICE_CHANNEL_EFFECT_SEND",
        "VOICE_CHANNEL_START_TIME_UPDATE",
        "VOICE_CHANNEL_STATUS_UPDATE",
    ];

    #[test]
    fn twilight_reads_each_of_them() {
        let world = World {
            seed: 2,
            guilds_per_shard: 3,
        };
        let mut traffic = Traffic::new(Dice::new(1), world.guilds(0, 1), intent::ALL, false, true);
        let mut unread = BTreeSet::new();
        for &event in Event::ALL.iter().filter(|event| **event != Event::Ready) {
            for _ in 0..20 {
                let mut out = format!(r#"{{"t":"{}","s":1,"op":0,"d":"#, event.name());
                traffic.write(event, &mut out);
                out.push('}');
                let value: serde_json::Value = serde_json::from_str(&out).unwrap();
                let guild = value["d"]["guild_id"].is_string() || WITHOUT_GUILD_ID.contains(&event);
                assert_eq!(guild, !event.private(), "{out}");
                match parse(out.clone(), EventTypeFlags::all()) {
                    Ok(Some(_)) => {}
                    Ok(None) => drop(unread.insert(event.name().to_owned())),
                    Err(error) => {
                        let source = std::error::Error::source(&error).map(ToString::to_string);
                        let source = source.unwrap_or_default();
                        let what = source.split(" at line").next().unwrap_or_default();
                        unread.insert(format!("{}: {what}", event.name()));
                    }
                }
            }
        }
        assert_eq!(Vec::from_iter(unread), NOT_TWILIGHT);
    }
}
