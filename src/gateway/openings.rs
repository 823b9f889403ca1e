//! Pure: how many connections a process opens in a second, whatever its shards and Discord do.

use std::{collections::VecDeque, time::Duration};

use crate::clock::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// The openings of a process in the last second, and those promised.
#[derive(Debug)]
pub struct Openings {
    most: usize,
    /// When each of the last `most` opens or opened, oldest first.
    times: VecDeque<Instant>,
}

impl Openings {
    /// At most `most` a second; one at least.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            most,
            times: VecDeque::new(),
        }
    }

    /// The moment at which whoever asks may open a connection: now, or a place in the line. It is kept for
    /// them.
    pub fn reserve(&mut self, now: Instant) -> Instant {
        let mut at = now;
        if self.times.len() >= self.most
            && let Some(oldest) = self.times.pop_front()
        {
            at = at.max(oldest + SECOND);
        }
        // Places are handed out in order, so that nobody who asks later goes before.
        at = self.times.back().map_or(at, |last| at.max(*last));
        self.times.push_back(at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_sees_more_than_allowed() {
        let start = crate::clock::now();
        let mut openings = Openings::new(10);
        let mut times = Vec::new();
        for ms in 0..3_000 {
            let at = openings.reserve(start + Duration::from_millis(ms));
            times.push(at);
        }
        for (index, at) in times.iter().enumerate() {
            let within = times[index..].iter().take_while(|t| **t < *at + SECOND);
            assert!(within.count() <= 10);
        }
        assert_eq!(
            times[9],
            start + Duration::from_millis(9),
            "a burst goes at once"
        );
        assert_eq!(
            times[2_999],
            start + Duration::from_secs(299) + Duration::from_millis(9)
        );
    }

    #[test]
    fn after_a_quiet_second_nobody_waits() {
        let start = crate::clock::now();
        let mut openings = Openings::new(2);
        assert!((0..2).all(|_| openings.reserve(start) == start));
        let later = start + SECOND;
        assert_eq!(openings.reserve(later), later);
    }
}
