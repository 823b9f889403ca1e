//! Pure: groups that broke in this process, which leaves them to others for a while.
//!
//! What breaks a group may come again wherever it runs, or be this process's own: another goes first, and a
//! crash that repeats itself does not spin.

use std::{collections::BTreeMap, time::Duration};

use crate::{clock::Instant, fleet::GroupId};

/// The first time; twice as long each time after.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(600);
/// A group that did not break for so long after it was left begins anew.
const FORGET_AFTER: Duration = Duration::from_secs(900);

/// The groups that broke here.
#[derive(Debug, Default)]
pub struct Broken(BTreeMap<GroupId, Left>);

#[derive(Debug)]
struct Left {
    times: u32,
    until: Instant,
}

impl Broken {
    /// A group broke. Returns for how long it is left to others.
    pub fn broke(&mut self, group: GroupId, now: Instant) -> Duration {
        self.0
            .retain(|_, left| now.saturating_duration_since(left.until) < FORGET_AFTER);
        let left = self.0.entry(group).or_insert(Left {
            times: 0,
            until: now,
        });
        let pause = FIRST.saturating_mul(1 << left.times.min(16)).min(LONGEST);
        left.times += 1;
        left.until = now + pause;
        pause
    }

    /// True while a group is left to others.
    pub fn leaves(&self, group: GroupId, now: Instant) -> bool {
        self.0.get(&group).is_some_and(|left| now < left.until)
    }

    /// What this process may hold: no more than it does while it leaves a group to others, so that they reckon
    /// with more.
    pub fn capacity(&self, capacity: u32, holds: usize, now: Instant) -> u32 {
        if self.0.values().any(|left| now < left.until) {
            capacity.min(u32::try_from(holds).unwrap_or(u32::MAX))
        } else {
            capacity
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_group_that_breaks_again_is_left_for_longer() {
        let (mut broken, start) = (Broken::default(), crate::clock::now());
        let (bad, good) = (GroupId(3), GroupId(4));
        let mut now = start;
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let pause = broken.broke(bad, now);
            assert!(broken.leaves(bad, now) && !broken.leaves(good, now));
            pauses.push(pause.as_secs());
            now += pause;
            assert!(!broken.leaves(bad, now), "it may be tried again");
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
        // It went well for long: the next time is a first one.
        assert_eq!(broken.broke(bad, now + FORGET_AFTER), FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn others_reckon_with_more_while_a_group_is_left_to_them() {
        let (mut broken, now) = (Broken::default(), crate::clock::now());
        assert_eq!(broken.capacity(8, 2, now), 8);
        let pause = broken.broke(GroupId(1), now);
        assert_eq!(broken.capacity(8, 2, now), 2);
        assert_eq!(broken.capacity(8, 9, now), 8);
        assert_eq!(broken.capacity(8, 2, now + pause), 8);
    }
}
