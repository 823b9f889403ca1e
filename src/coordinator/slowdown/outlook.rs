//! pure. What a slowdown means for those that wait: for people.

use std::time::Duration;

use super::{HOUR, Slowdown, fleet_free, fleet_pause};
use crate::clock::Boottime;

/// How a fleet that is slowed down will go on, if nobody else comes to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// From one grant to the next, as of now.
    pub pause: Duration,
    /// Until it is slowed down no more, if nobody identifies meanwhile.
    pub ends: Duration,
    /// Until the last of those that wait is granted.
    pub all: Duration,
}

impl Slowdown {
    /// How many identified within the hour.
    pub fn identifies(&self) -> u32 {
        u32::try_from(self.grants.len()).unwrap_or(u32::MAX)
    }

    /// What so many waiting shards have before them; none: the fleet is not slowed down.
    pub fn outlook(&self, shards: u32, waiting: usize, now: Boottime) -> Option<Outlook> {
        let pause = fleet_pause(self.grants.len(), shards)?;
        // It ends with the last grant that is one too many.
        let over = self.grants.len().checked_sub(fleet_free(shards) as usize)?;
        let ends = self
            .grants
            .get(over)
            .map_or(now, |(at, _)| at.plus(HOUR))
            .since(now);
        let all = self.last_of(shards, waiting, now);
        Some(Outlook { pause, ends, all })
    }

    /// Grants one after the other, as the pauses allow, while the oldest are forgotten.
    fn last_of(&self, shards: u32, waiting: usize, now: Boottime) -> Duration {
        let mut last = self.grants.back().map_or(now, |(at, _)| *at);
        let mut at = now;
        let mut forgotten = 0;
        // What is granted from now on is not forgotten before the hour is over: nor is it here.
        for granted in 0..waiting {
            while self
                .grants
                .get(forgotten)
                .is_some_and(|(old, _)| at.since(*old) >= HOUR)
            {
                forgotten += 1;
            }
            let Some(pause) = fleet_pause(self.grants.len() - forgotten + granted, shards) else {
                break;
            };
            at = at.max(last.plus(pause));
            last = at;
        }
        at.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Boottime {
        Boottime(Duration::from_secs(secs))
    }

    /// A fleet of 16: 48 are free, then each four double the pause.
    fn after(grants: u32) -> Slowdown {
        let mut slowdown = Slowdown::default();
        for grant in 0..grants {
            slowdown.granted(grant % 16, at(1_000));
        }
        slowdown
    }

    #[test]
    fn who_is_not_slowed_down_has_no_outlook() {
        assert_eq!(after(47).outlook(16, 9, at(1_000)), None);
        assert!(after(48).outlook(16, 9, at(1_000)).is_some());
        assert_eq!(after(48).identifies(), 48);
    }

    #[test]
    fn the_last_of_many_waits_ever_longer() {
        let secs = Duration::from_secs;
        let outlook = after(64).outlook(16, 8, at(1_000)).unwrap();
        assert_eq!(outlook.pause, secs(16));
        assert_eq!(outlook.ends, secs(3_600));
        assert_eq!(outlook.all, secs(4 * 16 + 4 * 32));
        // Nobody waits.
        let idle = after(64).outlook(16, 0, at(1_000)).unwrap();
        assert_eq!(idle.all, Duration::ZERO);
        // Half an hour later half of the hour is left, and the first goes at once.
        let later = after(64).outlook(16, 2, at(2_800)).unwrap();
        assert_eq!((later.ends, later.all), (secs(1_800), secs(16)));
    }

    #[test]
    fn the_estimate_is_what_the_pauses_make_of_it() {
        let mut slowdown = after(64);
        let told = slowdown.outlook(16, 8, at(1_000)).unwrap().all;
        let mut now = at(1_000);
        for shard in 0..8 {
            now = slowdown.fleet_ready(16).unwrap().max(now);
            slowdown.granted(shard, now);
        }
        assert_eq!(now.since(at(1_000)), told);
    }

    #[test]
    fn it_ends_with_the_hour() {
        let outlook = after(49).outlook(16, 3, at(4_600)).unwrap();
        assert_eq!(
            (outlook.ends, outlook.all),
            (Duration::ZERO, Duration::ZERO)
        );
    }
}
