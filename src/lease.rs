//! One mechanism for leadership and for ownership of groups: a key of a bucket whose `max_age` is
//! the lease time. `create` acquires, `update` by revision renews, delete by revision releases.
//!
//! The holder stops on its own at (time the last successful renewal was *sent*) + lease time −
//! margin, on a clock that counts suspension. Nothing revives a lease past that.

mod keeper;
pub mod state;

pub use keeper::{Keeper, Owner, TASK, give_up_of, holder};

use crate::{clock::Boottime, fleet::Epoch};

/// A lease in hand. Do nothing under it at or after `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Higher than that of any owner before.
    pub epoch: Epoch,
    /// The moment to have stopped by, on [`crate::clock::boottime`].
    pub until: Boottime,
}

impl Held {
    /// True while something may be done under it.
    pub fn valid(&self, now: Boottime) -> bool {
        now < self.until
    }
}
