//! What happens in a session's guilds: which event next, and its data. Mix and sizes follow what is known
//! of real bots: without presences 45 % `MESSAGE_CREATE`, 25 % `TYPING_START`, 10 % reactions, 8 % voice; with
//! them 93 % `PRESENCE_UPDATE`. What a session has no intent for is left out and the rest keeps its shares.

use super::dice::Dice;
use super::event::{Event, intent};
use super::object::{self, put};
use super::world::{DISCORD_EPOCH_MS, Guild};

/// The start of 2026 in Unix milliseconds: traffic has a clock of its own, so that a seed repeats it.
const START_MS: u64 = 1_767_225_600_000;

/// The endless traffic of one session.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    pub(super) dice: Dice,
    guilds: Vec<Guild>,
    pub(super) intents: u64,
    mix: Vec<(Event, u64)>,
    total: u64,
    pub(super) clock_ms: u64,
    pub(super) last_message: Option<(usize, u64, u64)>,
    /// The snowflake of the last event, if it made one.
    made: Option<u64>,
    focus: Option<usize>,
    dark: Vec<u64>,
}

impl Traffic {
    /// `private`: whether this session also gets direct messages, as only shard 0 does.
    pub(super) fn new(
        dice: Dice,
        guilds: Vec<Guild>,
        intents: u64,
        presences: bool,
        private: bool,
    ) -> Self {
        let table = if presences && intents & intent::PRESENCES != 0 {
            WITH_PRESENCES
        } else {
            WITHOUT
        };
        let mix: Vec<_> = table
            .iter()
            .copied()
            .filter(|(event, _)| event.allowed(intents))
            .filter(|(event, _)| private || !event.private())
            .filter(|(event, _)| !guilds.is_empty() || event.private())
            .collect();
        let total = mix.iter().map(|(_, weight)| weight).sum();
        Self {
            dice,
            guilds,
            intents,
            mix,
            total,
            clock_ms: 0,
            last_message: None,
            made: None,
            focus: None,
            dark: Vec::new(),
        }
    }

    /// The same guilds with another stream of numbers.
    pub(super) fn apart(&self) -> Self {
        Self {
            dice: Dice::of(&[self.dice.clone().next(), 1]),
            ..self.clone()
        }
    }

    /// The kind of the next event; none in a world without guilds.
    pub(super) fn choose(&mut self) -> Option<Event> {
        if !self.dark.is_empty() && self.dark.len() >= self.guilds.len() {
            return None;
        }
        let mut at = self.dice.below(self.total);
        self.clock_ms += self.dice.below(40);
        self.mix.iter().find_map(|&(event, weight)| {
            let hit = at < weight;
            at = at.saturating_sub(weight);
            hit.then_some(event)
        })
    }

    /// Writes the data of an event that [`Self::choose`] chose.
    pub(super) fn write(&mut self, event: Event, out: &mut String) {
        self.made = None;
        if event.private() {
            return self.direct(event, out);
        }
        let (place, guild) = self.busy_guild();
        let who = guild.member(self.dice.below(2_000));
        match event {
            Event::MessageCreate | Event::MessageUpdate => self.message(out, place, &guild, event),
            Event::MessageDelete => {
                let (guild, channel, id) = self.known_message();
                put!(
                    out,
                    r#"{{"id":"{id}","channel_id":"{channel}","guild_id":"{}"}}"#,
                    guild.id
                );
            }
            Event::ReactionAdd | Event::ReactionRemove => self.reaction(out, event),
            Event::TypingStart => {
                put!(
                    out,
                    r#"{{"user_id":"{who}","timestamp":{},"member":"#,
                    self.unix_ms() / 1000
                );
                object::member(out, &guild, who, true);
                put!(
                    out,
                    r#","guild_id":"{}","channel_id":"{}"}}"#,
                    guild.id,
                    guild.text_channel(self.dice.below(6))
                );
            }
            Event::VoiceStateUpdate => {
                let channel = self
                    .dice
                    .chance(70)
                    .then(|| guild.voice_channel(self.dice.below(4)));
                object::voice(out, &guild, who, channel, self.dice.chance(30), false);
            }
            Event::PresenceUpdate => object::presence(out, &guild, who, &mut self.dice),
            _ => self.rarity(event, out, &guild, who),
        }
    }

    /// From now on everything happens in this guild; none: in all of them again.
    pub(super) fn focus(&mut self, guild: Option<u64>) {
        self.focus = guild.and_then(|id| self.guilds.iter().position(|guild| guild.id == id));
    }

    /// From now on everything happens in the first guild.
    pub(super) fn focus_first(&mut self) {
        self.focus = (!self.guilds.is_empty()).then_some(0);
    }

    /// Nothing happens in this guild: it is unavailable.
    pub(super) fn darken(&mut self, guild: u64) {
        if !self.dark.contains(&guild) {
            self.dark.push(guild);
            self.last_message = None;
        }
    }

    /// Unavailable guilds.
    pub(super) fn dark(&self) -> &[u64] {
        &self.dark
    }

    pub(super) fn light(&mut self, guild: u64) {
        self.dark.retain(|other| *other != guild);
    }

    /// The time in this traffic, in Unix milliseconds.
    pub(super) fn unix_ms(&self) -> u64 {
        START_MS + self.clock_ms
    }

    /// A guild by its weight in the traffic: a few large ones dominate their shard.
    fn busy_guild(&mut self) -> (usize, Guild) {
        if let Some(index) = self.focus {
            return (index, self.guild(index));
        }
        let count = self.guilds.len() as u64;
        let first = self.dice.below(count);
        let index = usize::try_from(self.dice.below(first + 1)).unwrap_or(0);
        let lit = |index: &usize| !self.dark.contains(&self.guild(*index).id);
        let all = (index..self.guilds.len()).chain(0..index);
        let index = all.into_iter().find(lit).unwrap_or(index);
        (index, self.guild(index))
    }

    /// A message that was sent: guild, channel, id.
    pub(super) fn known_message(&mut self) -> (Guild, u64, u64) {
        if let Some((place, channel, id)) = self.last_message
            && self.focus.is_none_or(|focus| focus == place)
        {
            return (self.guild(place), channel, id);
        }
        let guild = self.guild(self.focus.unwrap_or(0));
        (guild, guild.text_channel(0), self.snowflake())
    }

    fn guild(&self, index: usize) -> Guild {
        self.guilds.get(index).copied().unwrap_or(Guild {
            id: 1 << 22,
            members: 1,
            channels: 5,
            roles: 1,
            threads: 0,
        })
    }

    /// The snowflake that the last event made, if it made one.
    pub(super) fn made(&self) -> Option<u64> {
        self.made
    }

    /// Time passes, and something happens of which only the id is new.
    pub(super) fn next_id(&mut self) -> u64 {
        self.clock_ms += self.dice.below(40);
        self.snowflake()
    }

    pub(super) fn snowflake(&mut self) -> u64 {
        let id = (START_MS - DISCORD_EPOCH_MS + self.clock_ms) << 22 | self.dice.below(1 << 22);
        self.made = Some(id);
        id
    }
}

const WITHOUT: &[(Event, u64)] = &[
    (Event::MessageCreate, 440),
    (Event::DirectMessageCreate, 10),
    (Event::TypingStart, 250),
    (Event::ReactionAdd, 80),
    (Event::ReactionRemove, 20),
    (Event::VoiceStateUpdate, 80),
    (Event::MessageUpdate, 30),
    (Event::MessageDelete, 15),
    (Event::GuildMemberUpdate, 15),
    (Event::GuildMemberAdd, 10),
    (Event::GuildMemberRemove, 8),
    (Event::InteractionCreate, 12),
    (Event::ThreadCreate, 6),
    (Event::ChannelUpdate, 5),
    (Event::GuildRoleUpdate, 4),
    (Event::AuditLogEntryCreate, 6),
    (Event::GuildBanAdd, 2),
    (Event::InviteDelete, 2),
    (Event::PollVoteAdd, 5),
    (Event::DirectTypingStart, 4),
    (Event::DirectReactionAdd, 2),
    (Event::ThreadUpdate, 2),
    (Event::GuildScheduledEventUserAdd, 1),
    (Event::VoiceChannelStatusUpdate, 1),
    (Event::WebhooksUpdate, 1),
    (Event::IntegrationUpdate, 1),
    (Event::GuildEmojisUpdate, 1),
    (Event::AutoModerationActionExecution, 1),
];

const WITH_PRESENCES: &[(Event, u64)] = &[
    (Event::PresenceUpdate, 930),
    (Event::MessageCreate, 30),
    (Event::TypingStart, 20),
    (Event::ReactionAdd, 6),
    (Event::VoiceStateUpdate, 6),
    (Event::GuildMemberUpdate, 4),
    (Event::MessageUpdate, 2),
    (Event::InteractionCreate, 2),
];

#[cfg(test)]
mod tests {
    use super::super::world::World;
    use super::*;

    fn traffic(intents: u64, presences: bool) -> Traffic {
        let guilds = World {
            seed: 1,
            guilds_per_shard: 8,
        }
        .guilds(0, 2);
        Traffic::new(Dice::new(5), guilds, intents, presences, true)
    }

    #[test]
    fn every_event_is_valid_json_and_routed_to_its_shard() {
        for presences in [false, true] {
            let mut traffic = traffic(intent::ALL, presences);
            let mut seen = std::collections::HashSet::new();
            for _ in 0..20_000 {
                let event = traffic.choose().unwrap();
                let mut out = String::new();
                traffic.write(event, &mut out);
                let value: serde_json::Value =
                    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
                if let Some(guild) = value["guild_id"].as_str() {
                    assert_eq!((guild.parse::<u64>().unwrap() >> 22) % 2, 0, "{out}");
                } else {
                    assert!(event.private(), "{event:?}: {out}");
                }
                seen.insert(event.name());
            }
            assert!(seen.len() >= if presences { 8 } else { 18 }, "{seen:?}");
        }
    }

    #[test]
    fn withheld_without_intent_and_content_emptied() {
        let mut traffic = traffic(intent::GUILDS | intent::MESSAGES, true);
        for _ in 0..2_000 {
            let event = traffic.choose().unwrap();
            assert!(event.allowed(intent::GUILDS | intent::MESSAGES));
            let mut out = String::new();
            traffic.write(event, &mut out);
            assert!(
                event != Event::MessageCreate || out.contains(r#""content":"""#),
                "{out}"
            );
        }
    }

    #[test]
    fn a_seed_repeats_the_traffic() {
        let run = || {
            let mut traffic = traffic(intent::ALL, false);
            let mut out = String::new();
            for _ in 0..500 {
                let event = traffic.choose().unwrap();
                traffic.write(event, &mut out);
            }
            out
        };
        assert_eq!(run(), run());
    }
}
