//! What happens in the world, and when.

use std::{cmp::Ordering, time::Duration};

use shardfleet::{
    clock::Boottime,
    coordinator::{budget::Answer as Limits, leader::Sighting},
    wire::identify::{Ledger, Reply, Request},
};

use crate::kv::{Answer, Op};

/// A lease's value: whose it is, in which life, and which of its writes.
pub(crate) type LeaseValue = (usize, u32, u64);

/// Something that happens to somebody.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A coordinator or an asker may have something to do.
    StepCoordinator(usize),
    StepAsker(usize),
    ToCoordinator(usize, Told),
    ToAsker(usize, Heard),
    /// An operation reaches the bucket: from whom, in which life, its number.
    OnLease(usize, u32, u64, Op<LeaseValue>),
    OnLedger(usize, u32, u64, Op<Box<Ledger>>),
    /// A question reaches Discord.
    OnDiscord(usize, u32, u64, Boottime),
    /// An IDENTIFY reaches Discord.
    Identify(u32),
    /// Discord changes `max_concurrency`.
    Recut(u32),
    DayOpens,
    /// Once a second: does anybody crash?
    Misfortune,
}

/// What a coordinator is told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Request(Request, usize),
    Lease(u32, u64, Answer<LeaseValue>),
    LeaseSilent(u32, u64),
    Ledger(u32, u64, Answer<Box<Ledger>>),
    LedgerSilent(u32, u64),
    Limits(u32, u64, Limits),
    LimitsSilent(u32, u64),
    /// Discord wants no question for so long.
    LimitsBarred(u32, u64, Duration),
    Sighted(Sighting),
}

/// What an asker is told.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    /// Its shard has no session: a new enqueue.
    Enqueue,
    Reply(Reply),
    Leader,
    /// Discord refuses its IDENTIFY (op 9).
    Refused,
}

/// An event with its moment; equal moments keep their order.
#[derive(Debug)]
pub(crate) struct Scheduled {
    pub(crate) at: Duration,
    pub(crate) number: u64,
    pub(crate) event: Event,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Scheduled {}
