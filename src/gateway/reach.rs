//! Pure: which events the intents let Discord send. One that was chosen and can never come is a mistake.
//!
//! <https://discord.com/developers/docs/events/gateway#list-of-intents>

use twilight_model::gateway::Intents;

/// Events that come with any of these intents. `{A,B}` is written out.
const GATED: &[(Intents, &[&str])] = &[
    (
        Intents::GUILDS,
        &[
            "GUILD_CREATE",
            "GUILD_UPDATE",
            "GUILD_DELETE",
            "GUILD_ROLE_CREATE",
            "GUILD_ROLE_UPDATE",
            "GUILD_ROLE_DELETE",
            "CHANNEL_CREATE",
            "CHANNEL_UPDATE",
            "CHANNEL_DELETE",
            "THREAD_CREATE",
            "THREAD_UPDATE",
            "THREAD_DELETE",
            "THREAD_LIST_SYNC",
            "THREAD_MEMBER_UPDATE",
            "STAGE_INSTANCE_CREATE",
            "STAGE_INSTANCE_UPDATE",
            "STAGE_INSTANCE_DELETE",
            "VOICE_CHANNEL_STATUS_UPDATE",
            "VOICE_CHANNEL_START_TIME_UPDATE",
        ],
    ),
    (
        Intents::GUILDS.union(Intents::GUILD_MEMBERS),
        &["THREAD_MEMBERS_UPDATE"],
    ),
    (
        Intents::GUILDS.union(Intents::DIRECT_MESSAGES),
        &["CHANNEL_PINS_UPDATE"],
    ),
    // GUILD_MEMBER_UPDATE comes for the bot itself without any intent.
    (
        Intents::GUILD_MEMBERS,
        &["GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE"],
    ),
    (
        Intents::GUILD_MODERATION,
        &[
            "GUILD_AUDIT_LOG_ENTRY_CREATE",
            "GUILD_BAN_ADD",
            "GUILD_BAN_REMOVE",
        ],
    ),
    (
        Intents::GUILD_EMOJIS_AND_STICKERS,
        &[
            "GUILD_EMOJIS_UPDATE",
            "GUILD_STICKERS_UPDATE",
            "GUILD_SOUNDBOARD_SOUND_CREATE",
            "GUILD_SOUNDBOARD_SOUND_UPDATE",
            "GUILD_SOUNDBOARD_SOUND_DELETE",
            "GUILD_SOUNDBOARD_SOUNDS_UPDATE",
        ],
    ),
    (
        Intents::GUILD_INTEGRATIONS,
        &[
            "GUILD_INTEGRATIONS_UPDATE",
            "INTEGRATION_CREATE",
            "INTEGRATION_UPDATE",
            "INTEGRATION_DELETE",
        ],
    ),
    (Intents::GUILD_WEBHOOKS, &["WEBHOOKS_UPDATE"]),
    (Intents::GUILD_INVITES, &["INVITE_CREATE", "INVITE_DELETE"]),
    (
        Intents::GUILD_VOICE_STATES,
        &["VOICE_STATE_UPDATE", "VOICE_CHANNEL_EFFECT_SEND"],
    ),
    (Intents::GUILD_PRESENCES, &["PRESENCE_UPDATE"]),
    (
        Intents::GUILD_MESSAGES.union(Intents::DIRECT_MESSAGES),
        &["MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE"],
    ),
    (Intents::GUILD_MESSAGES, &["MESSAGE_DELETE_BULK"]),
    (
        Intents::GUILD_MESSAGE_REACTIONS.union(Intents::DIRECT_MESSAGE_REACTIONS),
        &[
            "MESSAGE_REACTION_ADD",
            "MESSAGE_REACTION_REMOVE",
            "MESSAGE_REACTION_REMOVE_ALL",
            "MESSAGE_REACTION_REMOVE_EMOJI",
        ],
    ),
    (
        Intents::GUILD_MESSAGE_TYPING.union(Intents::DIRECT_MESSAGE_TYPING),
        &["TYPING_START"],
    ),
    (
        Intents::GUILD_SCHEDULED_EVENTS,
        &[
            "GUILD_SCHEDULED_EVENT_CREATE",
            "GUILD_SCHEDULED_EVENT_UPDATE",
            "GUILD_SCHEDULED_EVENT_DELETE",
            "GUILD_SCHEDULED_EVENT_USER_ADD",
            "GUILD_SCHEDULED_EVENT_USER_REMOVE",
        ],
    ),
    (
        Intents::AUTO_MODERATION_CONFIGURATION,
        &[
            "AUTO_MODERATION_RULE_CREATE",
            "AUTO_MODERATION_RULE_UPDATE",
            "AUTO_MODERATION_RULE_DELETE",
        ],
    ),
    (
        Intents::AUTO_MODERATION_EXECUTION,
        &["AUTO_MODERATION_ACTION_EXECUTION"],
    ),
    (
        Intents::GUILD_MESSAGE_POLLS.union(Intents::DIRECT_MESSAGE_POLLS),
        &["MESSAGE_POLL_VOTE_ADD", "MESSAGE_POLL_VOTE_REMOVE"],
    ),
];

/// The intents of which one is needed for an event; none for one that comes with any, or that nobody
/// here has heard of.
pub fn needed(event: &str) -> Option<Intents> {
    let row = GATED.iter().find(|(_, events)| events.contains(&event));
    row.map(|(intents, _)| *intents)
}

/// Of the events that were chosen, those that Discord will never send under these intents, each with
/// the intents of which one is missing.
pub fn out_of_reach(allow: &[String], intents: Intents) -> Vec<(&str, String)> {
    let never = |event: &String| needed(event).filter(|needed| !intents.intersects(*needed));
    allow
        .iter()
        .filter_map(|event| Some((event.as_str(), names(never(event)?))))
        .collect()
}

fn names(intents: Intents) -> String {
    let names: Vec<_> = intents.iter_names().map(|(name, _)| name).collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_intents_never_deliver_is_named() {
        let chosen = [
            "MESSAGE_CREATE",
            "PRESENCE_UPDATE",
            "INTERACTION_CREATE",
            "NEW_THING",
        ];
        let chosen = chosen.map(str::to_owned);
        let never = out_of_reach(&chosen, Intents::GUILDS | Intents::DIRECT_MESSAGES);
        assert_eq!(never, [("PRESENCE_UPDATE", "GUILD_PRESENCES".to_owned())]);
        let never = out_of_reach(&chosen, Intents::GUILDS | Intents::GUILD_PRESENCES);
        let either = "GUILD_MESSAGES or DIRECT_MESSAGES".to_owned();
        assert_eq!(never, [("MESSAGE_CREATE", either)]);
    }

    #[test]
    fn no_event_stands_in_two_rows() {
        let mut seen = std::collections::HashSet::new();
        for event in GATED.iter().flat_map(|(_, events)| *events) {
            assert!(seen.insert(event), "{event}");
        }
    }
}
