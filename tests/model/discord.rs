//! Discord: counts what it receives and answers `GET /gateway/bot`.

use std::{ops::Range, time::Duration};

use shardfleet::{clock::Boottime, coordinator::budget::Answer};

use crate::plan::{Plan, RESERVE};

#[derive(Debug)]
pub(crate) struct Discord {
    pub(crate) max_concurrency: u32,
    total: u32,
    shards: u32,
    day_opens: Duration,
    /// When each IDENTIFY of the day arrived.
    today: Vec<Duration>,
    /// Those of the last five seconds that began a session.
    begun: Vec<(Duration, u32)>,
    /// IDENTIFYs answered with op 9.
    pub(crate) refused: u32,
    /// Values that were in force, and until when.
    gone: Vec<(u32, Duration)>,
    patience: Duration,
    barred: Range<Duration>,
}

/// An answer does not count what has only just arrived.
const COUNTS_AFTER: Duration = Duration::from_secs(3);
const SPACING: Duration = Duration::from_secs(5);

impl Discord {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            max_concurrency: plan.max_concurrency,
            total: plan.total,
            shards: u32::try_from(plan.askers).unwrap(),
            day_opens: plan.day_opens,
            today: Vec::new(),
            begun: Vec::new(),
            refused: 0,
            gone: Vec::new(),
            patience: plan.patience,
            barred: plan.barred.clone(),
        }
    }

    /// An IDENTIFY arrives. False: it breaks the value that is in force, and is answered with op 9.
    pub(crate) fn receive(&mut self, shard: u32, now: Duration) -> bool {
        self.today.push(now);
        let cut = self.max_concurrency;
        self.begun
            .retain(|(at, _)| now.saturating_sub(*at) < SPACING);
        let begins = self
            .begun
            .iter()
            .all(|(_, other)| other % cut != shard % cut);
        if begins {
            self.begun.push((now, shard));
        } else {
            self.refused += 1;
        }
        begins
    }

    /// How long it wants no question, where it wants none.
    pub(crate) fn barred(&self, now: Duration) -> Option<Duration> {
        let barred = self.barred.contains(&now);
        barred.then(|| self.barred.end.saturating_sub(now))
    }

    /// Another value is in force.
    pub(crate) fn recut(&mut self, cut: u32, now: Duration) {
        let before = std::mem::replace(&mut self.max_concurrency, cut);
        self.gone.push((before, now));
    }

    pub(crate) fn open_day(&mut self) {
        self.today.clear();
        // The bot has grown: one day is short of identifies, the next is not.
        self.total = 10_000;
        self.day_opens += Duration::from_secs(86_400);
    }

    /// Identifies left of the day.
    pub(crate) fn truth(&self) -> i64 {
        i64::from(self.total) - i64::try_from(self.today.len()).unwrap()
    }

    /// The same, less what only an operator may spend.
    pub(crate) fn left(&self) -> i64 {
        self.truth() - i64::from(RESERVE)
    }

    /// The values that an IDENTIFY may be held to now: for a while after a change either will do.
    pub(crate) fn cuts(&self, now: Duration) -> Vec<u32> {
        let lately = self
            .gone
            .iter()
            .filter(|(_, until)| now.saturating_sub(*until) < self.patience);
        let mut cuts: Vec<_> = lately.map(|(cut, _)| *cut).collect();
        cuts.push(self.max_concurrency);
        cuts
    }

    pub(crate) fn answer(&self, asked: Boottime, now: Duration) -> Answer {
        let counted = self.today.iter().filter(|at| **at + COUNTS_AFTER <= now);
        let counted = u32::try_from(counted.count()).unwrap();
        Answer {
            asked,
            total: self.total,
            remaining: self.total.saturating_sub(counted),
            reset_after: self.day_opens.saturating_sub(now),
            reset_at_ms: u64::try_from(self.day_opens.as_millis()).unwrap(),
            max_concurrency: self.max_concurrency,
            shards: self.shards,
        }
    }
}
