//! Discord: counts what it receives and answers `GET /gateway/bot`.

use std::time::Duration;

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
    /// Values that the fleet went by lately, and until when it did.
    gone_by: Vec<(u32, Duration)>,
}

/// An answer does not count what has only just arrived.
const COUNTS_AFTER: Duration = Duration::from_secs(3);
/// From a ledger write to the last IDENTIFY that it lets leave: a moment of freshness, an HTTP
/// client's slack, the path.
const GOES_BY: Duration = Duration::from_secs(6);

impl Discord {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            max_concurrency: plan.max_concurrency,
            total: plan.total,
            shards: u32::try_from(plan.askers).unwrap(),
            day_opens: plan.day_opens,
            today: Vec::new(),
            gone_by: Vec::new(),
        }
    }

    pub(crate) fn receive(&mut self, now: Duration) {
        self.today.push(now);
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

    /// A leader has written grants by this value.
    pub(crate) fn goes_by(&mut self, max_concurrency: u32, now: Duration) {
        self.gone_by.retain(|(cut, _)| *cut != max_concurrency);
        self.gone_by.push((max_concurrency, now));
    }

    /// The values that an IDENTIFY may be held to now. Nobody can keep a value that Discord has not
    /// told yet, so that for a moment after a change either will do.
    pub(crate) fn cuts(&self, now: Duration) -> Vec<u32> {
        let lately = self
            .gone_by
            .iter()
            .filter(|(_, at)| now.saturating_sub(*at) < GOES_BY);
        let mut cuts: Vec<_> = lately.map(|(cut, _)| *cut).collect();
        cuts.retain(|cut| *cut > 0 && *cut != self.max_concurrency);
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
