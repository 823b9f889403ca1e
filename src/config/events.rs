//! Names of dispatch events, as an operator writes them, and those that Discord has.

use serde::{Deserialize, Deserializer, de};

/// Names of dispatch events; a list, or in a variable a comma list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events(pub Vec<String>);

impl<'de> Deserialize<'de> for Events {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = words(deserializer)?;
        let bad = |name: &&String| !could_be(name);
        none_of(&names, bad, "the name of an event", DISCORD).map_err(de::Error::custom)?;
        Ok(Self(names))
    }
}

/// True for what looks like the name of an event, whether or not Discord has it.
pub fn could_be(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && name.chars().all(letter)
}

/// True for a name that Discord's documentation has.
pub fn is_known(name: &str) -> bool {
    DISCORD.contains(&name)
}

/// What is wrong with each name that Discord's documentation does not have. Nothing is ever sent under it,
/// unless it is newer than this release.
pub fn unknown(names: &[String]) -> Vec<String> {
    let known = |name: &str| is_known(name) || name == crate::subject::UNNAMED_EVENT;
    let unknown = names.iter().filter(|name| !known(name));
    unknown
        .map(|name| match nearest(name, DISCORD) {
            Some(near) => format!("Discord has no event {name}; {near} is near"),
            None => format!("Discord has no event {name}"),
        })
        .collect()
}

/// Why those of these names that are always forwarded cannot be left out.
pub fn undeniable(names: &[String]) -> Option<String> {
    let always = |name: &&String| ["READY", "RESUMED"].contains(&name.as_str());
    let found: Vec<_> = names.iter().filter(always).map(String::as_str).collect();
    let verb = if found.len() == 1 { "is" } else { "are" };
    (!found.is_empty()).then(|| {
        format!(
            "{} {verb} always forwarded: they carry the point from which a shard is resumed",
            found.join(" and ")
        )
    })
}

/// The word that was probably meant. A shared beginning counts most: names of one family begin alike.
pub fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_uppercase();
    let like = |other: &str| strsim::jaro_winkler(&word, other);
    let best = words.iter().max_by(|a, b| like(a).total_cmp(&like(b)))?;
    (like(best) >= 0.8).then_some(*best)
}

/// Names all those that are not what they should be, with the nearest of what is known.
pub(super) fn none_of(
    names: &[String],
    bad: impl Fn(&&String) -> bool,
    what: &str,
    known: &[&str],
) -> Result<(), String> {
    let told = |name: &String| match nearest(name, known) {
        Some(near) => format!("{name:?} ({near}?)"),
        None => format!("{name:?}"),
    };
    let bad: Vec<_> = names.iter().filter(bad).map(told).collect();
    match bad.as_slice() {
        [] => Ok(()),
        [one] => Err(format!("{one} is not {what}")),
        several => Err(format!("none of {} is {what}", several.join(", "))),
    }
}

/// A list of words, or one string with commas between them. A variable may write the file's list, too.
pub(super) fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "not a list of names")]
    enum Words {
        List(Vec<String>),
        Line(String),
    }
    Ok(match Words::deserialize(deserializer)? {
        Words::List(words) => words,
        Words::Line(line) => split(&line),
    })
}

fn split(line: &str) -> Vec<String> {
    let line = line.trim();
    let list = line.strip_prefix('[').and_then(|l| l.strip_suffix(']'));
    let words = list.unwrap_or(line).split(',');
    let bare = |word: &str| word.trim().trim_matches(['"', '\'']).to_owned();
    words.map(bare).filter(|word| !word.is_empty()).collect()
}

/// <https://discord.com/developers/docs/events/gateway-events#receive-events>
const DISCORD: &[&str] = &[
    "APPLICATION_COMMAND_PERMISSIONS_UPDATE",
    "AUTO_MODERATION_ACTION_EXECUTION",
    "AUTO_MODERATION_RULE_CREATE",
    "AUTO_MODERATION_RULE_DELETE",
    "AUTO_MODERATION_RULE_UPDATE",
    "CHANNEL_CREATE",
    "CHANNEL_DELETE",
    "CHANNEL_INFO",
    "CHANNEL_PINS_UPDATE",
    "CHANNEL_UPDATE",
    "ENTITLEMENT_CREATE",
    "ENTITLEMENT_DELETE",
    "ENTITLEMENT_UPDATE",
    "GUILD_AUDIT_LOG_ENTRY_CREATE",
    "GUILD_BAN_ADD",
    "GUILD_BAN_REMOVE",
    "GUILD_CREATE",
    "GUILD_DELETE",
    "GUILD_EMOJIS_UPDATE",
    "GUILD_INTEGRATIONS_UPDATE",
    "GUILD_MEMBERS_CHUNK",
    "GUILD_MEMBER_ADD",
    "GUILD_MEMBER_REMOVE",
    "GUILD_MEMBER_UPDATE",
    "GUILD_ROLE_CREATE",
    "GUILD_ROLE_DELETE",
    "GUILD_ROLE_UPDATE",
    "GUILD_SCHEDULED_EVENT_CREATE",
    "GUILD_SCHEDULED_EVENT_DELETE",
    "GUILD_SCHEDULED_EVENT_UPDATE",
    "GUILD_SCHEDULED_EVENT_USER_ADD",
    "GUILD_SCHEDULED_EVENT_USER_REMOVE",
    "GUILD_SOUNDBOARD_SOUNDS_UPDATE",
    "GUILD_SOUNDBOARD_SOUND_CREATE",
    "GUILD_SOUNDBOARD_SOUND_DELETE",
    "GUILD_SOUNDBOARD_SOUND_UPDATE",
    "GUILD_STICKERS_UPDATE",
    "GUILD_UPDATE",
    "INTEGRATION_CREATE",
    "INTEGRATION_DELETE",
    "INTEGRATION_UPDATE",
    "INTERACTION_CREATE",
    "INVITE_CREATE",
    "INVITE_DELETE",
    "MESSAGE_CREATE",
    "MESSAGE_DELETE",
    "MESSAGE_DELETE_BULK",
    "MESSAGE_POLL_VOTE_ADD",
    "MESSAGE_POLL_VOTE_REMOVE",
    "MESSAGE_REACTION_ADD",
    "MESSAGE_REACTION_REMOVE",
    "MESSAGE_REACTION_REMOVE_ALL",
    "MESSAGE_REACTION_REMOVE_EMOJI",
    "MESSAGE_UPDATE",
    "PRESENCE_UPDATE",
    "RATE_LIMITED",
    "READY",
    "RESUMED",
    "SOUNDBOARD_SOUNDS",
    "STAGE_INSTANCE_CREATE",
    "STAGE_INSTANCE_DELETE",
    "STAGE_INSTANCE_UPDATE",
    "SUBSCRIPTION_CREATE",
    "SUBSCRIPTION_DELETE",
    "SUBSCRIPTION_UPDATE",
    "THREAD_CREATE",
    "THREAD_DELETE",
    "THREAD_LIST_SYNC",
    "THREAD_MEMBERS_UPDATE",
    "THREAD_MEMBER_UPDATE",
    "THREAD_UPDATE",
    "TYPING_START",
    "USER_UPDATE",
    "VOICE_CHANNEL_EFFECT_SEND",
    "VOICE_CHANNEL_START_TIME_UPDATE",
    "VOICE_CHANNEL_STATUS_UPDATE",
    "VOICE_SERVER_UPDATE",
    "VOICE_STATE_UPDATE",
    "WEBHOOKS_UPDATE",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> Vec<String> {
        unknown(&[name.to_owned()])
    }

    #[test]
    fn a_name_that_discord_does_not_have_is_told_with_the_nearest() {
        for (typo, meant) in [
            ("MESSAGE_CRATE", "MESSAGE_CREATE"),
            ("MESAGE_CREATE", "MESSAGE_CREATE"),
            ("TYPING", "TYPING_START"),
            ("PRESENCES_UPDATE", "PRESENCE_UPDATE"),
            ("GUILD_MEMBER_JOIN", "GUILD_MEMBER_ADD"),
        ] {
            let family = meant.split('_').next().unwrap();
            let near = nearest(typo, DISCORD).unwrap();
            assert!(near.starts_with(family), "{typo}: {near}");
            assert!(told(typo)[0].contains("is near"));
        }
        assert_eq!(nearest("MESSAGE_CRATE", DISCORD), Some("MESSAGE_CREATE"));
        assert_eq!(nearest("message_create", DISCORD), Some("MESSAGE_CREATE"));
        assert_eq!(told("QUUX"), ["Discord has no event QUUX"]);
        assert_eq!(told("FLEET_UNNAMED").len() + told("GUILD_CREATE").len(), 0);
        assert_eq!(told("FLEET_GAP").len(), 1);
    }

    #[test]
    fn the_names_stand_in_order_and_once() {
        assert!(DISCORD.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_variable_writes_a_list_as_it_likes() {
        for line in ["A, B", "[A,B]", "[\"A\", 'B']", "A,,B,"] {
            assert_eq!(split(line), ["A", "B"], "{line}");
        }
        assert!(split("[]").is_empty() && split("").is_empty());
    }
}
