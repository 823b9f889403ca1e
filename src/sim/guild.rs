//! A guild as JSON: whole as `GUILD_CREATE` carries it, and without what only that carries.
//! <https://discord.com/developers/docs/events/gateway-events#guild-create>

use serde_json::Value;

use super::dice::Dice;
use super::object::{self, list, put};
use super::sample::value;
use super::words::{NAMES, Stamp, WORDS};
use super::world::{BOT_ID, Guild};

/// How much of a guild a session is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shown {
    /// Members beside the bot.
    pub(super) members: u32,
    pub(super) presences: u32,
    /// Members in voice channels; they are among the members.
    pub(super) voices: u32,
    pub(super) large: bool,
}

/// The whole guild, as in `GUILD_CREATE`.
pub(super) fn write(out: &mut String, guild: &Guild, shown: &Shown) {
    let mut dice = Dice::new(guild.id);
    let owner = guild.member(0);
    put!(
        out,
        r#"{{"id":"{}","name":"{} {}","icon":"{:032x}","splash":null,"discovery_splash":null,"banner":null,"#,
        guild.id,
        dice.pick(NAMES),
        dice.pick(WORDS),
        u128::from(dice.next())
    );
    put!(
        out,
        r#""owner_id":"{owner}","afk_channel_id":null,"afk_timeout":300,"verification_level":1,"#
    );
    out.push_str(r#""default_message_notifications":1,"explicit_content_filter":2,"mfa_level":0,"nsfw_level":0,"#);
    out.push_str(r#""application_id":null,"system_channel_flags":0,"rules_channel_id":null,"max_presences":null,"#);
    put!(
        out,
        r#""system_channel_id":"{}","max_members":500000,"max_video_channel_users":25,"#,
        guild.text_channel(0)
    );
    out.push_str(r#""max_stage_video_channel_users":50,"vanity_url_code":null,"description":null,"premium_tier":1,"#);
    out.push_str(r#""premium_subscription_count":3,"premium_progress_bar_enabled":false,"preferred_locale":"en-US","#);
    out.push_str(r#""public_updates_channel_id":null,"safety_alerts_channel_id":null,"nsfw":false,"unavailable":false,"#);
    put!(
        out,
        r#""features":["COMMUNITY","NEWS"],"emojis":[],"stickers":[],"large":{},"member_count":{},"#,
        shown.large,
        guild.members.saturating_add(1)
    );
    put!(
        out,
        r#""joined_at":"{}","stage_instances":[],"guild_scheduled_events":[],"soundboard_sounds":[],"#,
        Stamp(dice.below(20_000_000_000))
    );
    out.push_str(r#""voice_states":"#);
    list(out, 0..shown.voices, |out, n| {
        let (who, channel) = (
            guild.member(u64::from(n)),
            guild.voice_channel(u64::from(n / 4)),
        );
        object::voice_in_guild(out, who, channel, n % 3 == 0);
    });
    out.push_str(r#","roles":"#);
    list(out, 0..guild.roles, |out, n| object::role(out, guild, n));
    out.push_str(r#","channels":"#);
    list(out, 0..guild.channels, |out, n| {
        object::channel(out, guild, n);
    });
    out.push_str(r#","threads":"#);
    list(out, 0..guild.threads, |out, n| {
        object::thread(out, guild, u64::from(n));
    });
    out.push_str(r#","members":"#);
    list(out, 0..=shown.members.max(shown.voices), |out, n| {
        object::member(
            out,
            guild,
            if n == 0 {
                BOT_ID
            } else {
                guild.member(u64::from(n - 1))
            },
            true,
        );
    });
    out.push_str(r#","presences":"#);
    list(out, 0..shown.presences, |out, n| {
        object::presence(out, guild, guild.member(u64::from(n)), &mut dice);
    });
    out.push('}');
}

/// A guild without what only `GUILD_CREATE` says of it.
pub(super) fn updated(whole: &Guild) -> Value {
    let bare = Guild {
        channels: 0,
        threads: 0,
        ..*whole
    };
    let mut guild = value(|out| write(out, &bare, &Shown::default()));
    for (key, channel) in [("system_channel_id", whole.text_channel(0))] {
        if let Some(field) = guild.get_mut(key) {
            *field = channel.to_string().into();
        }
    }
    if let Some(fields) = guild.as_object_mut() {
        fields.retain(|key, _| !ONLY_CREATED.contains(&key.as_str()));
    }
    guild
}

/// <https://discord.com/developers/docs/events/gateway-events#guild-create-guild-create-extra-fields>
const ONLY_CREATED: &[&str] = &[
    "joined_at",
    "large",
    "unavailable",
    "member_count",
    "voice_states",
    "members",
    "channels",
    "threads",
    "presences",
    "stage_instances",
    "guild_scheduled_events",
    "soundboard_sounds",
];

#[cfg(test)]
mod tests {
    use super::super::world::World;
    use super::*;

    #[test]
    fn a_few_guilds_are_megabytes_long_and_most_are_not() {
        let world = World {
            seed: 1,
            guilds_per_shard: 500,
        };
        let length = |guild: &Guild| {
            let mut out = String::new();
            write(&mut out, guild, &Shown::default());
            out.len()
        };
        let mut lengths: Vec<usize> = world.guilds(0, 1).iter().map(length).collect();
        lengths.sort_unstable();
        assert!(lengths[250] < 50_000, "{}", lengths[250]);
        assert!(lengths[499] > 1_000_000, "{}", lengths[499]);
    }

    #[test]
    fn a_guild_is_valid_json_with_the_documented_keys() {
        for one in (World {
            seed: 4,
            guilds_per_shard: 40,
        })
        .guilds(3, 7)
        {
            let mut out = String::new();
            let shown = Shown {
                members: 3,
                presences: 2,
                voices: 2,
                large: true,
            };
            write(&mut out, &one, &shown);
            let value: serde_json::Value = serde_json::from_str(&out).unwrap();
            for key in [
                "joined_at",
                "large",
                "member_count",
                "voice_states",
                "members",
                "channels",
                "threads",
                "presences",
                "stage_instances",
                "guild_scheduled_events",
                "soundboard_sounds",
            ] {
                assert!(value.get(key).is_some(), "{key}");
            }
            assert_eq!(value["members"].as_array().unwrap().len(), 4);
            let voices = value["voice_states"].as_array().unwrap();
            assert_eq!(voices.len(), 2);
            for (voice, member) in voices.iter().zip(1..) {
                assert_eq!(voice["user_id"], value["members"][member]["user"]["id"]);
                let channels = value["channels"].as_array().unwrap();
                let channel = channels.iter().find(|one| one["id"] == voice["channel_id"]);
                assert_eq!(channel.unwrap()["type"], 2);
            }
            assert_eq!(
                value["channels"].as_array().unwrap().len(),
                one.channels as usize
            );
        }
    }
}
