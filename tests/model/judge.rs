//! Discord's rules, written from its documentation, on what Discord received. Knows nothing of how
//! the fleet keeps them.
//!
//! <https://discord.com/developers/docs/events/gateway#rate-limiting>

use std::{collections::HashMap, time::Duration};

/// What Discord has received, and the first rule that was broken.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// Lately, newest last: when, which shard, and the `max_concurrency` values it may go by.
    recent: Vec<(Duration, u32)>,
    last: HashMap<u32, Duration>,
    pub(crate) received: Vec<(Duration, u32)>,
    pub(crate) broken: Option<String>,
}

/// One IDENTIFY of a bucket in this time.
const SPACING: Duration = Duration::from_secs(5);

impl Judge {
    /// An IDENTIFY arrives. `cuts` are the values of `max_concurrency` that Discord may hold it to:
    /// where it is just being changed, whoever keeps either rule breaks none.
    pub(crate) fn identify(&mut self, at: Duration, shard: u32, cuts: &[u32], left_of_day: i64) {
        self.recent
            .retain(|(before, _)| at.saturating_sub(*before) < SPACING);
        for (before, other) in &self.recent {
            if cuts.iter().all(|cut| shard % cut == other % cut) {
                let apart = at.saturating_sub(*before);
                self.broken.get_or_insert(format!(
                    "at {at:?} shard {shard} identified {apart:?} after shard {other}; \
                     max_concurrency {cuts:?}"
                ));
            }
        }
        if left_of_day < 0 {
            self.broken.get_or_insert(format!(
                "at {at:?} shard {shard} identified beyond the day less the reserve"
            ));
        }
        self.recent.push((at, shard));
        self.received.push((at, shard));
        self.last.insert(shard, at);
    }

    /// The ledger says that so many are left, where Discord knows how many are.
    pub(crate) fn ledger(&mut self, at: Duration, remaining: u32, truth: i64) {
        if i64::from(remaining) > truth {
            self.broken.get_or_insert(format!(
                "at {at:?} the ledger has {remaining} left, Discord {truth}"
            ));
        }
    }

    /// Everybody is served by now; who leads, for whoever has to find out why not.
    pub(crate) fn starved(&mut self, at: Duration, shard: u32, leaders: &str) {
        self.broken
            .get_or_insert(format!("at {at:?} shard {shard} still waits: {leaders}"));
    }
}

#[test]
fn sees_what_it_must_see() {
    let at = Duration::from_millis;
    let mut judge = Judge::default();
    judge.identify(at(0), 0, &[16], 10);
    judge.identify(at(1), 1, &[16], 10);
    judge.identify(at(5_000), 16, &[16], 10);
    assert_eq!(judge.broken, None);
    judge.identify(at(6_000), 17, &[16, 8], 10);
    assert_eq!(judge.broken, None);
    judge.identify(at(9_999), 32, &[16], 10);
    assert!(judge.broken.take().is_some());
    judge.identify(at(20_000), 0, &[16], -1);
    assert!(judge.broken.take().is_some());
    judge.ledger(at(20_000), 5, 4);
    assert!(judge.broken.is_some());
}
