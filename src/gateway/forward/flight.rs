//! Pure: the one batch of a shard that is under way to the stream; a batch may be one message.
//!
//! Every batch is fenced: it names the stream sequence of the shard's last stored message, and the
//! server stores all of it or nothing. So a retry stores nothing twice, and a process that wakes up
//! late stores nothing at all.

use std::{cmp::Ordering, time::Duration};

use crate::clock::Instant;

/// An attempt unanswered for this long is repeated under the same id.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// The pause after a refusal that will pass, such as an election.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How long messages go alone after a batch was refused for being one: others that have too many open
/// are as busy in a moment.
const ALONE: Duration = Duration::from_secs(1);

/// What the stream answered to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Stored at this stream sequence, now or earlier.
    Stored(u64),
    /// The shard's last message is not the one expected, or an id is known: somebody stored
    /// meanwhile, maybe we.
    Fenced,
    /// Nothing of a batch, because it is one: too many are open, or a part of it was lost.
    Unbatched,
    /// Not now: no responder, no leader, a copy of it still in progress.
    Later,
}

/// The last message of the shard as its stream's leader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// Stream sequence and message id.
    Message(u64, String),
    /// None, or none any more.
    Nothing,
    /// The leader did not answer.
    Unknown,
}

/// What to do next for the batch under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send it; the reply subject ends with the attempt's number.
    Publish {
        /// Of this attempt, never used again.
        attempt: u64,
        /// Stream sequence to expect as the shard's last.
        expected: u64,
    },
    /// Read the shard's last message from the stream's leader.
    Look,
    /// Nothing before then.
    Wait(Instant),
    /// All of it is stored: the next one may go.
    Done,
    /// So many messages from its front are stored; the rest goes on as a new batch.
    Part(usize),
    /// A later owner stores for this shard: stop.
    Usurped,
}

/// The state of one shard's publishing.
#[derive(Clone, Debug)]
pub struct Flight {
    last: u64,
    attempt: u64,
    retries: u32,
    alone_until: Option<Instant>,
    phase: Phase,
    /// An older message stood where a later one was acknowledged. Eviction takes the oldest first, and
    /// so never does that; a leader that lags may say so.
    behind: Option<Loss>,
}

/// The stream's last message of a shard was acknowledged, and is there no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The stream sequence that was acknowledged.
    pub acknowledged: u64,
    /// The one after which the stream goes on.
    pub found: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Waiting { until: Instant },
    Pausing { until: Instant },
    Unsure { from: Instant },
    Usurped,
}

impl Flight {
    /// A shard whose last stored message stands at stream sequence `last`; 0: none.
    pub fn new(last: u64) -> Self {
        Self {
            last,
            attempt: 0,
            retries: 0,
            alone_until: None,
            phase: Phase::Idle,
            behind: None,
        }
    }

    /// A new batch takes off, or the one under way goes on.
    pub fn step(&mut self, now: Instant) -> Step {
        match self.phase {
            Phase::Usurped => Step::Usurped,
            Phase::Unsure { from } if now < from => Step::Wait(from),
            Phase::Unsure { .. } => Step::Look,
            Phase::Pausing { until } | Phase::Waiting { until } if now < until => Step::Wait(until),
            Phase::Idle | Phase::Pausing { .. } | Phase::Waiting { .. } => self.publish(now),
        }
    }

    /// An answer; one to an earlier attempt must not pass for this message's, so it is dropped.
    pub fn answered(&mut self, attempt: u64, answer: Answer, now: Instant) -> Option<Step> {
        if attempt != self.attempt || !matches!(self.phase, Phase::Waiting { .. }) {
            return None;
        }
        match answer {
            Answer::Stored(sequence) => {
                // Stored over a later one after all: the leader lagged.
                self.behind = self.behind.filter(|loss| loss.found == self.last);
                self.stored(sequence);
                return Some(Step::Done);
            }
            Answer::Fenced => self.phase = Phase::Unsure { from: now },
            Answer::Unbatched => {
                self.alone_until = Some(now + ALONE);
                self.phase = Phase::Idle;
            }
            Answer::Later => {
                self.phase = Phase::Pausing {
                    until: now + self.pause(),
                }
            }
        }
        Some(self.step(now))
    }

    /// What a look at the shard's last message found; `ids` are those of the batch under way.
    ///
    /// Where the last message is one of ours, the ones before it are stored too: prefix order.
    pub fn saw<'a>(
        &mut self,
        found: &Last,
        ids: impl IntoIterator<Item = &'a str>,
        now: Instant,
    ) -> Step {
        match found {
            Last::Message(sequence, last) => {
                if let Some(index) = ids.into_iter().position(|id| id == last) {
                    self.behind = None;
                    self.stored(*sequence);
                    return Step::Part(index + 1);
                }
                let known = self.behind.map_or(self.last, |loss| loss.acknowledged);
                match sequence.cmp(&known) {
                    // Not ours, and stored after all that we know of.
                    Ordering::Greater => self.phase = Phase::Usurped,
                    Ordering::Equal => {
                        self.behind = None;
                        self.expect(known, now);
                    }
                    Ordering::Less => {
                        let (acknowledged, found) = (known, *sequence);
                        self.behind = Some(Loss {
                            acknowledged,
                            found,
                        });
                        self.expect(found, now);
                    }
                }
            }
            Last::Nothing => self.expect(0, now),
            Last::Unknown => {
                let until = now + self.pause();
                self.phase = Phase::Unsure { from: until };
            }
        }
        self.step(now)
    }

    /// Times that the batch under way was sent again.
    pub fn retries(&self) -> u32 {
        self.retries.saturating_sub(1)
    }

    /// What the stream lost after its ack, once a batch is stored over the place: until then it may be
    /// the word of a leader that lags.
    pub fn loss(&mut self) -> Option<Loss> {
        self.behind.take()
    }

    /// True if only the batch's first message should go: what the server has against the batch it may
    /// not have against one message.
    pub fn alone(&self, now: Instant) -> bool {
        self.retries() > 0 || self.unbatched(now)
    }

    /// True if a batch was refused for being one just now.
    pub fn unbatched(&self, now: Instant) -> bool {
        self.alone_until.is_some_and(|until| now < until)
    }

    /// The stream sequence of the last stored message.
    pub fn last(&self) -> u64 {
        self.last
    }

    fn publish(&mut self, now: Instant) -> Step {
        self.attempt += 1;
        self.retries += 1;
        self.phase = Phase::Waiting {
            until: now + ANSWER_LIMIT,
        };
        Step::Publish {
            attempt: self.attempt,
            expected: self.last,
        }
    }

    fn stored(&mut self, sequence: u64) {
        self.last = sequence;
        self.retries = 0;
        self.phase = Phase::Idle;
    }

    /// The last message was evicted: expect what is there, then try again.
    fn expect(&mut self, sequence: u64, now: Instant) {
        self.last = sequence;
        self.phase = Phase::Pausing {
            until: now + self.pause(),
        };
    }

    fn pause(&self) -> Duration {
        let (min, max) = RETRY_PAUSE;
        min.saturating_mul(1 << self.retries.min(8)).min(max)
    }
}

#[cfg(test)]
mod tests;
