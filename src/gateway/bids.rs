//! Pure: bids that nobody answers. A process that holds nothing has nothing else to say: with the leases its
//! shards are gone, and so are their lines.

use std::time::Duration;

use crate::{clock::Instant, telemetry::seldom::Seldom};

/// A bid takes milliseconds, an election of the bucket's leader up to nine seconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often is said that bids are not answered.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Since when some bid is out all the time.
#[derive(Debug)]
pub struct Bids {
    since: Option<Instant>,
    lines: Seldom,
}

impl Default for Bids {
    fn default() -> Self {
        Self {
            since: None,
            lines: Seldom::once_in(SAY_EVERY),
        }
    }
}

impl Bids {
    /// So many bids are out at `now`. Some: it is time to say since when there are some.
    pub fn saw(&mut self, out: usize, now: Instant) -> Option<Duration> {
        if out == 0 {
            self.since = None;
            return None;
        }
        let waited = now - *self.since.get_or_insert(now);
        if waited < PATIENCE {
            return None;
        }
        self.lines.one_more(now).map(|_| waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bids_that_are_not_answered_are_said_once_a_minute() {
        let (mut bids, start) = (Bids::default(), crate::clock::now());
        assert_eq!(bids.saw(2, start), None);
        let late = start + PATIENCE;
        assert_eq!(bids.saw(1, late), Some(PATIENCE));
        assert_eq!(bids.saw(1, late), None);
        assert_eq!(bids.saw(0, late), None);
        let again = late + SAY_EVERY;
        assert_eq!(bids.saw(1, again), None, "another bid");
        assert_eq!(bids.saw(1, again + PATIENCE), Some(PATIENCE));
    }
}
