//! pure. A shard, or a fleet, that identifies again and again is slowed down exponentially: an
//! identify loop must not burn the day.
//!
//! A shard's first three identifies of an hour are free; each further one waits twice as long after
//! the last, from ten seconds to half an hour. A fleet may start twice over in an hour; then each
//! further eighth of it doubles the pause between any two identifies.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::clock::Boottime;

/// Who identified within the hour.
#[derive(Debug, Default)]
pub struct Slowdown {
    grants: VecDeque<(Boottime, u32)>,
    shards: HashMap<u32, Recent>,
}

#[derive(Clone, Copy, Debug)]
struct Recent {
    count: u32,
    last: Boottime,
}

impl Slowdown {
    /// A grant left.
    pub fn granted(&mut self, shard: u32, now: Boottime) {
        self.prune(now);
        self.grants.push_back((now, shard));
        let recent = self.shards.entry(shard).or_insert(Recent {
            count: 0,
            last: now,
        });
        recent.count += 1;
        recent.last = now;
    }

    /// From when on a shard may identify again.
    pub fn ready(&self, shard: u32) -> Boottime {
        let Some(recent) = self.shards.get(&shard) else {
            return Boottime::default();
        };
        let Some(steps) = recent.count.checked_sub(FREE) else {
            return Boottime::default();
        };
        recent.last.plus(doubled(FIRST_PAUSE, steps, LONGEST_PAUSE))
    }

    /// How many grants may leave together now, in a fleet of so many shards: all of them, or one at a
    /// time, or none before [`Slowdown::fleet_ready`].
    pub fn limit(&self, shards: u32, now: Boottime) -> usize {
        match self.fleet_ready(shards) {
            None => usize::MAX,
            Some(ready) if ready <= now => 1,
            Some(_) => 0,
        }
    }

    /// From when on anybody may identify again, if the fleet is slowed down.
    pub fn fleet_ready(&self, shards: u32) -> Option<Boottime> {
        let grants = u32::try_from(self.grants.len()).unwrap_or(u32::MAX);
        let free = shards.saturating_mul(2).saturating_add(FLEET_FREE);
        let steps = grants.checked_sub(free)? / (shards / 8).max(4);
        let (last, _) = self.grants.back()?;
        Some(last.plus(doubled(FLEET_FIRST_PAUSE, steps, FLEET_LONGEST_PAUSE)))
    }

    /// Forgets what is older than an hour.
    pub fn prune(&mut self, now: Boottime) {
        while let Some((at, shard)) = self.grants.front()
            && now.since(*at) >= HOUR
        {
            if let Some(recent) = self.shards.get_mut(shard) {
                recent.count -= 1;
                if recent.count == 0 {
                    self.shards.remove(shard);
                }
            }
            self.grants.pop_front();
        }
    }
}

fn doubled(first: Duration, steps: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << steps.min(20)).min(longest)
}

const HOUR: Duration = Duration::from_secs(3_600);
/// Identifies of a shard in an hour that nothing slows down.
const FREE: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1_800);
/// On top of two full starts, so that small fleets are not slowed down by an operator's tries.
const FLEET_FREE: u32 = 16;
const FLEET_FIRST_PAUSE: Duration = Duration::from_secs(1);
const FLEET_LONGEST_PAUSE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Boottime {
        Boottime(Duration::from_secs(secs))
    }

    #[test]
    fn a_looping_shard_cannot_burn_the_day() {
        let mut slowdown = Slowdown::default();
        let mut now = at(1);
        let mut grants = 0;
        while now < at(86_400) {
            slowdown.granted(7, now);
            grants += 1;
            now = slowdown.ready(7).max(now.plus(Duration::from_secs(6)));
            slowdown.prune(now);
        }
        assert!(grants < 260, "{grants}");
        assert_eq!(slowdown.ready(8), Boottime::default());
    }

    #[test]
    fn pauses_double_and_end_with_the_hour() {
        let mut slowdown = Slowdown::default();
        for _ in 0..3 {
            slowdown.granted(7, at(100));
        }
        assert_eq!(slowdown.ready(7), at(110));
        slowdown.granted(7, at(110));
        assert_eq!(slowdown.ready(7), at(130));
        slowdown.prune(at(3_800));
        assert_eq!(slowdown.ready(7), Boottime::default());
    }

    #[test]
    fn a_fleet_starts_twice_an_hour_then_ever_slower() {
        let mut slowdown = Slowdown::default();
        for round in 0..2 {
            for shard in 0..64 {
                assert_eq!(slowdown.limit(64, at(round)), usize::MAX);
                slowdown.granted(shard, at(round));
            }
        }
        for shard in 0..16 {
            slowdown.granted(shard, at(10));
        }
        assert_eq!(slowdown.fleet_ready(64), Some(at(11)));
        assert_eq!(slowdown.limit(64, at(10)), 0);
        assert_eq!(slowdown.limit(64, at(11)), 1);
        for shard in 0..16 {
            slowdown.granted(shard, at(20));
        }
        assert_eq!(slowdown.fleet_ready(64), Some(at(24)));
    }
}
