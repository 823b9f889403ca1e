//! pure. How leadership begins and ends.

use super::{Effect, Leader, Sighting, Stage, Unreadable, write::Writing};
use crate::{clock::Boottime, lease::Held, wire::identify::Ledger};
use std::time::Duration;

impl<H: Clone> Leader<H> {
    pub(super) fn on_held(&mut self, held: Option<Held>, now: Boottime, out: &mut Vec<Effect<H>>) {
        // A renewal that was answered late: the old end had passed and stood this leader down before
        // the new one was heard. Then it opens again, though the epoch is the same.
        let acts = self.stage != Stage::Following;
        let same =
            matches!((self.held, held), (Some(before), Some(held)) if before.epoch == held.epoch);
        self.held = held;
        if same && acts {
            return;
        }
        self.stand_down();
        self.held = held;
        if held.is_some_and(|held| held.valid(now)) && !self.drained {
            self.stage = Stage::Reading;
            self.limits.next = now;
            self.limits.failures = 0;
            out.push(Effect::Read);
        }
    }

    /// Nothing is done under a lost lease: who waits asks the next leader.
    pub(super) fn stand_down(&mut self) {
        if self.stage == Stage::Following {
            return;
        }
        let fresh = Self::new(self.options.clone());
        let before = std::mem::replace(self, fresh);
        // What is true whoever leads is kept; a question under way will still be answered.
        self.held = before.held;
        self.drained = before.drained;
        self.sighted = before.sighted;
        self.lost = before.lost;
        self.writes = before.writes;
        self.shards = before.shards;
        self.halted = before.halted;
        self.limits = before.limits.kept();
        self.slowdown = before.slowdown;
    }

    pub(super) fn on_sighted(&mut self, sighting: Sighting, now: Boottime) {
        if self
            .sighted
            .as_ref()
            .is_none_or(|(known, _)| *known != sighting)
        {
            self.sighted = Some((sighting, now));
        }
    }

    /// Whatever stands there now is not what stood there last: who leads writes what it knows, and whoever
    /// follows counts every bucket as used just now.
    pub(super) fn on_lost(&mut self, now: Boottime) {
        self.lost = Some(now);
        if self.stage == Stage::Leading {
            self.stale = true;
        }
    }

    /// The ledger that a predecessor left, or what stands after a write of unknown fate.
    pub(super) fn on_read(
        &mut self,
        read: Result<Option<(Ledger, u64)>, Unreadable>,
        now: Boottime,
        out: &mut Vec<Effect<H>>,
    ) {
        match read {
            Err(Unreadable::Away) => self.read_at = Some(now.plus(READ_AGAIN)),
            Err(Unreadable::Malformed) => self.read_at = Some(now.plus(READ_AGAIN_MALFORMED)),
            Ok(found) if self.writing.is_some() => self.on_read_back(found, now, out),
            Ok(found) if self.stage == Stage::Reading => self.open(found, now, out),
            Ok(_) => {}
        }
    }

    /// Makes the ledger this leader's own. What it says counts from the moment it was first seen: its
    /// writer wrote it no later.
    pub(super) fn open(
        &mut self,
        found: Option<(Ledger, u64)>,
        now: Boottime,
        out: &mut Vec<Effect<H>>,
    ) {
        // An older copy of what this leader wrote itself knows less than it does.
        let older = found
            .as_ref()
            .filter(|(ledger, _)| ledger.writes < self.ledger.writes);
        if let Some((_, revision)) = older {
            self.revision = Some(*revision);
            self.buckets.just_used(now);
        } else if let Some((ledger, revision)) = found {
            self.on_sighted(
                Sighting {
                    revision,
                    nonce: ledger.nonce.clone(),
                },
                now,
            );
            let seen = self.sighted.as_ref().map_or(now, |(_, at)| *at);
            self.revision = Some(revision);
            self.buckets
                .inherit(ledger.max_concurrency, &ledger.uses, seen);
            self.budget.inherit(&ledger, now);
            self.slowdown.inherit(&ledger.slowed, seen);
            self.ledger = ledger;
        } else {
            // Nobody is known to have granted, but a ledger can have been lost.
            self.buckets.just_used(now);
            self.ledger = Ledger {
                max_concurrency: self.ledger.max_concurrency,
                ..Ledger::default()
            };
            self.revision = None;
        }
        if let Some(lost) = self.lost {
            self.buckets.just_used(lost);
        }
        self.stage = Stage::Opening;
        self.write(Vec::new(), now, out);
    }

    /// The first write stands: no other leader's can any more.
    pub(super) fn opened(&mut self, now: Boottime, out: &mut Vec<Effect<H>>) {
        self.stage = Stage::Leading;
        if let Some(answer) = self.limits.answer {
            self.take_limits(&answer, now);
        }
        out.push(Effect::Announce);
    }

    /// Another wrote: start over from what it wrote. To a newer leader the field is left for a while;
    /// for good only once the lease says so, since a lease bucket made anew counts from the start.
    pub(super) fn reopen(
        &mut self,
        writing: Writing<H>,
        found: Option<(Ledger, u64)>,
        now: Boottime,
        out: &mut Vec<Effect<H>>,
    ) {
        let epoch = self.held.map_or(0, |held| held.epoch.0);
        if found
            .as_ref()
            .is_some_and(|(ledger, _)| ledger.epoch > epoch)
        {
            self.stand_down();
            self.stage = Stage::Reading;
            self.read_at = Some(now.plus(YIELD));
            return;
        }
        self.put_back(writing);
        self.limits.next = now;
        self.stage = Stage::Reading;
        self.open(found, now, out);
    }

    pub(super) fn on_drain(&mut self, out: &mut Vec<Effect<H>>) {
        self.drained = true;
        self.on_yield(out);
    }

    pub(super) fn on_yield(&mut self, out: &mut Vec<Effect<H>>) {
        match self.stage {
            Stage::Leading => {
                self.stage = Stage::Settling;
                self.stale = true;
            }
            Stage::Settling => {}
            Stage::Following | Stage::Reading | Stage::Opening => out.push(Effect::Drained),
        }
    }
}

/// How long a newer leader has the ledger to itself.
const YIELD: Duration = Duration::from_secs(5);
/// How soon the ledger is read again where NATS did not answer.
const READ_AGAIN: Duration = Duration::from_millis(250);
/// How soon it is read again where it is not understood: somebody has to mend it.
const READ_AGAIN_MALFORMED: Duration = Duration::from_secs(5);
