//! How many events are due: exactly the rate over any longer time, whatever the ticks are like.

use std::time::Duration;

use tokio::time::Instant;

/// After a pause longer than this the events of the pause are left out: no flood after a suspended laptop.
const MOST_CAUGHT_UP: Duration = Duration::from_millis(500);

/// Turns time into numbers of events.
#[derive(Debug)]
pub(super) struct Pace {
    last: Instant,
    /// Parts of an event, in events a second times nanoseconds.
    carried: u128,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            last: now,
            carried: 0,
        }
    }

    /// Events due since the last call, at `rate` a second.
    pub(super) fn due(&mut self, rate: u32, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.last).min(MOST_CAUGHT_UP);
        self.last = now;
        if rate == 0 {
            self.carried = 0;
            return 0;
        }
        self.carried += passed.as_nanos() * u128::from(rate);
        let due = self.carried / 1_000_000_000;
        self.carried %= 1_000_000_000;
        u64::try_from(due).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_met_exactly_by_uneven_ticks() {
        let start = crate::clock::now();
        let mut pace = Pace::new(start);
        let mut at = start;
        let mut sum = 0;
        for tick in 0..1_000_u64 {
            at += Duration::from_micros(3_000 + tick % 7 * 1_000);
            sum += pace.due(777, at);
        }
        let expected = at.duration_since(start).as_nanos() * 777 / 1_000_000_000;
        assert_eq!(u128::from(sum), expected);
    }

    #[test]
    fn a_long_pause_is_not_made_up_for() {
        let start = crate::clock::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.due(1000, start + Duration::from_secs(3600)), 500);
        assert_eq!(pace.due(0, start + Duration::from_secs(3601)), 0);
    }
}
