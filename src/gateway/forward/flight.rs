//! Pure: the one message of a shard that is under way to the stream by itself.
//!
//! It is fenced: it names the stream sequence of the shard's last stored message. So a retry stores
//! nothing twice, and a process that wakes up late stores nothing at all.

use std::time::Duration;

use crate::{clock::Instant, wire::event::parse_id};

/// An attempt unanswered for this long is repeated under the same id.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// The pause after a refusal that will pass, such as an election.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Looks that find an older message than the one acknowledged before it counts as lost: a leader that
/// lags may say so too.
const DOUBTS: u32 = 3;
/// The pause after the first of them; it grows with each.
const DOUBT_PAUSE: Duration = Duration::from_millis(300);

/// What the stream answered to an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Stored at this stream sequence, now or earlier.
    Stored(u64),
    /// A message was stored under this id within the duplicate window; whose, and whether it is still there,
    /// is another matter.
    Duplicate {
        /// The id.
        id: String,
        /// Where in the stream.
        sequence: u64,
    },
    /// The shard's last message is not the one expected: somebody stored meanwhile, maybe we.
    Fenced,
    /// Not now: no responder, no leader, a copy of it still in progress.
    Later,
    /// Not as things are: the stream is full, say.
    Refused,
}

/// The last message of the shard as its stream's leader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// Stream sequence and message id.
    Message(u64, String),
    /// None, or none any more.
    Nothing,
    /// None, and the stream is not the one that it was.
    Lost,
    /// The leader did not answer.
    Unknown,
}

/// Whose message stands where the stream says that it knows an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The shard's own.
    Own,
    /// Another shard's, or somebody's.
    Another,
    /// None any more.
    Gone,
    /// The leader did not answer.
    Unknown,
}

/// What to do next for the message under way.
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
    /// Read whose message stands at this sequence.
    LookAt(u64),
    /// Nothing before then.
    Wait(Instant),
    /// So many messages are stored, it and those behind it: the next one may go.
    Stored(usize),
    /// A later owner stores for this shard: stop.
    Usurped,
    /// What was acknowledged is not there any more: what is left must be resumed from.
    Lost,
    /// The stream was made anew, and holds nothing of the shard: it goes on there, behind the word of that.
    Anew,
    /// Another message has its id: it needs another one.
    Collides,
}

/// The state of one shard's publishing.
#[derive(Clone, Debug)]
pub struct Flight {
    last: u64,
    /// The last message acknowledged, where nobody told its place in the stream.
    rode: Option<String>,
    attempt: u64,
    retries: u32,
    refused: bool,
    doubts: u32,
    /// The id that the stream knows already, and where.
    known: Option<(String, u64)>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Waiting { until: Instant },
    Pausing { until: Instant },
    Unsure { from: Instant },
    Ended(Step),
}

impl Flight {
    /// A shard whose last stored message stands at stream sequence `last`; 0: none.
    pub fn new(last: u64) -> Self {
        Self {
            last,
            rode: None,
            attempt: 0,
            retries: 0,
            refused: false,
            doubts: 0,
            known: None,
            phase: Phase::Idle,
        }
    }

    /// The next message takes off, or the one under way goes on.
    pub fn step(&mut self, now: Instant) -> Step {
        match self.phase {
            Phase::Ended(end) => end,
            Phase::Unsure { from } if now < from => Step::Wait(from),
            Phase::Unsure { .. } => match &self.known {
                Some((_, sequence)) => Step::LookAt(*sequence),
                None => Step::Look,
            },
            Phase::Pausing { until } | Phase::Waiting { until } if now < until => Step::Wait(until),
            Phase::Idle | Phase::Pausing { .. } | Phase::Waiting { .. } => self.publish(now),
        }
    }

    /// An answer; one to an earlier attempt must not pass for this message's, so it is dropped.
    pub fn answered(&mut self, attempt: u64, answer: Answer, now: Instant) -> Option<Step> {
        if attempt != self.attempt || !matches!(self.phase, Phase::Waiting { .. }) {
            return None;
        }
        let refused = answer == Answer::Refused;
        match answer {
            Answer::Stored(sequence) => {
                self.stored(sequence);
                return Some(Step::Stored(1));
            }
            Answer::Duplicate { id, sequence } => {
                self.known = Some((id, sequence));
                self.phase = Phase::Unsure { from: now };
            }
            Answer::Fenced => self.phase = Phase::Unsure { from: now },
            Answer::Later | Answer::Refused => {
                self.refused = refused;
                self.phase = Phase::Pausing {
                    until: now + self.pause(),
                }
            }
        }
        Some(self.step(now))
    }

    /// What a look found where the stream knows the id of the message under way.
    pub fn stands(&mut self, standing: Standing, now: Instant) -> Step {
        let Some((id, sequence)) = self.known.take() else {
            return self.step(now);
        };
        match standing {
            Standing::Unknown => {
                let until = now + self.pause();
                self.phase = Phase::Pausing { until };
                self.step(now)
            }
            Standing::Own if sequence > self.last => {
                self.stored(sequence);
                Step::Stored(1)
            }
            Standing::Gone if sequence > self.last => {
                // The fence stays: where nothing is left of the shard, the next one may be one too.
                let last = self.last;
                self.stored(last);
                self.rode = Some(id);
                Step::Stored(1)
            }
            // What stands before the shard's last message is no event that comes behind it.
            Standing::Own | Standing::Gone | Standing::Another => {
                (self.retries, self.refused) = (0, false);
                self.phase = Phase::Idle;
                Step::Collides
            }
        }
    }

    /// The batch that the shard was part of is over, and `last` the id of its last message acknowledged
    /// there, if there was one: where that stands is to be looked up.
    pub fn rode(&mut self, last: Option<String>, now: Instant) {
        (self.rode, self.known) = (last, None);
        self.retries = 0;
        self.phase = Phase::Unsure { from: now };
    }

    /// What a look at the shard's last message found; `ids` are those of what waits, oldest first.
    ///
    /// Where the last message is one of ours, the ones before it are stored too: prefix order.
    pub fn saw(
        &mut self,
        found: &Last,
        ids: impl IntoIterator<Item: AsRef<str>>,
        now: Instant,
    ) -> Step {
        match found {
            Last::Message(sequence, id) => {
                if let Some(index) = ids.into_iter().position(|ours| ours.as_ref() == id) {
                    self.stored(*sequence);
                    return Step::Stored(index + 1);
                }
                self.saw_another(*sequence, id, now);
            }
            Last::Nothing => self.expect(0, now),
            Last::Lost => {
                self.stored(0);
                return Step::Anew;
            }
            Last::Unknown => {
                let until = now + self.pause();
                self.phase = Phase::Unsure { from: until };
            }
        }
        self.step(now)
    }

    fn saw_another(&mut self, sequence: u64, id: &str, now: Instant) {
        let rode = self.rode.as_deref();
        if rode == Some(id) {
            self.stored(sequence);
        } else if sequence < self.last || rode.is_some_and(|last| is_before(id, last)) {
            self.doubts += 1;
            let until = now + DOUBT_PAUSE * self.doubts;
            self.phase = if self.doubts < DOUBTS {
                Phase::Unsure { from: until }
            } else {
                Phase::Ended(Step::Lost)
            };
        } else if sequence == self.last && rode.is_none() {
            self.expect(sequence, now);
        } else if sequence == self.last {
            // The last one acknowledged in the batch is gone, and all of the batch before it.
            self.phase = Phase::Ended(Step::Lost);
        } else {
            // Not ours, and stored after all that we know of.
            self.phase = Phase::Ended(Step::Usurped);
        }
    }

    /// The step after [`Self::saw`], where a message of nobody's is the shard's last one: the next expects that.
    pub fn stands_behind(&mut self, sequence: u64, step: Step) -> Step {
        self.last = self.last.max(sequence);
        match step {
            Step::Publish { attempt, .. } => Step::Publish {
                attempt,
                expected: self.last,
            },
            step => step,
        }
    }

    /// True for what was stored behind all that is known of the shard.
    pub fn is_behind(&self, sequence: u64) -> bool {
        self.rode.is_none() && sequence > self.last
    }

    /// True if nothing is under way, and it is known what stands before the next message.
    pub fn is_settled(&self) -> bool {
        self.phase == Phase::Idle && self.rode.is_none()
    }

    /// True if something of the shard is known to have been stored.
    pub fn expects(&self) -> bool {
        self.last > 0 || self.rode.is_some()
    }

    /// Times that the message under way was sent again.
    pub fn retries(&self) -> u32 {
        self.retries.saturating_sub(1)
    }

    /// True if the last attempt was refused.
    pub fn refused(&self) -> bool {
        self.refused
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
        self.rode = None;
        (self.retries, self.doubts, self.refused) = (0, 0, false);
        self.phase = Phase::Idle;
    }

    /// The last message was evicted: expect what is there, then try again.
    fn expect(&mut self, sequence: u64, now: Instant) {
        self.last = sequence;
        self.rode = None;
        let again = self.retries > 0;
        let pause = if again { self.pause() } else { Duration::ZERO };
        self.phase = Phase::Pausing { until: now + pause };
    }

    fn pause(&self) -> Duration {
        let (min, max) = RETRY_PAUSE;
        min.saturating_mul(1 << self.retries.min(8)).min(max)
    }
}

/// True for a message of the same session that stands before the other one.
fn is_before(id: &str, other: &str) -> bool {
    let place = |id| {
        let (session, seq, part): (&str, u64, _) = parse_id(id)?;
        Some((session, (seq, part)))
    };
    place(id)
        .zip(place(other))
        .is_some_and(|((session, at), (same, later))| session == same && at < later)
}

#[cfg(test)]
mod tests;
