//! Discord's objects as compact JSON, written straight into the payload that is being built.
//! <https://discord.com/developers/docs/resources/guild>

use super::dice::Dice;
use super::words::{NAMES, Stamp, WORDS};
use super::world::{BOT_ID, Guild, channel_kind};

/// Formats into a `String`, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{
        let written = std::fmt::Write::write_fmt($out, format_args!($($arg)*));
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }};
}
pub(super) use put;

/// Separates the elements of a list.
pub(super) fn list<T>(
    out: &mut String,
    items: impl Iterator<Item = T>,
    mut each: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(out, item);
    }
    out.push(']');
}

/// The bot.
pub(super) fn bot(out: &mut String) {
    bot_of(out, BOT_ID);
}

/// The bot with this id.
pub(super) fn bot_of(out: &mut String, id: u64) {
    put!(
        out,
        r#"{{"verified":true,"username":"simulated","mfa_enabled":true,"id":"{id}","global_name":null,"#
    );
    put!(
        out,
        r#""flags":0,"email":null,"discriminator":"0000","bot":true,"avatar":null}}"#
    );
}

/// A user; the bot is one of them.
pub(super) fn user(out: &mut String, id: u64) {
    if id == BOT_ID {
        return bot(out);
    }
    let mut dice = Dice::new(id);
    let (name, suffix) = (dice.pick(NAMES), dice.below(10_000));
    put!(
        out,
        r#"{{"username":"{name}{suffix}","public_flags":0,"primary_guild":null,"id":"{id}","#
    );
    put!(
        out,
        r#""global_name":"{} {}","discriminator":"0","display_name_styles":null,"#,
        dice.pick(NAMES),
        suffix
    );
    put!(
        out,
        r#""clan":null,"bot":false,"avatar_decoration_data":null,"avatar":"{:016x}{:016x}"}}"#,
        dice.next(),
        dice.next()
    );
}

/// A member of `guild`; `whole` with the user in it, as everywhere but in messages.
pub(super) fn member(out: &mut String, guild: &Guild, id: u64, whole: bool) {
    let mut dice = Dice::of(&[guild.id, id]);
    out.push('{');
    if whole {
        out.push_str(r#""user":"#);
        user(out, id);
        out.push(',');
    }
    out.push_str(r#""roles":"#);
    let roles = dice.below(4);
    // Step by one from a random start: no role twice.
    let first = 1 + dice.below(u64::from(guild.roles.saturating_sub(6).max(1)));
    list(
        out,
        0..roles.min(u64::from(guild.roles.saturating_sub(2))),
        |out, n| {
            put!(out, r#""{}""#, guild.role(first + n));
        },
    );
    put!(
        out,
        r#","premium_since":null,"pending":false,"nick":null,"mute":false,"joined_at":"{}","#,
        Stamp(dice.below(20_000_000_000))
    );
    out.push_str(r#""flags":0,"deaf":false,"communication_disabled_until":null,"banner":null,"avatar":null}"#);
}

/// A role of `guild`.
pub(super) fn role(out: &mut String, guild: &Guild, index: u32) {
    let mut dice = Dice::of(&[guild.id, u64::from(index)]);
    let name = if index == 0 {
        "@everyone"
    } else {
        dice.pick(WORDS)
    };
    put!(
        out,
        r#"{{"version":1,"unicode_emoji":null,"tags":{{}},"position":{index},"permissions":"{}","#,
        dice.next() >> 14
    );
    put!(
        out,
        r#""name":"{name}","mentionable":false,"managed":false,"id":"{}","icon":null,"hoist":false,"#,
        guild.role(u64::from(index))
    );
    let color = dice.below(0xFF_FFFF);
    put!(
        out,
        r#""flags":0,"colors":{{"tertiary_color":null,"secondary_color":null,"primary_color":{color}}},"#
    );
    put!(out, r#""color":{color}}}"#);
}

/// A channel of `guild`.
pub(super) fn channel(out: &mut String, guild: &Guild, index: u32) {
    let mut dice = Dice::of(&[guild.id, u64::from(index), 1]);
    let kind = channel_kind(index);
    let id = guild.channel(u64::from(index));
    put!(
        out,
        r#"{{"version":1,"type":{kind},"position":{index},"permission_overwrites":[{{"type":0,"#
    );
    put!(
        out,
        r#""id":"{}","deny":"1024","allow":"0"}}],"name":"{}-{index}","id":"{id}","flags":0"#,
        guild.id,
        dice.pick(WORDS)
    );
    if kind != 4 {
        put!(
            out,
            r#","parent_id":"{}","rate_limit_per_user":0,"nsfw":false,"last_message_id":null"#,
            guild.channel(u64::from(index - index % 5))
        );
    }
    match kind {
        0 => put!(
            out,
            r#","topic":"{} {}""#,
            dice.pick(WORDS),
            dice.pick(WORDS)
        ),
        2 => out.push_str(r#","user_limit":0,"rtc_region":null,"bitrate":64000"#),
        _ => {}
    }
    out.push('}');
}

/// A thread of `guild`.
pub(super) fn thread(out: &mut String, guild: &Guild, index: u64) {
    let mut dice = Dice::of(&[guild.id, index, 2]);
    let (id, parent, owner) = (
        guild.id + 100_000 + index,
        guild.text_channel(index),
        guild.member(index),
    );
    let at = Stamp(dice.below(20_000_000_000));
    put!(
        out,
        r#"{{"type":11,"total_message_sent":4,"thread_metadata":{{"locked":false,"create_timestamp":"{at}","#
    );
    put!(
        out,
        r#""auto_archive_duration":1440,"archived":false,"archive_timestamp":"{at}"}},"rate_limit_per_user":0,"#
    );
    put!(
        out,
        r#""parent_id":"{parent}","owner_id":"{owner}","name":"{} {}","message_count":4,"member_count":2,"#,
        dice.pick(WORDS),
        dice.pick(WORDS)
    );
    put!(
        out,
        r#""last_message_id":null,"id":"{id}","guild_id":"{}","flags":0}}"#,
        guild.id
    );
}

/// A presence, 0.3 to 1 KB.
pub(super) fn presence(out: &mut String, guild: &Guild, id: u64, dice: &mut Dice) {
    let status = dice.pick(&["online", "idle", "dnd"]);
    put!(
        out,
        r#"{{"user":{{"id":"{id}"}},"status":"{status}","guild_id":"{}","client_status":{{"desktop":"{status}"}},"#,
        guild.id
    );
    out.push_str(r#""activities":"#);
    list(out, 0..dice.below(3), |out, n| {
        let at = 1_767_225_600_000 + dice.below(1_000_000_000);
        put!(
            out,
            r#"{{"type":{},"timestamps":{{"start":{at}}},"state":"{} {}","name":"{}","#,
            if n == 0 { 0 } else { 2 },
            dice.pick(WORDS),
            dice.pick(WORDS),
            dice.pick(NAMES)
        );
        put!(
            out,
            r#""id":"{:x}","details":"{} {} {}","created_at":{at},"application_id":"{}","#,
            dice.next(),
            dice.pick(WORDS),
            dice.pick(WORDS),
            dice.pick(WORDS),
            guild.id ^ 0x4D
        );
        put!(
            out,
            r#""assets":{{"large_text":"{}","large_image":"{}"}}}}"#,
            dice.pick(WORDS),
            dice.next()
        );
    });
    out.push_str(r#","processed_at_timestamp":0}"#);
}

/// A voice state as `GUILD_CREATE` lists it: without its guild and member.
pub(super) fn voice_in_guild(out: &mut String, id: u64, channel: u64, mute: bool) {
    put!(
        out,
        r#"{{"user_id":"{id}","suppress":false,"session_id":"{:032x}","self_video":false,"#,
        u128::from(id)
    );
    put!(
        out,
        r#""self_mute":{mute},"self_deaf":false,"request_to_speak_timestamp":null,"mute":false,"#
    );
    put!(out, r#""deaf":false,"channel_id":"{channel}"}}"#);
}

/// A voice state with its guild, as in `VOICE_STATE_UPDATE`.
pub(super) fn voice(
    out: &mut String,
    guild: &Guild,
    id: u64,
    channel: Option<u64>,
    mute: bool,
    deaf: bool,
) {
    out.push_str(r#"{"member":"#);
    member(out, guild, id, true);
    put!(
        out,
        r#","user_id":"{id}","suppress":false,"session_id":"{:032x}","self_video":false,"#,
        u128::from(id)
    );
    put!(
        out,
        r#""self_mute":{mute},"self_deaf":{deaf},"request_to_speak_timestamp":null,"mute":false,"#
    );
    put!(
        out,
        r#""guild_id":"{}","deaf":false,"channel_id":"#,
        guild.id
    );
    match channel {
        Some(channel) => put!(out, r#""{channel}"}}"#),
        None => out.push_str("null}"),
    }
}
