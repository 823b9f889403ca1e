//! pure. A shard, or a fleet, that identifies again and again is slowed down exponentially: an
//! identify loop must not burn the day.
//!
//! A shard's first three identifies of an hour are free; each further one waits twice as long after
//! the last, from ten seconds to half an hour. A fleet may start twice over in an hour; then each
//! further eighth of it doubles the pause between any two identifies.
//!
//! A guest is slowed down by nothing, and slows nobody down: an HTTP client that did not say which shard
//! it is, or named one beyond the fleet's count. It may stand for many shards, of which nobody knows how
//! often each has identified.
//!
//! The ledger remembers it, so that a new leader does not start to count anew.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use crate::{clock::Boottime, wire::identify::Slowed};

mod outlook;

pub use self::outlook::Outlook;

/// Who identified within the hour.
#[derive(Debug, Default)]
pub struct Slowdown {
    /// The fleet's, oldest first; of those that the ledger told, nobody knows whose.
    grants: VecDeque<(Boottime, Option<u32>)>,
    shards: HashMap<u32, Recent>,
    /// Shards whose next grant waits, or that have had as many as are free.
    slowed: BTreeSet<u32>,
    /// Grants of shards that the ledger told, oldest first: they age together.
    told: VecDeque<(Boottime, u32, u32)>,
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
        self.grants.push_back((now, Some(shard)));
        self.add(shard, 1, now);
    }

    /// From when on whoever says to be this shard, or none, may identify, in a fleet of so many.
    pub fn ready_in(&self, named: Option<u32>, shards: u32) -> Boottime {
        let Some(shard) = own(named, shards) else {
            return Boottime::default();
        };
        let fleet = self.fleet_ready(shards).unwrap_or_default();
        self.ready(shard).max(fleet)
    }

    /// From when on a shard may identify again, as far as that shard alone decides.
    pub fn ready(&self, shard: u32) -> Boottime {
        let Some(recent) = self.shards.get(&shard) else {
            return Boottime::default();
        };
        let Some(steps) = recent.count.checked_sub(FREE) else {
            return Boottime::default();
        };
        recent.last.plus(doubled(FIRST_PAUSE, steps, LONGEST_PAUSE))
    }

    /// How many grants of the fleet's own may leave together now, where it has so many shards: all of
    /// them, or one at a time, or none before [`Slowdown::fleet_ready`].
    pub fn limit(&self, shards: u32, now: Boottime) -> usize {
        match self.fleet_ready(shards) {
            None => usize::MAX,
            Some(ready) if ready <= now => 1,
            Some(_) => 0,
        }
    }

    /// From when on anybody may identify again, if the fleet is slowed down.
    pub fn fleet_ready(&self, shards: u32) -> Option<Boottime> {
        let pause = fleet_pause(self.grants.len(), shards)?;
        let (last, _) = self.grants.back()?;
        Some(last.plus(pause))
    }

    /// Forgets what is older than an hour.
    pub fn prune(&mut self, now: Boottime) {
        while let Some((at, shard)) = self.grants.front().copied()
            && now.since(at) >= HOUR
        {
            self.grants.pop_front();
            if let Some(shard) = shard {
                self.take(shard, 1);
            }
        }
        while let Some((at, shard, count)) = self.told.front().copied()
            && now.since(at) >= HOUR
        {
            self.told.pop_front();
            self.take(shard, count);
        }
    }

    /// What a successor must know, once these shards are granted too.
    pub fn memory(&self, granting: impl IntoIterator<Item = u32>, now: Boottime) -> Slowed {
        let mut shards = BTreeMap::new();
        for shard in self.slowed.iter().take(MOST_TOLD) {
            if let Some(recent) = self.shards.get(shard) {
                shards.insert(*shard, (recent.count, millis(now.since(recent.last))));
            }
        }
        let mut news = 0;
        for shard in granting {
            news += 1;
            let count = self.shards.get(&shard).map_or(0, |recent| recent.count) + 1;
            if count >= FREE && (shards.len() < MOST_TOLD || shards.contains_key(&shard)) {
                shards.insert(shard, (count, 0));
            }
        }
        let last = self.grants.back().map(|(at, _)| millis(now.since(*at)));
        Slowed {
            fleet: self.by_age(news, now),
            last_ms: last.filter(|_| news == 0).unwrap_or(0),
            shards,
        }
    }

    /// Takes in what the ledger remembers, written at `seen` or earlier. Where this process knows of
    /// more itself, from when it led before, that stands.
    pub fn inherit(&mut self, memory: &Slowed, seen: Boottime) {
        for (shard, (count, age)) in &memory.shards {
            let known = self.shards.get(shard).map_or(0, |recent| recent.count);
            let more = count.saturating_sub(known);
            if more > 0 {
                let last = seen.minus(Duration::from_millis(*age));
                self.told.push_back((last, *shard, more));
                self.add(*shard, more, last);
            }
        }
        self.told.make_contiguous().sort_unstable();
        let told: usize = memory.fleet.iter().map(|count| *count as usize).sum();
        let mut more = told.saturating_sub(self.grants.len()).min(MOST_GRANTS);
        for (slot, count) in (0..).zip(&memory.fleet) {
            // The newest that they can be.
            let age = (SLOT * slot).max(Duration::from_millis(memory.last_ms));
            let count = more.min(*count as usize);
            let grant = (seen.minus(age), None);
            self.grants.extend(std::iter::repeat_n(grant, count));
            more -= count;
        }
        self.grants.make_contiguous().sort_unstable();
    }

    fn add(&mut self, shard: u32, count: u32, last: Boottime) {
        let recent = self
            .shards
            .entry(shard)
            .or_insert(Recent { count: 0, last });
        recent.count = recent.count.saturating_add(count);
        recent.last = recent.last.max(last);
        if recent.count >= FREE {
            self.slowed.insert(shard);
        }
    }

    fn take(&mut self, shard: u32, count: u32) {
        let Some(recent) = self.shards.get_mut(&shard) else {
            return;
        };
        recent.count = recent.count.saturating_sub(count);
        if recent.count < FREE {
            self.slowed.remove(&shard);
        }
        if recent.count == 0 {
            self.shards.remove(&shard);
        }
    }

    /// How many grants each slot of the last hour has, the newest first; `news` are being made.
    fn by_age(&self, news: u32, now: Boottime) -> Vec<u32> {
        let mut slots = Vec::new();
        let mut end = self.grants.len();
        for slot in 1..=SLOTS {
            let from = now.minus(SLOT * slot);
            let start = self.grants.partition_point(|(at, _)| *at <= from);
            slots.push(u32::try_from(end - start.min(end)).unwrap_or(u32::MAX));
            end = start.min(end);
        }
        slots[0] = slots[0].saturating_add(news);
        while slots.last() == Some(&0) {
            slots.pop();
        }
        slots
    }
}

/// The shard of a fleet of so many; none for a guest.
pub fn own(named: Option<u32>, shards: u32) -> Option<u32> {
    named.filter(|shard| *shard < shards)
}

/// From one identify of a fleet to the next, after so many within the hour; none: it is not slowed down.
fn fleet_pause(grants: usize, shards: u32) -> Option<Duration> {
    let grants = u32::try_from(grants).unwrap_or(u32::MAX);
    let steps = grants.checked_sub(fleet_free(shards))? / (shards / 8).max(4);
    Some(doubled(FLEET_FIRST_PAUSE, steps, FLEET_LONGEST_PAUSE))
}

/// So many identifies of an hour do not slow a fleet of so many shards down.
fn fleet_free(shards: u32) -> u32 {
    shards.saturating_mul(2).saturating_add(FLEET_FREE)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn doubled(first: Duration, steps: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << steps.min(20)).min(longest)
}

const HOUR: Duration = Duration::from_secs(3_600);
/// The ledger knows the age of a fleet's grants to this span.
const SLOT: Duration = Duration::from_secs(600);
const SLOTS: u32 = 6;
/// Shards that the ledger tells of: where more are slowed down, the whole fleet is.
const MOST_TOLD: usize = 512;
/// Grants that are believed of a ledger: more than any day of Discord's has.
const MOST_GRANTS: usize = 100_000;
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

    /// Two leaders, one after the other; the second knows what the ledger says.
    fn succeeded(first: &Slowdown, granting: &[u32], now: Boottime) -> Slowdown {
        let mut second = Slowdown::default();
        second.inherit(&first.memory(granting.iter().copied(), now), now);
        second
    }

    #[test]
    fn a_successor_knows_who_is_slowed_down_and_nobody_else() {
        let mut first = Slowdown::default();
        first.granted(8, at(100));
        for _ in 0..3 {
            first.granted(7, at(100));
        }
        let memory = first.memory([], at(105));
        assert_eq!(memory.shards.keys().collect::<Vec<_>>(), [&7]);
        let mut second = succeeded(&first, &[], at(105));
        assert_eq!(second.ready(7), first.ready(7));
        assert_eq!(second.ready(8), Boottime::default());
        // The pause goes on doubling, and ends with the hour.
        second.granted(7, at(110));
        assert_eq!(second.ready(7), at(130));
        second.prune(at(3_705));
        second.prune(at(3_800));
        assert_eq!(second.ready(7), Boottime::default());
    }

    #[test]
    fn the_ledger_counts_the_grants_that_it_stands_for() {
        let mut first = Slowdown::default();
        for _ in 0..2 {
            first.granted(7, at(100));
        }
        assert!(first.memory([], at(110)).shards.is_empty());
        let second = succeeded(&first, &[7], at(110));
        assert_eq!(second.ready(7), at(120));
    }

    #[test]
    fn a_fleet_that_starts_again_and_again_is_slow_under_any_leader() {
        let mut first = Slowdown::default();
        for shard in 0..64 {
            first.granted(shard, at(10));
        }
        for shard in 0..64 {
            first.granted(shard, at(1_500));
        }
        for shard in 0..16 {
            first.granted(shard, at(2_000));
        }
        let memory = first.memory([], at(2_001));
        assert_eq!(
            (memory.fleet.clone(), memory.last_ms),
            (vec![80, 0, 0, 64], 1_000)
        );
        let mut second = succeeded(&first, &[], at(2_001));
        assert_eq!(second.fleet_ready(64), first.fleet_ready(64));
        // What its predecessor's memory says twice counts once.
        second.inherit(&memory, at(2_001));
        assert_eq!(second.fleet_ready(64), first.fleet_ready(64));
        // It forgets at the end of the slot at the latest.
        second.prune(at(10 + 3_600 + 600));
        assert_eq!(second.fleet_ready(64), None);
    }

    #[test]
    fn a_long_list_of_slow_shards_stays_short() {
        let mut slowdown = Slowdown::default();
        for shard in 0..2_000 {
            for _ in 0..3 {
                slowdown.granted(shard, at(1));
            }
        }
        let memory = slowdown.memory(2_000..3_000, at(2));
        assert_eq!(memory.shards.len(), MOST_TOLD);
        assert_eq!(memory.fleet, [7_000]);
    }
}
