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
            Phase::Free { next_bid } if now < next_bid => Step::Wait(next_bid),
            Phase::Free { .. } => Step::Bid(self.write(now)),
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
            (Outcome::Refused, Phase::Holding { .. }) => {
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
            // Nothing there: a write of ours may still be under way, so that only time ends this.
            Found::Nothing if self.held.is_some() => {
                self.phase = Phase::Unsure {
                    next_look: now.plus(BID_EVERY / 4),
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
            Found::NoAnswer => {
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
    /// No answer from NATS.
    NoAnswer,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(15);

    fn at(secs: u64) -> Boottime {
        Boottime(Duration::from_secs(secs))
    }

    fn holder() -> State {
        let mut state = State::new(TTL, false, at(0));
        assert_eq!(state.step(at(0)), Step::Bid(1));
        state.wrote(Outcome::Applied(7), at(1));
        state
    }

    #[test]
    fn a_bid_that_wins_holds_from_the_moment_it_was_sent() {
        let state = holder();
        let held = Held {
            epoch: Epoch(7),
            until: at(12),
        };
        assert_eq!(state.held(at(1)), Some(held));
        assert_eq!(state.held(at(12)), None);
    }

    #[test]
    fn a_renewal_moves_the_end_and_keeps_the_epoch() {
        let mut state = holder();
        assert_eq!(state.step(at(1)), Step::Wait(at(2)));
        assert_eq!(
            state.step(at(2)),
            Step::Renew {
                revision: 7,
                write: 2
            }
        );
        state.wrote(Outcome::Applied(9), at(3));
        assert_eq!(
            state.held(at(3)),
            Some(Held {
                epoch: Epoch(7),
                until: at(14)
            })
        );
        assert_eq!(state.revision(), Some(9));
    }

    #[test]
    fn a_lost_ack_is_read_back_and_credited_with_its_own_time() {
        let mut state = holder();
        state.step(at(2));
        state.wrote(Outcome::Unknown, at(4));
        assert_eq!(state.step(at(4)), Step::Look);
        state.saw(
            Found::Ours {
                revision: 9,
                write: 2,
            },
            at(5),
        );
        assert_eq!(state.held(at(5)).map(|h| h.until), Some(at(14)));
    }

    /// A leader without a majority refuses every write at once, and goes on answering reads.
    #[test]
    fn refused_without_a_word_it_lasts_to_its_end_and_does_not_spin() {
        let ttl = Duration::from_secs(60);
        let mut state = State::new(ttl, false, at(0));
        state.step(at(0));
        state.wrote(Outcome::Applied(7), at(0));
        let (mut now, mut writes) = (at(0), 0);
        while state.held(now).is_some() {
            match state.step(now) {
                Step::Renew { .. } => {
                    writes += 1;
                    assert!(writes <= 240, "it never ends");
                    state.wrote(Outcome::Unknown, now);
                }
                Step::Look => state.saw(
                    Found::Ours {
                        revision: 7,
                        write: 1,
                    },
                    now,
                ),
                Step::Wait(until) => now = until,
                step => panic!("{step:?} at {now:?}"),
            }
        }
        assert_eq!(now, at(57));
        assert!(writes >= 64, "{writes}");
    }

    #[test]
    fn another_owner_ends_it_at_once() {
        let mut state = holder();
        state.step(at(2));
        state.wrote(Outcome::Refused, at(3));
        assert_eq!(state.step(at(3)), Step::Look);
        state.saw(Found::Other, at(3));
        assert_eq!(state.held(at(3)), None);
        assert_eq!(state.step(at(3)), Step::End);
    }

    #[test]
    fn a_holder_that_slept_past_its_end_has_lost_whatever_arrives() {
        let mut state = holder();
        state.step(at(2));
        assert_eq!(state.step(at(100)), Step::End);
        state.wrote(Outcome::Applied(9), at(100));
        assert_eq!(state.held(at(100)), None);
    }

    #[test]
    fn a_key_that_vanished_is_not_taken_again_while_held() {
        let mut state = holder();
        state.step(at(2));
        state.wrote(Outcome::Unknown, at(4));
        state.saw(Found::Nothing, at(4));
        assert!(state.held(at(4)).is_some());
        assert!(matches!(state.step(at(12)), Step::End));
    }

    /// A bidder whose first bid was sent at 0 and is unanswered; it finds nothing.
    fn unanswered() -> State {
        let mut state = State::new(TTL, false, at(0));
        assert_eq!(state.step(at(0)), Step::Bid(1));
        state.wrote(Outcome::Unknown, at(2));
        assert_eq!(state.step(at(2)), Step::Look);
        state.saw(Found::Nothing, at(2));
        assert_eq!(state.step(at(2)), Step::Wait(at(3)));
        state
    }

    fn ours(revision: u64, write: u64) -> Found {
        Found::Ours { revision, write }
    }

    #[test]
    fn a_bid_that_was_applied_late_is_known_again_and_holds_from_when_it_was_sent() {
        let mut state = unanswered();
        assert_eq!(state.step(at(5)), Step::Bid(2));
        state.wrote(Outcome::Refused, at(5));
        assert_eq!(state.step(at(5)), Step::Look);
        state.saw(ours(9, 1), at(6));
        let held = Held {
            epoch: Epoch(9),
            until: at(12),
        };
        assert_eq!(state.held(at(6)), Some(held));
    }

    #[test]
    fn a_bid_that_was_applied_too_late_is_not_believed_but_written_over() {
        let mut state = unanswered();
        assert_eq!(state.step(at(20)), Step::Bid(2));
        state.wrote(Outcome::Refused, at(20));
        state.saw(ours(9, 1), at(20));
        assert_eq!((state.held(at(20)), state.revision()), (None, Some(9)));
        let renewal = Step::Renew {
            revision: 9,
            write: 3,
        };
        assert_eq!(state.step(at(21)), renewal);
        state.wrote(Outcome::Applied(11), at(22));
        let held = Held {
            epoch: Epoch(11),
            until: at(33),
        };
        assert_eq!(state.held(at(22)), Some(held));
    }

    #[test]
    fn a_key_that_is_another_s_after_all_ends_the_bid() {
        for late in [5, 20] {
            let mut state = unanswered();
            state.step(at(late));
            state.wrote(Outcome::Refused, at(late));
            state.saw(Found::Other, at(late));
            assert_eq!(state.step(at(late)), Step::End);
        }
        // Written over after it expired and another took it.
        let mut state = unanswered();
        state.step(at(20));
        state.wrote(Outcome::Refused, at(20));
        state.saw(ours(9, 1), at(20));
        state.step(at(21));
        state.wrote(Outcome::Refused, at(21));
        state.saw(Found::Other, at(21));
        assert_eq!((state.held(at(21)), state.step(at(21))), (None, Step::End));
    }

    #[test]
    fn a_bidder_refused_by_another_does_not_look() {
        let mut state = State::new(TTL, false, at(0));
        state.step(at(0));
        state.wrote(Outcome::Refused, at(0));
        assert_eq!(state.step(at(0)), Step::End);
    }

    #[test]
    fn a_persistent_bidder_bids_again() {
        let mut state = State::new(TTL, true, at(0));
        state.step(at(0));
        state.wrote(Outcome::Refused, at(0));
        assert_eq!(state.step(at(0)), Step::Wait(at(1)));
        assert_eq!(state.step(at(1)), Step::Bid(2));
    }
}
