//! The guilds that exist: which ids, how large. Follows from the seed alone, so that nothing is stored
//! and a fleet of any shard count finds guilds that belong to each of its shards.

use super::dice::Dice;

/// Discord's epoch in Unix milliseconds, <https://discord.com/developers/docs/reference#snowflakes>.
pub(super) const DISCORD_EPOCH_MS: u64 = 1_420_070_400_000;
/// The bot's user id, and its application's: a bot made since 2016 has one for both.
pub(super) const BOT_ID: u64 = 700_000_000_000_000_001;

/// A user's id and this make the id of the direct-message channel with that user.
pub(super) const DM_CHANNEL: u64 = 1_000_000;

/// The token of an interaction. It begins with the channel and the interaction's id, so that answering
/// needs no memory.
pub(super) fn interaction_token(channel: u64, id: u64, noise: u64) -> String {
    format!("{channel:016x}{id:016x}{noise:016x}")
}

/// Channel and interaction of a token.
pub(super) fn interaction_of(token: &str) -> Option<(u64, u64)> {
    let part = |range| u64::from_str_radix(token.get(range)?, 16).ok();
    Some((part(0..16)?, part(16..32)?))
}

/// Every guild of the simulated Discord.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) guilds_per_shard: u32,
}

impl World {
    /// The guilds of a shard.
    pub(super) fn guilds(self, shard: u32, shards: u32) -> Vec<Guild> {
        (0..self.guilds_per_shard)
            .map(|index| self.guild(shard, shards, index))
            .collect()
    }

    /// The guild that an id of it, of its channels, roles or threads belongs to, for a bot of so many
    /// shards.
    pub(super) fn find(self, id: u64, shards: u32) -> Option<Guild> {
        let id = id >> 22 << 22;
        let shard = u32::try_from((id >> 22) % u64::from(shards.max(1))).ok()?;
        (0..self.guilds_per_shard)
            .map(|index| self.guild(shard, shards, index))
            .find(|guild| guild.id == id)
    }

    fn guild(self, shard: u32, shards: u32, index: u32) -> Guild {
        let shards = u64::from(shards.max(1));
        let mut dice = Dice::of(&[self.seed, u64::from(shard), shards, u64::from(index)]);
        // Creation times of 2021 and later that are `shard` modulo `shards`: Discord's routing rule.
        let step = 200_000_000_000 / shards + u64::from(index) * 9_973 + dice.below(9_973);
        let id = (step * shards + u64::from(shard)) << 22;
        // One rank for all sizes: a guild with many members has many channels and roles too.
        let rank = dice.tail(1, 400);
        Guild {
            id,
            members: u32::try_from(rank * rank * (3 + dice.below(8)) + 5).unwrap_or(u32::MAX),
            channels: u32::try_from((8 + dice.below(12) + rank * 3).min(500)).unwrap_or(500),
            roles: u32::try_from((5 + dice.below(8) + rank * 2).min(250)).unwrap_or(250),
            // The tail that makes a GUILD_CREATE megabytes long.
            threads: u32::try_from(rank.saturating_sub(4).min(1000) * 12).unwrap_or(0),
        }
    }
}

/// One guild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guild {
    pub(super) id: u64,
    pub(super) members: u32,
    pub(super) channels: u32,
    pub(super) roles: u32,
    pub(super) threads: u32,
}

impl Guild {
    pub(super) fn channel(&self, index: u64) -> u64 {
        self.id + 1 + index % u64::from(self.channels.max(1))
    }

    /// A channel that carries text, see [`channel_kind`].
    pub(super) fn text_channel(&self, index: u64) -> u64 {
        self.id + 1 + (index % u64::from(self.channels.max(5) / 5)) * 5 + 1
    }

    /// A channel that carries voice.
    pub(super) fn voice_channel(&self, index: u64) -> u64 {
        self.id + 1 + (index % u64::from(self.channels.max(5) / 5)) * 5 + 4
    }

    /// A role; the first is `@everyone`, whose id is the guild's.
    pub(super) fn role(&self, index: u64) -> u64 {
        match index % u64::from(self.roles.max(1)) {
            0 => self.id,
            other => self.id + 10_000 + other,
        }
    }

    /// The user id of somebody who is no member yet: libraries drop a join of a member they know.
    pub(super) fn newcomer(&self, index: u64) -> u64 {
        let index = u64::from(self.members) + 1 + index % (1 << 40);
        100_000_000_000_000_000 + Dice::of(&[self.id, index]).next() % 500_000_000_000_000_000
    }

    /// The user id of a member; the first is the owner.
    pub(super) fn member(&self, index: u64) -> u64 {
        let index = index % u64::from(self.members.max(1));
        100_000_000_000_000_000 + Dice::of(&[self.id, index]).next() % 500_000_000_000_000_000
    }
}

/// The type of the channel at `index`: of five, one category, three text, one voice.
pub(super) fn channel_kind(index: u32) -> u8 {
    match index % 5 {
        0 => 4,
        4 => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn guilds_belong_to_their_shard_and_to_no_other() {
        let world = World {
            seed: 3,
            guilds_per_shard: 50,
        };
        for shards in [1, 2, 16, 1024, 16_384] {
            let mut seen = HashSet::new();
            for shard in std::collections::BTreeSet::from([0, shards / 2, shards - 1]) {
                for guild in world.guilds(shard, shards) {
                    assert_eq!((guild.id >> 22) % u64::from(shards), u64::from(shard));
                    assert!(seen.insert((shard, guild.id)), "guild twice");
                    assert!(guild.id >> 22 < 1 << 41, "older than a snowflake can say");
                }
            }
        }
    }

    #[test]
    fn a_guild_is_found_by_any_id_in_it() {
        let world = World {
            seed: 3,
            guilds_per_shard: 20,
        };
        let guild = world.guilds(5, 8)[13];
        for id in [
            guild.id,
            guild.channel(2),
            guild.role(3),
            guild.id + 120_000,
        ] {
            assert_eq!(world.find(id, 8), Some(guild));
        }
        assert_eq!(world.find(guild.id + (8 << 22), 8), None);
        assert_eq!(interaction_of(&interaction_token(7, 8, 9)), Some((7, 8)));
        assert_eq!(interaction_of("é"), None);
    }

    #[test]
    fn a_seed_makes_the_same_world() {
        let world = World {
            seed: 9,
            guilds_per_shard: 5,
        };
        assert_eq!(world.guilds(1, 4), world.guilds(1, 4));
        assert_ne!(world.guilds(1, 4), World { seed: 10, ..world }.guilds(1, 4));
    }
}
