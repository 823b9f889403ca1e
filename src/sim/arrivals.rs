//! How often clients come: of each shard and of all, and how many within the worst second.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
/// Shards that are counted apart.
const MOST_SHARDS: usize = 1 << 16;
/// Arrivals of one second that are told apart; more are that many.
const MOST_A_SECOND: usize = 1 << 16;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    all: Crowd,
    shards: BTreeMap<u32, Crowd>,
}

#[derive(Debug, Default)]
struct Crowd {
    count: u64,
    worst: usize,
    recent: VecDeque<Instant>,
}

/// The connections of one shard.
#[derive(Debug, Serialize)]
pub(super) struct ShardArrivals {
    shard: u32,
    connections: u64,
    worst_second: usize,
}

impl Arrivals {
    /// Somebody asked for a gateway socket, whatever the answer.
    pub(super) fn came(&mut self, now: Instant) {
        self.all.came(now);
    }

    /// A connection said which shard it is of.
    pub(super) fn named(&mut self, shard: u32, now: Instant) {
        if self.shards.len() < MOST_SHARDS || self.shards.contains_key(&shard) {
            self.shards.entry(shard).or_default().came(now);
        }
    }

    /// How many came, and how many of them within the worst second.
    pub(super) fn all(&self) -> (u64, usize) {
        (self.all.count, self.all.worst)
    }

    /// The same of each shard.
    pub(super) fn shards(&self) -> Vec<ShardArrivals> {
        let shards = self.shards.iter();
        let view = shards.map(|(shard, crowd)| ShardArrivals {
            shard: *shard,
            connections: crowd.count,
            worst_second: crowd.worst,
        });
        view.collect()
    }
}

impl Crowd {
    fn came(&mut self, now: Instant) {
        self.count += 1;
        let old = |at: &Instant| now.saturating_duration_since(*at) >= SECOND;
        while self.recent.front().is_some_and(old) || self.recent.len() >= MOST_A_SECOND {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.worst = self.worst.max(self.recent.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_second_is_any_second() {
        let start = crate::clock::now();
        let mut arrivals = Arrivals::default();
        // Four within a second that begins at 600 ms, never more than three from a full second on.
        for ms in [0, 600, 1100, 1200, 1599, 1600, 4000] {
            let now = start + Duration::from_millis(ms);
            arrivals.came(now);
            arrivals.named(u32::from(ms > 1500), now);
        }
        assert_eq!(arrivals.all(), (7, 4));
        let shards = arrivals.shards();
        let seen = shards
            .iter()
            .map(|one| (one.shard, one.connections, one.worst_second));
        assert!(seen.eq([(0, 4, 3), (1, 3, 2)]));
    }
}
