//! pure. The sole owner of queue, budget and ledger: told what happens, says what to do.
//!
//! **Write before grant.** Grants leave only after a ledger write that names them succeeded on the
//! revision before it, so whoever was deposed cannot grant. A leader first makes the ledger its own
//! by a write, which fails any write of its predecessor that is still under way. One write is under
//! way at a time; what becomes due meanwhile shares the next.
//!
//! **An unknown write** is read back; while it is not there the same bytes are written again over the
//! same revision, so that however many copies arrive, one counts.
//!
//! Time is [`Boottime`]: a leader that was suspended must not count from before it slept.

mod limits;
mod message;
mod open;
mod outlook;
mod request;
mod write;

use std::time::Duration;

pub use self::message::{Effect, Input, Sighting, Unreadable, Written};
use self::{limits::Limits, write::Writing};
use super::{buckets::Buckets, budget::Budget, slowdown::Slowdown};
use crate::{clock::Boottime, lease::Held, wire::identify::Ledger};

/// What an operator decides about the leader.
#[derive(Clone, Debug)]
pub struct Options {
    /// This process; begins the nonce of its writes, so it is unique in the fleet.
    pub process: String,
    /// On top of Discord's spacing.
    pub margin: Duration,
    /// Identifies of the day that only an operator may spend.
    pub reserve: u32,
}

/// The coordinator's state, leading or following.
#[derive(Debug)]
pub struct Leader<H> {
    options: Options,
    held: Option<Held>,
    /// Leads never again: the process ends.
    drained: bool,
    stage: Stage,
    /// The ledger as last written or read under this leadership.
    ledger: Ledger,
    revision: Option<u64>,
    /// When the newest revision was first seen, by a follower or by the read that opened.
    sighted: Option<(Sighting, Boottime)>,
    /// When the ledger was lost: what stands in its place may know of fewer grants.
    lost: Option<Boottime>,
    writing: Option<Writing<H>>,
    /// When to read the ledger again, where reading failed.
    read_at: Option<Boottime>,
    writes: u64,
    /// The ledger lags behind what is known here.
    stale: bool,
    buckets: Buckets<H>,
    budget: Budget,
    slowdown: Slowdown,
    released: Vec<(String, H)>,
    shards: Option<u32>,
    halted: Option<bool>,
    limits: Limits,
    swept: Boottime,
    granted: u64,
}

/// How far leadership is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Another leads, or nobody.
    Following,
    /// The lease is held; the ledger is being read.
    Reading,
    /// The first write is under way.
    Opening,
    /// Grants.
    Leading,
    /// Writes the last word.
    Settling,
}

impl<H: Clone> Leader<H> {
    /// A follower that knows nothing.
    pub fn new(options: Options) -> Self {
        Self {
            held: None,
            drained: false,
            stage: Stage::Following,
            ledger: Ledger::default(),
            revision: None,
            sighted: None,
            lost: None,
            writing: None,
            read_at: None,
            writes: 0,
            stale: false,
            buckets: Buckets::new(options.margin),
            budget: Budget::new(options.reserve),
            slowdown: Slowdown::default(),
            released: Vec::new(),
            shards: None,
            halted: None,
            limits: Limits::default(),
            swept: Boottime::default(),
            granted: 0,
            options,
        }
    }

    /// Takes in what happened and says what to do, in order.
    pub fn apply(&mut self, input: Input<H>, now: Boottime) -> Vec<Effect<H>> {
        let mut out = Vec::new();
        if !matches!(input, Input::Request(..)) {
            self.buckets.look_again();
        }
        match input {
            Input::Held(held) => self.on_held(held, now, &mut out),
            Input::Sighted(sighting) => self.on_sighted(sighting, now),
            Input::Shards(shards) => self.shards = Some(shards),
            Input::Lost => self.on_lost(now),
            Input::Halted(halted) => self.halted = Some(halted),
            Input::Limits(answer) => self.on_limits(&answer, now),
            Input::NoLimits(pause) => self.on_no_limits(pause, now),
            Input::Yield if self.lapsed(now) => out.push(Effect::Drained),
            // A lease that ended while the answer was under way: nothing may be done with it.
            _ if self.lapsed(now) => self.stand_down(),
            Input::Read(read) => self.on_read(read, now, &mut out),
            Input::Wrote(written) => self.on_written(written, now, &mut out),
            Input::Request(request, reply_to) => {
                self.on_request(request, reply_to, now, &mut out);
            }
            Input::Yield => self.on_yield(&mut out),
            Input::Drain => self.on_drain(&mut out),
            Input::Tick => {}
        }
        if self.lapsed(now) {
            self.stand_down();
        }
        self.advance(now, &mut out);
        out
    }

    /// When to call [`Leader::apply`] with [`Input::Tick`] if nothing else happens.
    pub fn next_wakeup(&self) -> Option<Boottime> {
        let held = self.held?;
        if self.stage == Stage::Following {
            return None;
        }
        let grants = (self.stage == Stage::Leading && self.writing.is_none())
            .then(|| self.buckets.next_wakeup())
            .flatten();
        let sweep = (self.buckets.waiting() > 0).then(|| self.swept.plus(SWEEP_EVERY));
        let limits = self.limits.next_wakeup();
        let again = self.write_again_at();
        [grants, sweep, limits, again, self.read_at, Some(held.until)]
            .into_iter()
            .flatten()
            .min()
    }

    /// True while this process leads and Discord does not answer the question for its limits.
    pub fn limits_unread(&self, now: Boottime) -> bool {
        self.stage == Stage::Leading && self.limits.unread(now)
    }

    /// True while requests are taken.
    pub fn leads(&self) -> bool {
        self.stage != Stage::Following
    }

    /// Whatever time or the last input has made due.
    fn advance(&mut self, now: Boottime, out: &mut Vec<Effect<H>>) {
        if self.stage == Stage::Following {
            return;
        }
        if self.read_at.is_some_and(|at| at <= now) {
            self.read_at = None;
            out.push(Effect::Read);
        }
        if now.since(self.swept) >= SWEEP_EVERY {
            self.swept = now;
            self.buckets.sweep(now);
            self.slowdown.prune(now);
        }
        self.write_if_due(now, out);
        self.ask_limits_if_due(now, out);
    }

    fn lapsed(&self, now: Boottime) -> bool {
        !self.held.is_some_and(|held| held.valid(now))
    }
}

/// How often requests that nobody repeats are looked for.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
