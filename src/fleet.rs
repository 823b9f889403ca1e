//! The words of the fleet and its arithmetic: shards, groups, generations, epochs.

use std::{fmt, ops::Range};

use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// The zero-based number of a shard, Discord's `shard_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u32);

impl ShardId {
    /// The `rate_limit_key` that Discord spaces IDENTIFYs by.
    ///
    /// <https://discord.com/developers/docs/events/gateway#sharding-max-concurrency>
    pub fn bucket(self, max_concurrency: u32) -> u32 {
        self.0 % max_concurrency.max(1)
    }

    /// The shard that receives a guild's events.
    ///
    /// <https://discord.com/developers/docs/events/gateway#sharding-sharding-formula>
    pub fn of_guild(guild_id: u64, shards: u32) -> Self {
        let shard = (guild_id >> 22) % u64::from(shards.max(1));
        Self(u32::try_from(shard).unwrap_or(0))
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The zero-based number of a group: the shards that one lease covers and one process runs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u32);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The revision with which a lease was acquired. It only grows, so a later owner always has a higher one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// This one, above any that a key names which its holder found: where the bucket of leases was replaced
    /// by an older copy, its revisions count from an earlier number again.
    #[must_use]
    pub fn above(self, found: u64) -> Self {
        Self(self.0.max(found.saturating_add(u64::from(found >= self.0))))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How the fleet is cut: so many shards, in groups of so many. A new cut is a new generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Grows by one with every resharding; part of every key, so that two cuts never share one.
    pub generation: u64,
    /// Discord's `num_shards`.
    #[serde(deserialize_with = "within::<_, MOST_SHARDS>")]
    pub shards: u32,
    /// Shards that one lease covers.
    #[serde(deserialize_with = "within::<_, LARGEST_GROUP>")]
    pub group_size: u32,
}

/// The most shards that a fleet has.
pub const MOST_SHARDS: u32 = 65_536;
/// The most shards that one lease covers.
pub const LARGEST_GROUP: u32 = 1024;

/// What stands in the bucket is checked like the configuration: a slip of a hand there would start as many
/// tasks as it says.
fn within<'de, D: Deserializer<'de>, const MOST: u32>(number: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(number)?;
    if (1..=MOST).contains(&number) {
        return Ok(number);
    }
    Err(D::Error::custom(format!(
        "{number} is not a number from 1 to {MOST}"
    )))
}

impl Layout {
    /// How many groups there are; the last may be smaller than the others.
    pub fn groups(&self) -> u32 {
        self.shards.div_ceil(self.group_size.max(1))
    }

    /// Every group, in order.
    pub fn group_ids(&self) -> impl Iterator<Item = GroupId> + use<> {
        (0..self.groups()).map(GroupId)
    }

    /// The group that a shard belongs to.
    pub fn group_of(&self, shard: ShardId) -> GroupId {
        GroupId(shard.0 / self.group_size.max(1))
    }

    /// The shards of a group; none if the group is beyond the layout.
    pub fn shards_of(&self, group: GroupId) -> impl Iterator<Item = ShardId> + use<> {
        self.range_of(group).map(ShardId)
    }

    /// True if the shard exists in this layout.
    pub fn contains(&self, shard: ShardId) -> bool {
        shard.0 < self.shards
    }

    fn range_of(&self, group: GroupId) -> Range<u32> {
        let start = group.0.saturating_mul(self.group_size).min(self.shards);
        start..start.saturating_add(self.group_size).min(self.shards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        generation: 1,
        shards: 35,
        group_size: 16,
    };

    #[test]
    fn groups_cover_every_shard_once() {
        let shards: Vec<_> = LAYOUT
            .group_ids()
            .flat_map(|g| LAYOUT.shards_of(g))
            .collect();
        assert_eq!(shards, (0..35).map(ShardId).collect::<Vec<_>>());
        assert!(
            shards
                .iter()
                .all(|s| LAYOUT.shards_of(LAYOUT.group_of(*s)).any(|x| x == *s))
        );
    }

    #[test]
    fn a_group_beyond_the_layout_is_empty() {
        assert_eq!(LAYOUT.shards_of(GroupId(3)).count(), 0);
        assert_eq!(LAYOUT.shards_of(GroupId(u32::MAX)).count(), 0);
    }

    #[test]
    fn a_layout_that_nobody_can_run_is_not_read() {
        let read = |shards: &str, group_size: &str| {
            let text = format!(r#"{{"generation":1,"shards":{shards},"group_size":{group_size}}}"#);
            serde_json::from_str::<Layout>(&text).map_err(|error| error.to_string())
        };
        assert!(read("1", "1").is_ok() && read("65536", "1024").is_ok());
        for (shards, group_size) in [("0", "1"), ("4294967295", "1"), ("2", "0"), ("2", "1025")] {
            let error = read(shards, group_size).unwrap_err();
            assert!(error.contains("is not a number from 1 to"), "{error}");
        }
    }

    #[test]
    fn guilds_go_where_discord_sends_them() {
        assert_eq!(ShardId::of_guild((41 << 22) + 77, 10), ShardId(1));
        assert_eq!(ShardId::of_guild(u64::MAX, 10), ShardId(3));
        assert_eq!(ShardId(17).bucket(16), 1);
    }
}
