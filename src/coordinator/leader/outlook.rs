//! pure. How the leader is, and what those that wait have before them: for people.

use std::time::Duration;

use super::{Leader, Stage};
use crate::{
    clock::Boottime,
    wire::status::{CoordinatorStatus, SlowdownStatus},
};

impl<H: Clone> Leader<H> {
    /// The role at a glance.
    pub fn status(&self, now: Boottime) -> CoordinatorStatus {
        let queue = u32::try_from(self.buckets.waiting()).unwrap_or(u32::MAX);
        let answer = self.limits.answer;
        let recommended = answer.map(|answer| answer.shards);
        CoordinatorStatus {
            leader: matches!(self.stage, Stage::Leading | Stage::Settling),
            epoch: self.held.map_or(0, |held| held.epoch.0),
            shards: self.shards.unwrap_or(0),
            max_concurrency: self.ledger.max_concurrency,
            limit: self.budget.total(),
            remaining: self.budget.remaining().unwrap_or(0),
            reserve: self.budget.reserve(),
            reset_at_ms: self.budget.reset_at_ms(),
            queue,
            next_grant_ms: self.next_grant(now).map(millis),
            granted: self.granted,
            at_reserve: self.at_reserve(),
            slowdown: self.slowdown_status(now),
            recommended_shards: recommended.filter(|shards| Some(*shards) != self.shards),
        }
    }

    /// How long until somebody is granted; none if nobody waits or nothing says when.
    fn next_grant(&self, now: Boottime) -> Option<Duration> {
        if !self.grants() || self.at_reserve() {
            return None;
        }
        let next = self.buckets.next_free(|shard| self.slowdown.ready(shard))?;
        let slowed = self.shards.and_then(|n| self.slowdown.fleet_ready(n));
        Some(next.max(slowed.unwrap_or(next)).since(now))
    }

    /// True while somebody waits, and only an operator or a new day can let it go.
    fn at_reserve(&self) -> bool {
        let known = self.budget.remaining().is_some();
        self.grants() && known && self.buckets.waiting() > 0 && self.budget.spendable() == 0
    }

    /// What slows down those that wait.
    fn slowdown_status(&self, now: Boottime) -> Option<SlowdownStatus> {
        let waiting = self.buckets.waiting();
        if !self.grants() || waiting == 0 {
            return None;
        }
        let shards = self.shards.unwrap_or(0);
        let fleet = self.slowdown.outlook(shards, waiting, now);
        let slowed = |shard: &u32| self.slowdown.ready(*shard) > now;
        let mut slow: Vec<_> = self.buckets.shards().filter(slowed).collect();
        let last = slow.iter().map(|shard| self.slowdown.ready(*shard)).max();
        let own = last.map_or(Duration::ZERO, |last| last.since(now));
        slow.sort_unstable();
        slow.truncate(MOST_NAMED);
        (fleet.is_some() || !slow.is_empty()).then(|| SlowdownStatus {
            identifies: self.slowdown.identifies(),
            pause_ms: fleet.map_or(0, |fleet| millis(fleet.pause)),
            ends_ms: millis(fleet.map_or(own, |fleet| fleet.ends.max(own))),
            all_ms: millis(fleet.map_or(own, |fleet| fleet.all.max(own))),
            shards: slow,
        })
    }

    fn grants(&self) -> bool {
        self.halted == Some(false) && self.stage == Stage::Leading
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Shards that are named: an operator looks for one of them.
const MOST_NAMED: usize = 8;
