//! The dispatches that the simulator sends, and the intent that each needs.
//! <https://discord.com/developers/docs/events/gateway#gateway-intents>

/// Bits of the documented intents, <https://discord.com/developers/docs/events/gateway#list-of-intents>.
pub(super) mod intent {
    pub(in super::super) const GUILDS: u64 = 1 << 0;
    pub(in super::super) const MEMBERS: u64 = 1 << 1;
    pub(in super::super) const MODERATION: u64 = 1 << 2;
    pub(in super::super) const EXPRESSIONS: u64 = 1 << 3;
    pub(in super::super) const INTEGRATIONS: u64 = 1 << 4;
    pub(in super::super) const WEBHOOKS: u64 = 1 << 5;
    pub(in super::super) const INVITES: u64 = 1 << 6;
    pub(in super::super) const VOICE_STATES: u64 = 1 << 7;
    pub(in super::super) const PRESENCES: u64 = 1 << 8;
    pub(in super::super) const MESSAGES: u64 = 1 << 9;
    pub(in super::super) const REACTIONS: u64 = 1 << 10;
    pub(in super::super) const TYPING: u64 = 1 << 11;
    pub(in super::super) const DIRECT_MESSAGES: u64 = 1 << 12;
    pub(in super::super) const DIRECT_REACTIONS: u64 = 1 << 13;
    pub(in super::super) const DIRECT_TYPING: u64 = 1 << 14;
    pub(in super::super) const MESSAGE_CONTENT: u64 = 1 << 15;
    pub(in super::super) const SCHEDULED_EVENTS: u64 = 1 << 16;
    pub(in super::super) const AUTOMOD_CONFIGURATION: u64 = 1 << 20;
    pub(in super::super) const AUTOMOD_EXECUTION: u64 = 1 << 21;
    pub(in super::super) const POLLS: u64 = 1 << 24;
    pub(in super::super) const DIRECT_POLLS: u64 = 1 << 25;
    /// Every documented bit; another one closes the connection with 4013.
    pub(in super::super) const ALL: u64 = 53_608_447;
}

macro_rules! events {
    ($($variant:ident $name:literal $gate:expr,)*) => {
        /// A kind of dispatch: the 79 that are documented, and what comes in direct messages once more.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Event { $($variant,)* }

        impl Event {
            /// Every kind; the name of a direct message's comes a second time.
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The `t` of the dispatch.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Intents of which one must be held; none: always sent.
            fn gate(self) -> u64 {
                match self { $(Self::$variant => $gate,)* }
            }
        }
    };
}

events! {
    Ready "READY" 0,
    Resumed "RESUMED" 0,
    GuildDelete "GUILD_DELETE" intent::GUILDS,
    GuildCreate "GUILD_CREATE" intent::GUILDS,
    GuildUpdate "GUILD_UPDATE" intent::GUILDS,
    GuildRoleCreate "GUILD_ROLE_CREATE" intent::GUILDS,
    GuildRoleUpdate "GUILD_ROLE_UPDATE" intent::GUILDS,
    GuildRoleDelete "GUILD_ROLE_DELETE" intent::GUILDS,
    ChannelCreate "CHANNEL_CREATE" intent::GUILDS,
    ChannelUpdate "CHANNEL_UPDATE" intent::GUILDS,
    ChannelDelete "CHANNEL_DELETE" intent::GUILDS,
    ChannelPinsUpdate "CHANNEL_PINS_UPDATE" intent::GUILDS,
    ThreadCreate "THREAD_CREATE" intent::GUILDS,
    ThreadUpdate "THREAD_UPDATE" intent::GUILDS,
    ThreadDelete "THREAD_DELETE" intent::GUILDS,
    ThreadListSync "THREAD_LIST_SYNC" intent::GUILDS,
    ThreadMemberUpdate "THREAD_MEMBER_UPDATE" intent::GUILDS,
    ThreadMembersUpdate "THREAD_MEMBERS_UPDATE" intent::GUILDS | intent::MEMBERS,
    StageInstanceCreate "STAGE_INSTANCE_CREATE" intent::GUILDS,
    StageInstanceUpdate "STAGE_INSTANCE_UPDATE" intent::GUILDS,
    StageInstanceDelete "STAGE_INSTANCE_DELETE" intent::GUILDS,
    VoiceChannelStatusUpdate "VOICE_CHANNEL_STATUS_UPDATE" intent::GUILDS,
    VoiceChannelStartTimeUpdate "VOICE_CHANNEL_START_TIME_UPDATE" intent::GUILDS,
    GuildMemberAdd "GUILD_MEMBER_ADD" intent::MEMBERS,
    GuildMemberUpdate "GUILD_MEMBER_UPDATE" intent::MEMBERS,
    GuildMemberRemove "GUILD_MEMBER_REMOVE" intent::MEMBERS,
    AuditLogEntryCreate "GUILD_AUDIT_LOG_ENTRY_CREATE" intent::MODERATION,
    GuildBanAdd "GUILD_BAN_ADD" intent::MODERATION,
    GuildBanRemove "GUILD_BAN_REMOVE" intent::MODERATION,
    GuildEmojisUpdate "GUILD_EMOJIS_UPDATE" intent::EXPRESSIONS,
    GuildStickersUpdate "GUILD_STICKERS_UPDATE" intent::EXPRESSIONS,
    GuildSoundboardSoundCreate "GUILD_SOUNDBOARD_SOUND_CREATE" intent::EXPRESSIONS,
    GuildSoundboardSoundUpdate "GUILD_SOUNDBOARD_SOUND_UPDATE" intent::EXPRESSIONS,
    GuildSoundboardSoundDelete "GUILD_SOUNDBOARD_SOUND_DELETE" intent::EXPRESSIONS,
    GuildSoundboardSoundsUpdate "GUILD_SOUNDBOARD_SOUNDS_UPDATE" intent::EXPRESSIONS,
    GuildIntegrationsUpdate "GUILD_INTEGRATIONS_UPDATE" intent::INTEGRATIONS,
    IntegrationCreate "INTEGRATION_CREATE" intent::INTEGRATIONS,
    IntegrationUpdate "INTEGRATION_UPDATE" intent::INTEGRATIONS,
    IntegrationDelete "INTEGRATION_DELETE" intent::INTEGRATIONS,
    WebhooksUpdate "WEBHOOKS_UPDATE" intent::WEBHOOKS,
    InviteCreate "INVITE_CREATE" intent::INVITES,
    InviteDelete "INVITE_DELETE" intent::INVITES,
    VoiceStateUpdate "VOICE_STATE_UPDATE" intent::VOICE_STATES,
    VoiceChannelEffectSend "VOICE_CHANNEL_EFFECT_SEND" intent::VOICE_STATES,
    PresenceUpdate "PRESENCE_UPDATE" intent::PRESENCES,
    MessageCreate "MESSAGE_CREATE" intent::MESSAGES,
    MessageUpdate "MESSAGE_UPDATE" intent::MESSAGES,
    MessageDelete "MESSAGE_DELETE" intent::MESSAGES,
    MessageDeleteBulk "MESSAGE_DELETE_BULK" intent::MESSAGES,
    ReactionAdd "MESSAGE_REACTION_ADD" intent::REACTIONS,
    ReactionRemove "MESSAGE_REACTION_REMOVE" intent::REACTIONS,
    ReactionRemoveAll "MESSAGE_REACTION_REMOVE_ALL" intent::REACTIONS,
    ReactionRemoveEmoji "MESSAGE_REACTION_REMOVE_EMOJI" intent::REACTIONS,
    TypingStart "TYPING_START" intent::TYPING,
    GuildScheduledEventCreate "GUILD_SCHEDULED_EVENT_CREATE" intent::SCHEDULED_EVENTS,
    GuildScheduledEventUpdate "GUILD_SCHEDULED_EVENT_UPDATE" intent::SCHEDULED_EVENTS,
    GuildScheduledEventDelete "GUILD_SCHEDULED_EVENT_DELETE" intent::SCHEDULED_EVENTS,
    GuildScheduledEventUserAdd "GUILD_SCHEDULED_EVENT_USER_ADD" intent::SCHEDULED_EVENTS,
    GuildScheduledEventUserRemove "GUILD_SCHEDULED_EVENT_USER_REMOVE" intent::SCHEDULED_EVENTS,
    AutoModerationRuleCreate "AUTO_MODERATION_RULE_CREATE" intent::AUTOMOD_CONFIGURATION,
    AutoModerationRuleUpdate "AUTO_MODERATION_RULE_UPDATE" intent::AUTOMOD_CONFIGURATION,
    AutoModerationRuleDelete "AUTO_MODERATION_RULE_DELETE" intent::AUTOMOD_CONFIGURATION,
    AutoModerationActionExecution "AUTO_MODERATION_ACTION_EXECUTION" intent::AUTOMOD_EXECUTION,
    PollVoteAdd "MESSAGE_POLL_VOTE_ADD" intent::POLLS,
    PollVoteRemove "MESSAGE_POLL_VOTE_REMOVE" intent::POLLS,
    RateLimited "RATE_LIMITED" 0,
    ApplicationCommandPermissionsUpdate "APPLICATION_COMMAND_PERMISSIONS_UPDATE" 0,
    ChannelInfo "CHANNEL_INFO" 0,
    EntitlementCreate "ENTITLEMENT_CREATE" 0,
    EntitlementUpdate "ENTITLEMENT_UPDATE" 0,
    EntitlementDelete "ENTITLEMENT_DELETE" 0,
    GuildMembersChunk "GUILD_MEMBERS_CHUNK" 0,
    InteractionCreate "INTERACTION_CREATE" 0,
    SoundboardSounds "SOUNDBOARD_SOUNDS" 0,
    SubscriptionCreate "SUBSCRIPTION_CREATE" 0,
    SubscriptionUpdate "SUBSCRIPTION_UPDATE" 0,
    SubscriptionDelete "SUBSCRIPTION_DELETE" 0,
    UserUpdate "USER_UPDATE" 0,
    VoiceServerUpdate "VOICE_SERVER_UPDATE" 0,
    DirectMessageCreate "MESSAGE_CREATE" intent::DIRECT_MESSAGES,
    DirectMessageUpdate "MESSAGE_UPDATE" intent::DIRECT_MESSAGES,
    DirectMessageDelete "MESSAGE_DELETE" intent::DIRECT_MESSAGES,
    DirectChannelPinsUpdate "CHANNEL_PINS_UPDATE" intent::DIRECT_MESSAGES,
    DirectReactionAdd "MESSAGE_REACTION_ADD" intent::DIRECT_REACTIONS,
    DirectReactionRemove "MESSAGE_REACTION_REMOVE" intent::DIRECT_REACTIONS,
    DirectReactionRemoveAll "MESSAGE_REACTION_REMOVE_ALL" intent::DIRECT_REACTIONS,
    DirectReactionRemoveEmoji "MESSAGE_REACTION_REMOVE_EMOJI" intent::DIRECT_REACTIONS,
    DirectTypingStart "TYPING_START" intent::DIRECT_TYPING,
    DirectPollVoteAdd "MESSAGE_POLL_VOTE_ADD" intent::DIRECT_POLLS,
    DirectPollVoteRemove "MESSAGE_POLL_VOTE_REMOVE" intent::DIRECT_POLLS,
}

impl Event {
    /// Whether a session with these intents receives this.
    pub(super) fn allowed(self, intents: u64) -> bool {
        self.gate() == 0 || self.gate() & intents != 0
    }

    /// The kind of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }

    /// The same in a direct message, which has an intent of its own.
    pub(super) fn direct(self) -> Option<Self> {
        Some(match self {
            Self::MessageCreate => Self::DirectMessageCreate,
            Self::MessageUpdate => Self::DirectMessageUpdate,
            Self::MessageDelete => Self::DirectMessageDelete,
            Self::ChannelPinsUpdate => Self::DirectChannelPinsUpdate,
            Self::ReactionAdd => Self::DirectReactionAdd,
            Self::ReactionRemove => Self::DirectReactionRemove,
            Self::ReactionRemoveAll => Self::DirectReactionRemoveAll,
            Self::ReactionRemoveEmoji => Self::DirectReactionRemoveEmoji,
            Self::TypingStart => Self::DirectTypingStart,
            Self::PollVoteAdd => Self::DirectPollVoteAdd,
            Self::PollVoteRemove => Self::DirectPollVoteRemove,
            _ => return None,
        })
    }

    /// Whether it is of a kind that only sessions of shard 0 hear of: it belongs to no guild.
    pub(super) fn private(self) -> bool {
        matches!(
            self,
            Self::DirectMessageCreate
                | Self::DirectMessageUpdate
                | Self::DirectMessageDelete
                | Self::DirectChannelPinsUpdate
                | Self::DirectReactionAdd
                | Self::DirectReactionRemove
                | Self::DirectReactionRemoveAll
                | Self::DirectReactionRemoveEmoji
                | Self::DirectTypingStart
                | Self::DirectPollVoteAdd
                | Self::DirectPollVoteRemove
                | Self::EntitlementCreate
                | Self::EntitlementUpdate
                | Self::EntitlementDelete
                | Self::SubscriptionCreate
                | Self::SubscriptionUpdate
                | Self::SubscriptionDelete
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_withheld_without_its_intent() {
        assert!(Event::Ready.allowed(0));
        assert!(!Event::MessageCreate.allowed(intent::GUILDS | intent::DIRECT_MESSAGES));
        assert!(Event::DirectMessageCreate.allowed(intent::DIRECT_MESSAGES));
        assert_eq!(Event::DirectMessageCreate.name(), "MESSAGE_CREATE");
        assert_eq!(Event::named("MESSAGE_CREATE"), Some(Event::MessageCreate));
    }

    #[test]
    fn there_are_seventy_nine_names() {
        let names: std::collections::HashSet<_> =
            Event::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(names.len(), 79);
        for event in Event::ALL {
            assert!(
                event
                    .direct()
                    .is_none_or(|other| other.name() == event.name())
            );
        }
    }
}
