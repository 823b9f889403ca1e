//! pure. When the leader's log says why shards wait: once, and seldom again.

use std::time::Duration;

use crate::{clock::Boottime, wire::status::CoordinatorStatus};

/// What was said, and when.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    reserve: Option<Boottime>,
    slowdown: Option<Boottime>,
}

impl Standstill {
    /// True if it is time to say what keeps those that wait.
    pub(super) fn look(&mut self, status: &CoordinatorStatus, now: Boottime) -> bool {
        let said = match status {
            status if status.at_reserve => &mut self.reserve,
            status if status.slowdown.is_some() => &mut self.slowdown,
            _ => return false,
        };
        let due = said.is_none_or(|at| now.since(at) >= AGAIN);
        if due {
            *said = Some(now);
        }
        due
    }
}

/// Whoever watches a log for a day reads it a few dozen times.
const AGAIN: Duration = Duration::from_secs(1_800);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::status::SlowdownStatus;

    #[test]
    fn it_is_said_once_and_seldom_again() {
        let at = |secs| Boottime(Duration::from_secs(secs));
        let mut standstill = Standstill::default();
        let mut status = CoordinatorStatus::default();
        assert!(!standstill.look(&status, at(5)));
        status.slowdown = Some(SlowdownStatus::default());
        assert!(standstill.look(&status, at(6)) && !standstill.look(&status, at(7)));
        // Another reason is news; the first one, back again, is not.
        status.at_reserve = true;
        assert!(standstill.look(&status, at(8)));
        status.at_reserve = false;
        assert!(!standstill.look(&status, at(9)));
        assert!(standstill.look(&status, at(1_806)));
    }
}
