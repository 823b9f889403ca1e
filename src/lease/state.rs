//! Pure: free, bidding, holding, unsure, lost; what to do next and when.

use std::time::Duration;

use super::Held;
use crate::{clock::Boottime, fleet::Epoch};

/// A lease is renewed this often.
pub const RENEW_EVERY: Duration = Duration::from_secs(2);
/// The holder stops this long before the end: more than the skew between NATS servers.
pub const MARGIN: Duration = Duration::from_secs(3);
/// Bidders try this often, less some jitter.
pub const BID_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Free {
        next_bid: Boottime,
    },
    /// A write's outcome is unknown: look before doing anything else.
    Unsure {
        next_look: Boottime,
    },
    /// The key is ours; the lease is in hand where `held` says so.
    Holding {
        revision: u64,
        next_renewal: Boottime,
    },
    /// The lease is in hand and its key is gone: somebody deleted it, or the bucket was made anew.
    Vanished {
        next_bid: Boottime,
    },
    Over,
}

/// What the keeper does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Create the key with this write number.
    Bid(u64),
    /// Write over the revision with this write number.
    Renew {
        /// The one to replace.
        revision: u64,
        /// The number of this write.
        write: u64,
    },
    /// Read the key from its leader.
    Look,
    /// Nothing before then.
    Wait(Boottime),
    /// No more: lost, or another was faster.
    End,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Applied at this revision.
    Applied(u64),
    /// Another revision stands.
    Refused,
    /// No answer.
    Unknown,
}

/// One bidder's or holder's view of a lease.
#[derive(Clone, Debug)]
pub struct State {
    ttl: Duration,
    persistent: bool,
    phase: Phase,
    held: Option<Held>,
    /// Counts every write, so that one read back can be told from the others.
    writes: u64,
    /// When each write that may still turn out to be the last one was sent.
    sent: Vec<(u64, Boottime)>,
}

impl State {
    /// A bidder. A persistent one bids until it holds, and again when it has lost.
    pub fn new(ttl: Duration, persistent: bool, now: Boottime) -> Self {
        let phase = Phase::Free { next_bid: now };
        Self {
            ttl,
            persistent,
            phase,
            held: None,
            writes: 0,
            sent: Vec::new(),
        }
    }

    /// What to do now. A step that writes counts as sent at `now`.
    pub fn step(&mut self, now: Boottime) -> Step {
        if self.held.is_some_and(|held| !held.valid(now)) {
            self.lose(now);
        }
        match self.phase {
            Phase::Over => Step::End,
            Phase::Free { next_bid } | Phase::Vanished { next_bid } if now < next_bid => {
                Step::Wait(next_bid)
            }
            Phase::Free { .. } | Phase::Vanished { .. } => Step::Bid(self.write(now)),
            Phase::Unsure { next_look } if now < next_look => Step::Wait(next_look),
            Phase::Unsure { .. } => Step::Look,
            Phase::Holding { next_renewal, .. } if now < next_renewal => Step::Wait(
                self.held
                    .map_or(next_renewal, |hold| next_renewal.min(hold.until)),
            ),
            Phase::Holding { revision, .. } => Step::Renew {
                revision,
                write: self.write(now),
            },
        }
    }

    /// The answer to the last write.
    pub fn wrote(&mut self, outcome: Outcome, now: Boottime) {
        match (outcome, &self.phase) {
            (_, Phase::Over) => {}
            (Outcome::Applied(revision), _) => {
                let write = self.writes;
                self.applied(revision, write, now);
            }
            (Outcome::Unknown, _) => self.phase = Phase::Unsure { next_look: now },
            (Outcome::Refused, Phase::Free { .. }) => {
                self.sent.pop();
                if self.sent.is_empty() {
                    self.lose(now);
                } else {
                    // An earlier bid of ours, unanswered then, may be what stands.
                    self.phase = Phase::Unsure { next_look: now };
                }
            }
            // A refusal can follow an earlier write of ours whose ack was lost: look.
            (Outcome::Refused, Phase::Holding { .. } | Phase::Vanished { .. }) => {
                self.phase = Phase::Unsure { next_look: now };
            }
            (Outcome::Refused, _) => self.lose(now),
        }
    }

    /// What the leader has: our write number and its revision, another's key, or nothing.
    pub fn saw(&mut self, found: Found, now: Boottime) {
        if self.phase == Phase::Over {
            return;
        }
        match found {
            Found::Ours { revision, write } => {
                self.applied(revision, write, now);
                // An earlier write stands, the last one got no further: at once it would not either.
                if let Phase::Holding { next_renewal, .. } = &mut self.phase {
                    *next_renewal = (*next_renewal).max(now.plus(BID_EVERY / 4));
                }
            }
            // It did not end by age, or this lease would not be in hand. So it is taken again, by a write
            // that another's key would refuse; a write of ours still under way is refused without its key.
            Found::Nothing if self.held.is_some() => {
                // At once, but not in a loop where writes are refused at once.
                let last = self.sent.last().map(|(_, at)| at.plus(BID_EVERY / 4));
                self.phase = Phase::Vanished {
                    next_bid: last.map_or(now, |last| last.max(now)),
                };
            }
            // Nor does a bid without an answer end: it may be applied yet, and nobody else would know
            // the key for its own. Where writes are refused at once, this is not asked at once again.
            Found::Nothing => {
                self.phase = Phase::Free {
                    next_bid: now.plus(BID_EVERY),
                };
            }
            Found::Other => self.lose(now),
            // Whoever bids in a bucket that is not there would be first in one that is made anew, before
            // those who hold: they are bid for again with open eyes.
            Found::NoBucket if self.held.is_none() => self.lose(now),
            Found::NoAnswer | Found::NoBucket => {
                self.phase = Phase::Unsure {
                    next_look: now.plus(BID_EVERY / 4),
                };
            }
        }
    }

    /// What is held, while it may be used.
    pub fn held(&self, now: Boottime) -> Option<Held> {
        self.held.filter(|held| held.valid(now))
    }

    /// The number of the last write that may have been sent.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// The revision whose deletion releases the lease.
    pub fn revision(&self) -> Option<u64> {
        match self.phase {
            Phase::Holding { revision, .. } => Some(revision),
            _ => None,
        }
    }

    fn applied(&mut self, revision: u64, write: u64, now: Boottime) {
        let Some(sent) = self.sent_at(write) else {
            return self.lose(now);
        };
        let until = sent.plus(self.ttl.saturating_sub(MARGIN));
        let epoch = self.held.map_or(Epoch(revision), |held| held.epoch);
        if now >= until {
            // A lease that ended in the meantime is not revived by a late answer.
            if self.held.is_some() {
                return self.lose(now);
            }
            // A bid that was applied late: nothing was done under it, and nobody else can have the key
            // before it ends. Ours from the moment that a write over this very revision is sent.
            self.phase = Phase::Holding {
                revision,
                next_renewal: now,
            };
            return;
        }
        self.held = Some(Held { epoch, until });
        let next_renewal = sent.plus(RENEW_EVERY).max(now);
        self.phase = Phase::Holding {
            revision,
            next_renewal,
        };
    }

    fn lose(&mut self, now: Boottime) {
        self.held = None;
        self.sent.clear();
        self.phase = if self.persistent {
            Phase::Free {
                next_bid: now.plus(BID_EVERY),
            }
        } else {
            Phase::Over
        };
    }

    fn write(&mut self, now: Boottime) -> u64 {
        self.writes += 1;
        // The first is the one that the lease stands on, however long the others are unanswered.
        if self.sent.len() >= 64 {
            self.sent.remove(1);
        }
        self.sent.push((self.writes, now));
        self.writes
    }

    /// When a write was sent; of one that is not remembered, when the one before it was.
    fn sent_at(&mut self, write: u64) -> Option<Boottime> {
        let known = self.sent.iter().rposition(|(number, _)| *number <= write)?;
        self.sent.drain(..known);
        self.sent.first().map(|(_, at)| *at)
    }
}

/// What a look at the key found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Our own write.
    Ours {
        /// Of the key.
        revision: u64,
        /// Which of ours.
        write: u64,
    },
    /// Another owner's.
    Other,
    /// No key.
    Nothing,
    /// Not even a bucket.
    NoBucket,
    /// No answer from NATS.
    NoAnswer,
}

#[cfg(test)]
mod tests;
