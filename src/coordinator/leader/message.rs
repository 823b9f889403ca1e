//! pure. What the leader is told, and what it wants done.

use std::time::Duration;

use super::super::budget::Answer;
use crate::{
    lease::Held,
    wire::identify::{Ledger, Reply, Request},
};

/// What happened; `H` is where an answer to a request goes.
#[derive(Debug)]
pub enum Input<H> {
    /// The lease was won, renewed or lost.
    Held(Option<Held>),
    /// The ledger stands so, and has since now or earlier.
    Sighted(Sighting),
    /// The answer to [`Effect::Read`]: the ledger as the bucket's leader knows it, or none; an error if
    /// it could not be read.
    Read(Result<Option<(Ledger, u64)>, Unreadable>),
    /// The answer to [`Effect::Write`].
    Wrote(Written),
    /// Somebody asks, confirms, withdraws or releases.
    Request(Request, H),
    /// Discord answered [`Effect::AskLimits`].
    Limits(Answer),
    /// Discord did not answer it, and wants to be left alone for so long, if it said so.
    NoLimits(Option<Duration>),
    /// How many shards the fleet has.
    Shards(u32),
    /// The bucket of the ledger has lost what was in it: made anew, emptied, or replaced by an older copy.
    Lost,
    /// Whether the fleet is halted.
    Halted(bool),
    /// Leave the lead to others for a while: settle the ledger for them.
    Yield,
    /// Lead no longer: settle the ledger for the next one.
    Drain,
    /// Time has passed.
    Tick,
}

/// One write of the ledger. The nonce too: a bucket made anew counts its revisions from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Of the key.
    pub revision: u64,
    /// Of the write.
    pub nonce: String,
}

/// Why the ledger was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// NATS did not answer.
    Away,
    /// Its bytes are not a ledger that this release reads. Nothing is granted over it.
    Malformed,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It stands at this revision.
    Applied(u64),
    /// Another revision stands.
    Conflict,
    /// It may or may not have been applied, or may still be.
    Unknown,
}

/// What to do. The caller answers every read and every write, one at a time.
#[derive(Debug, PartialEq)]
pub enum Effect<H> {
    /// Read the ledger from the bucket's leader.
    Read,
    /// Write the ledger over this revision; where there is none, create it.
    Write(Box<Ledger>, Option<u64>),
    /// Send an answer.
    Reply(H, Reply),
    /// Ask Discord for the limits.
    AskLimits,
    /// Tell everybody who waits that this process leads now.
    Announce,
    /// So many grants have left.
    Granted(u32),
    /// Discord refused an IDENTIFY; `holds`: from now on grants wait for its limits.
    Refused {
        /// Whose.
        shard: u32,
        /// It is the first since the limits were read.
        holds: bool,
    },
    /// Settled: the lease may be released.
    Drained,
}
