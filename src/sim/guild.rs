//! A whole guild as `GUILD_CREATE` carries it.
//! <https://discord.com/developers/docs/events/gateway-events#guild-create>

use super::dice::Dice;
use super::object::{self, list, put};
use super::words::{NAMES, Stamp, WORDS};
use super::world::{BOT_ID, Guild};

/// The whole guild, as in `GUILD_CREATE`. `listed` is how many members it carries beside the bot.
pub(super) fn write(out: &mut String, guild: &Guild, listed: u32, presences: u32, large: bool) {
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
        r#""features":["COMMUNITY","NEWS"],"emojis":[],"stickers":[],"large":{large},"member_count":{},"#,
        guild.members.saturating_add(1)
    );
    put!(
        out,
        r#""joined_at":"{}","voice_states":[],"stage_instances":[],"guild_scheduled_events":[],"#,
        Stamp(dice.below(20_000_000_000))
    );
    out.push_str(r#""soundboard_sounds":[],"roles":"#);
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
    list(out, 0..=listed, |out, n| {
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
    list(out, 0..presences, |out, n| {
        object::presence(out, guild, guild.member(u64::from(n)), &mut dice);
    });
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::super::world::World;
    use super::*;

    #[test]
    fn a_guild_is_valid_json_with_the_documented_keys() {
        for one in (World {
            seed: 4,
            guilds_per_shard: 40,
        })
        .guilds(3, 7)
        {
            let mut out = String::new();
            write(&mut out, &one, 3, 2, true);
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
            assert_eq!(
                value["channels"].as_array().unwrap().len(),
                one.channels as usize
            );
        }
    }
}
