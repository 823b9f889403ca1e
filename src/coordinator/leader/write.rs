//! pure. One ledger write at a time, and what leaves once it stands.

use std::time::Duration;

use super::{
    super::{buckets::Pick, slowdown::own},
    Effect, Leader, Stage, Written,
};
use crate::{
    clock::Boottime,
    wire::{
        VERSION,
        identify::{Ledger, Reply},
    },
};

/// A write under way.
#[derive(Debug)]
pub(super) struct Writing<H> {
    ledger: Box<Ledger>,
    /// The revision it replaces.
    over: Option<u64>,
    /// Grants that leave when it stands.
    picks: Vec<Pick<H>>,
    /// Who hears then that the reserve was released.
    released: Vec<(String, H)>,
    /// When the grants were decided.
    at: Boottime,
    /// It did not plainly succeed; a read tells what stands.
    doubt: Option<Written>,
    /// When to write the same again.
    again_at: Option<Boottime>,
    /// The last word of this leadership.
    settles: bool,
}

impl<H: Clone> Leader<H> {
    /// Writes what has become due, if no write is under way.
    pub(super) fn write_if_due(&mut self, now: Boottime, out: &mut Vec<Effect<H>>) {
        if let Some(writing) = &mut self.writing {
            if writing.again_at.is_some_and(|at| at <= now) {
                writing.again_at = None;
                out.push(Effect::Write(writing.ledger.clone(), writing.over));
            }
            return;
        }
        match self.stage {
            Stage::Leading
                if self.stale || self.buckets.next_wakeup().is_some_and(|at| at <= now) =>
            {
                let picks = self.pick(now);
                if !picks.is_empty() || self.stale {
                    self.write(picks, now, out);
                }
            }
            Stage::Settling => self.write(Vec::new(), now, out),
            Stage::Leading | Stage::Following | Stage::Reading | Stage::Opening => {}
        }
    }

    pub(super) fn write(&mut self, picks: Vec<Pick<H>>, now: Boottime, out: &mut Vec<Effect<H>>) {
        let grants = u32::try_from(picks.len()).unwrap_or(u32::MAX);
        self.budget.spend(grants, now);
        if grants > 0 && self.buckets.waiting() > 0 {
            self.limits.fetch_ahead();
        }
        self.writes += 1;
        let epoch = self.held.map_or(0, |held| held.epoch.0);
        let (released, release_nonce) = self.budget.released();
        let ledger = Box::new(Ledger {
            v: VERSION,
            epoch,
            nonce: format!("{}.{epoch}.{}", self.options.process, self.writes),
            writes: self.ledger.writes + 1,
            max_concurrency: self.ledger.max_concurrency,
            total: self.budget.total(),
            remaining: self.budget.remaining(),
            reset_at_ms: self.budget.reset_at_ms(),
            released,
            release_nonce: release_nonce.to_owned(),
            granted: self.ledger.granted + u64::from(grants),
            uses: self.buckets.uses(now),
            slowed: self
                .slowdown
                .memory(picks.iter().filter_map(|pick| self.own(pick.named())), now),
        });
        self.stale = false;
        out.push(Effect::Write(ledger.clone(), self.revision));
        self.writing = Some(Writing {
            ledger,
            over: self.revision,
            picks,
            released: std::mem::take(&mut self.released),
            at: now,
            doubt: None,
            again_at: None,
            settles: self.stage == Stage::Settling,
        });
    }

    pub(super) fn on_written(&mut self, written: Written, now: Boottime, out: &mut Vec<Effect<H>>) {
        let Some(mut writing) = self.writing.take() else {
            return;
        };
        if let Written::Applied(revision) = written {
            self.applied(writing, revision, now, out);
        } else {
            writing.doubt = Some(written);
            self.writing = Some(writing);
            out.push(Effect::Read);
        }
    }

    /// What stands after a write of unknown fate, or one that met another.
    pub(super) fn on_read_back(
        &mut self,
        found: Option<(Ledger, u64)>,
        now: Boottime,
        out: &mut Vec<Effect<H>>,
    ) {
        let Some(mut writing) = self.writing.take() else {
            return;
        };
        if writing.doubt.is_none() {
            // The answer to a read of an earlier leadership.
            self.writing = Some(writing);
            return;
        }
        match found {
            Some((ledger, revision)) if ledger.nonce == writing.ledger.nonce => {
                self.applied(writing, revision, now, out);
            }
            found if found.as_ref().map(|(_, revision)| *revision) == writing.over => {
                // It may still arrive: only the same bytes over the same revision are safe.
                writing.doubt = None;
                writing.again_at = Some(now.plus(WRITE_AGAIN));
                self.writing = Some(writing);
            }
            found => self.reopen(writing, found, now, out),
        }
    }

    /// When the write under way is to be written again.
    pub(super) fn write_again_at(&self) -> Option<Boottime> {
        self.writing.as_ref()?.again_at
    }

    /// Grants that never left.
    pub(super) fn put_back(&mut self, writing: Writing<H>) {
        for pick in writing.picks {
            self.budget.refund(writing.at);
            self.buckets.put_back(pick);
        }
    }

    fn applied(
        &mut self,
        writing: Writing<H>,
        revision: u64,
        now: Boottime,
        out: &mut Vec<Effect<H>>,
    ) {
        let heard = self.ledger.max_concurrency;
        self.ledger = *writing.ledger;
        self.ledger.max_concurrency = heard;
        self.revision = Some(revision);
        if self.stage == Stage::Opening {
            self.opened(now, out);
        }
        let doubted = self.limits.doubted_since(writing.at);
        let mut left = 0;
        for pick in writing.picks {
            if doubted || !self.buckets.stands(&pick) || !pick.is_fresh(now) {
                // It rests on limits that are no more; or its asker has gone or would refuse it, and the
                // bucket is free for one that can use it.
                self.budget.refund(writing.at);
                self.buckets.put_back(pick);
                continue;
            }
            let (_, nonce, counter) = pick.grant();
            let grant = Reply::Grant {
                v: VERSION,
                nonce: nonce.to_owned(),
                counter,
            };
            if let Some(shard) = self.own(pick.named()) {
                self.slowdown.granted(shard, now);
            }
            left += 1;
            out.push(Effect::Reply(pick.reply_to().clone(), grant));
        }
        for (nonce, reply_to) in writing.released {
            let released = Reply::Released {
                v: VERSION,
                nonce,
                released: self.budget.released().0,
                remaining: self.budget.remaining().unwrap_or(0),
            };
            out.push(Effect::Reply(reply_to, released));
        }
        if left > 0 {
            self.granted += u64::from(left);
            out.push(Effect::Granted(left));
        }
        if writing.settles {
            out.push(Effect::Drained);
            self.stand_down();
        }
    }

    /// Whom the next write grants. Looks at the queue even where nobody may be granted, so that what
    /// is due now does not wake the loop again.
    fn pick(&mut self, now: Boottime) -> Vec<Pick<H>> {
        let limit = if self.may_grant() {
            self.budget.spendable() as usize
        } else {
            0
        };
        let limit = self.within_limits(limit, now);
        let (slowdown, shards) = (&self.slowdown, self.shards.unwrap_or(0));
        let ready = |named| slowdown.ready_in(named, shards);
        if slowdown.fleet_ready(shards).is_none() {
            return self.buckets.pick(limit, ready, now);
        }
        // A fleet that is slowed down goes on one by one; its guests are not held up by that.
        let only = |its_own: bool| {
            move |named| {
                let counts = own(named, shards).is_some() == its_own;
                if counts { ready(named) } else { NEVER }
            }
        };
        let fleet = slowdown.limit(shards, now).min(limit);
        let mut picks = self.buckets.pick(fleet, only(true), now);
        picks.extend(self.buckets.pick(limit - picks.len(), only(false), now));
        picks
    }

    /// The shard of the fleet that a grant counts for; none for a guest.
    fn own(&self, named: Option<u32>) -> Option<u32> {
        own(named, self.shards.unwrap_or(0))
    }

    /// True once everything is known that a grant depends on, but for how far Discord's last answer is
    /// trusted. Where Discord does not answer a new leader, it knows what its predecessor heard.
    pub(super) fn may_grant(&self) -> bool {
        self.halted == Some(false) && self.shards.is_some() && self.ledger.max_concurrency > 0
    }
}

/// Not while this process runs.
const NEVER: Boottime = Boottime(Duration::MAX);
/// How soon a write that is not there is written again.
const WRITE_AGAIN: Duration = Duration::from_millis(100);
