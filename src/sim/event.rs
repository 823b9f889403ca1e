//! The dispatches that the simulator sends, and the intent that each needs.
//! <https://discord.com/developers/docs/events/gateway#gateway-intents>

/// Bits of the documented intents, <https://discord.com/developers/docs/events/gateway#list-of-intents>.
pub(super) mod intent {
    pub(in super::super) const GUILDS: u64 = 1 << 0;
    pub(in super::super) const MEMBERS: u64 = 1 << 1;
    pub(in super::super) const MODERATION: u64 = 1 << 2;
    pub(in super::super) const INVITES: u64 = 1 << 6;
    pub(in super::super) const VOICE_STATES: u64 = 1 << 7;
    pub(in super::super) const PRESENCES: u64 = 1 << 8;
    pub(in super::super) const MESSAGES: u64 = 1 << 9;
    pub(in super::super) const REACTIONS: u64 = 1 << 10;
    pub(in super::super) const TYPING: u64 = 1 << 11;
    pub(in super::super) const DIRECT_MESSAGES: u64 = 1 << 12;
    pub(in super::super) const MESSAGE_CONTENT: u64 = 1 << 15;
    pub(in super::super) const POLLS: u64 = 1 << 24;
    /// Every documented bit; another one closes the connection with 4013.
    pub(in super::super) const ALL: u64 = 53_608_447;
}

macro_rules! events {
    ($($variant:ident $name:literal $gate:expr,)*) => {
        /// A kind of dispatch.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Event { $($variant,)* }

        impl Event {
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
    GuildCreate "GUILD_CREATE" intent::GUILDS,
    GuildRoleUpdate "GUILD_ROLE_UPDATE" intent::GUILDS,
    ChannelUpdate "CHANNEL_UPDATE" intent::GUILDS,
    ThreadCreate "THREAD_CREATE" intent::GUILDS,
    GuildMemberAdd "GUILD_MEMBER_ADD" intent::MEMBERS,
    GuildMemberUpdate "GUILD_MEMBER_UPDATE" intent::MEMBERS,
    GuildMemberRemove "GUILD_MEMBER_REMOVE" intent::MEMBERS,
    GuildBanAdd "GUILD_BAN_ADD" intent::MODERATION,
    AuditLogEntryCreate "GUILD_AUDIT_LOG_ENTRY_CREATE" intent::MODERATION,
    InviteDelete "INVITE_DELETE" intent::INVITES,
    VoiceStateUpdate "VOICE_STATE_UPDATE" intent::VOICE_STATES,
    VoiceServerUpdate "VOICE_SERVER_UPDATE" 0,
    PresenceUpdate "PRESENCE_UPDATE" intent::PRESENCES,
    MessageCreate "MESSAGE_CREATE" intent::MESSAGES,
    DirectMessageCreate "MESSAGE_CREATE" intent::DIRECT_MESSAGES,
    MessageUpdate "MESSAGE_UPDATE" intent::MESSAGES,
    MessageDelete "MESSAGE_DELETE" intent::MESSAGES,
    ReactionAdd "MESSAGE_REACTION_ADD" intent::REACTIONS,
    ReactionRemove "MESSAGE_REACTION_REMOVE" intent::REACTIONS,
    TypingStart "TYPING_START" intent::TYPING,
    PollVoteAdd "MESSAGE_POLL_VOTE_ADD" intent::POLLS,
    InteractionCreate "INTERACTION_CREATE" 0,
    GuildMembersChunk "GUILD_MEMBERS_CHUNK" 0,
    RateLimited "RATE_LIMITED" 0,
    SoundboardSounds "SOUNDBOARD_SOUNDS" 0,
    ChannelInfo "CHANNEL_INFO" 0,
}

impl Event {
    /// Whether a session with these intents receives this.
    pub(super) fn allowed(self, intents: u64) -> bool {
        self.gate() == 0 || self.gate() & intents != 0
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
    }
}
