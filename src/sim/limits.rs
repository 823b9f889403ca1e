//! Discord's limits, from its documentation and from nothing else.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::frame::Id;
use crate::config::sim::WindowKind;

/// One IDENTIFY a bucket and window, <https://discord.com/developers/docs/events/gateway#rate-limiting>.
#[derive(Debug)]
pub(super) struct Concurrency {
    /// Number of buckets.
    pub(super) max: u32,
    window: Duration,
    kind: WindowKind,
    started: Instant,
    last: HashMap<u32, Instant>,
}

impl Concurrency {
    pub(super) fn new(max: u32, window: Duration, kind: WindowKind, now: Instant) -> Self {
        Self {
            max: max.max(1),
            window,
            kind,
            started: now,
            last: HashMap::new(),
        }
    }

    /// Takes the bucket of `shard`, or says how long ago it was taken.
    pub(super) fn admit(&mut self, shard: u32, now: Instant) -> Result<(), Duration> {
        let bucket = shard % self.max;
        if let Some(&last) = self.last.get(&bucket)
            && self.same_window(last, now)
        {
            return Err(now.saturating_duration_since(last));
        }
        self.last.insert(bucket, now);
        Ok(())
    }

    /// Changes the number of buckets. Every bucket is fresh: the old ones say nothing about the new.
    pub(super) fn resize(&mut self, max: u32) {
        self.max = max.max(1);
        self.last.clear();
    }

    fn same_window(&self, last: Instant, now: Instant) -> bool {
        match self.kind {
            WindowKind::Sliding => now.saturating_duration_since(last) < self.window,
            WindowKind::Fixed => {
                let index = |at: Instant| {
                    at.saturating_duration_since(self.started).as_millis()
                        / self.window.as_millis().max(1)
                };
                index(last) == index(now)
            }
        }
    }
}

/// Identifies of the day, <https://discord.com/developers/docs/events/gateway#session-start-limit-object>.
#[derive(Debug)]
pub(super) struct Daily {
    pub(super) total: u32,
    remaining: u32,
    every: Duration,
    resets_at: Instant,
}

impl Daily {
    pub(super) fn new(total: u32, remaining: u32, every: Duration, now: Instant) -> Self {
        let every = every.max(Duration::from_millis(1));
        Self {
            total,
            remaining: remaining.min(total),
            every,
            resets_at: now + every,
        }
    }

    /// Spends one identify; false when none was left.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        self.turn(now);
        let left = self.remaining > 0;
        self.remaining = self.remaining.saturating_sub(1);
        left
    }

    /// What is left, and the time until all are back.
    pub(super) fn left(&mut self, now: Instant) -> (u32, Duration) {
        self.turn(now);
        (
            self.remaining,
            self.resets_at.saturating_duration_since(now),
        )
    }

    fn turn(&mut self, now: Instant) {
        if now >= self.resets_at {
            self.remaining = self.total;
            self.resets_at = now + self.every;
        }
    }
}

/// At most `most` in a window that the first one opens.
#[derive(Debug)]
pub(super) struct Rate {
    most: u32,
    window: Duration,
    opened: Option<Instant>,
    count: u32,
}

impl Rate {
    /// Frames of a client, <https://discord.com/developers/docs/events/gateway#rate-limiting>.
    pub(super) fn commands() -> Self {
        Self::new(120, Duration::from_secs(60))
    }

    /// Presence updates of a client.
    pub(super) fn presences() -> Self {
        Self::new(5, Duration::from_secs(20))
    }

    fn new(most: u32, window: Duration) -> Self {
        Self {
            most,
            window,
            opened: None,
            count: 0,
        }
    }

    /// Counts one; false when it is one too many.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        let open = self
            .opened
            .is_some_and(|at| now.saturating_duration_since(at) < self.window);
        if !open {
            self.opened = Some(now);
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.count <= self.most
    }
}

/// All members of a guild once in 30 s,
/// <https://discord.com/developers/docs/events/gateway-events#request-guild-members>.
#[derive(Debug, Default)]
pub(super) struct AllMembers(HashMap<Id, Instant>);

impl AllMembers {
    const EVERY: Duration = Duration::from_secs(30);

    /// Admits a request, or says how long to wait.
    pub(super) fn admit(&mut self, guild: Id, now: Instant) -> Result<(), Duration> {
        self.0
            .retain(|_, last| now.saturating_duration_since(*last) < Self::EVERY);
        if let Some(last) = self.0.get(&guild) {
            return Err((*last + Self::EVERY).saturating_duration_since(now));
        }
        self.0.insert(guild, now);
        Ok(())
    }
}

/// Frames of a client that are still read while it answers a close.
pub(super) const MOST_FRAMES_AFTER_CLOSE: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: Instant, ms: u64) -> Instant {
        base + Duration::from_millis(ms)
    }

    #[test]
    fn one_identify_a_bucket_and_five_seconds() {
        let base = crate::clock::now();
        let mut limit = Concurrency::new(16, Duration::from_secs(5), WindowKind::Sliding, base);
        assert_eq!(limit.admit(0, base), Ok(()));
        assert_eq!(limit.admit(1, base), Ok(()));
        assert_eq!(
            limit.admit(16, at(base, 4_999)),
            Err(Duration::from_millis(4_999))
        );
        assert_eq!(limit.admit(16, at(base, 5_000)), Ok(()));
    }

    #[test]
    fn fixed_windows_begin_by_the_clock() {
        let base = crate::clock::now();
        let mut limit = Concurrency::new(1, Duration::from_secs(5), WindowKind::Fixed, base);
        assert_eq!(limit.admit(0, at(base, 4_900)), Ok(()));
        assert_eq!(limit.admit(1, at(base, 5_000)), Ok(()));
        assert!(limit.admit(2, at(base, 9_999)).is_err());
    }

    #[test]
    fn the_day_ends() {
        let base = crate::clock::now();
        let mut day = Daily::new(2, 1, Duration::from_secs(60), base);
        assert!(day.spend(base));
        assert!(!day.spend(at(base, 1)));
        assert_eq!(day.left(at(base, 59_000)), (0, Duration::from_secs(1)));
        assert_eq!(day.left(at(base, 60_000)).0, 2);
    }

    #[test]
    fn a_hundred_and_twenty_frames_a_minute() {
        let base = crate::clock::now();
        let mut rate = Rate::commands();
        assert!((0..120).all(|n| rate.admit(at(base, n * 100))));
        assert!(!rate.admit(at(base, 59_999)));
        assert!(rate.admit(at(base, 60_000)));
    }
}
