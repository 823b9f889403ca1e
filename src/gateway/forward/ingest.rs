//! Pure: the fast-ingest batch of a group, in which its shards' messages flow without a wait for acks.
//!
//! The server stores each message as it comes and none behind one that it lacks (gap mode `fail`), and
//! acknowledges every so many. Only a shard's first message in a batch is fenced, so that nothing of a
//! batch may come in once it is given up: it is closed at the server before anybody looks how far it
//! came, and so is the last owner's.
//!
//! A quiet group opens none: an ack for each message is then as cheap, and comes sooner.
//!
//! <https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md>

use std::time::Duration;

use crate::clock::Instant;

/// Messages an ack, as asked for; the server may choose fewer. More would save little, and the last ones
/// of a slow stretch wait for their ack until it ends.
pub const FLOW: u16 = 64;
/// Acks outstanding before the next message waits: a server that has other things to do for a moment finds
/// enough to go on with, and a window that is seldom full wakes nobody.
const OUTSTANDING: u64 = 8;
/// A batch without an answer that is due for this long has broken.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How soon the end of a broken batch is asked for again.
const CLOSE_AGAIN: Duration = Duration::from_millis(500);
/// A batch without a message for this long is ended: its last ones want their ack. The server gives up
/// a batch after ten seconds.
const LULL: Duration = Duration::from_millis(250);
/// … and for this long, where somebody waits for the last acks: as long as others send, they come anyway.
const SHORT_LULL: Duration = Duration::from_millis(10);
/// A batch whose last ack is so long ago is ended too, where something waits for the next one: its
/// messages trickle.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// A group with so many messages within a lull is worth a batch.
const BUSY: u32 = 16;
/// The pause after a batch that broke.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause after one could not be named: NATS is away, or a right is missing.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// What the stream said to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Every message up to this one of the batch is stored; the next word comes after so many.
    Flow {
        /// Its number in the batch.
        upto: u64,
        /// Messages an ack from now on.
        every: u64,
    },
    /// The batch is over, with so many messages.
    Ended {
        /// Messages.
        count: u64,
    },
    /// There is no such batch, any more or yet.
    Unknown,
    /// Something in it is not taken, and nothing behind it will be.
    Refused(String),
    /// Nobody serves the stream just now.
    Away,
}

/// What to do next for the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Give the next batch a name that a later owner can find.
    Prepare,
    /// Say its end, under this number.
    End(u64),
    /// Have the server close it, whatever it has of it.
    Close,
    /// Nothing before then.
    Wait(Instant),
    /// Nothing before somebody sends.
    Idle,
}

/// One batch after another.
#[derive(Debug)]
pub struct Ingest {
    phase: Phase,
    sent: u64,
    acked: u64,
    every: u64,
    sent_at: Instant,
    heard_at: Instant,
    /// Somebody waits for the last acks.
    finish: bool,
    /// Messages published one by one since.
    count: (u32, Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is none; none is prepared before then.
    Closed {
        until: Instant,
    },
    /// The next one is to be named.
    Preparing,
    /// It has a name; the first message may go.
    Prepared,
    /// Its first message is out: the answer tells how fast it may go.
    Opening,
    Open,
    /// Its end is said.
    Ending,
    /// It is to be closed.
    Broken {
        say_at: Instant,
    },
}

impl Ingest {
    /// Without a batch.
    pub fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Closed { until: now },
            sent: 0,
            acked: 0,
            every: 0,
            sent_at: now,
            heard_at: now,
            finish: false,
            count: (0, now),
        }
    }

    /// A message was published by itself. True: there is enough of them for a batch to be prepared.
    pub fn passed(&mut self, now: Instant) -> bool {
        let (count, since) = &mut self.count;
        if now >= *since + LULL {
            (*count, *since) = (0, now);
        }
        *count += 1;
        let wanted = matches!(self.phase, Phase::Closed { until } if now >= until);
        if *count < BUSY || !wanted {
            return false;
        }
        self.phase = Phase::Preparing;
        true
    }

    /// The next batch has a name.
    pub fn prepared(&mut self, now: Instant) {
        self.phase = Phase::Prepared;
        (self.sent, self.acked, self.finish) = (0, 0, false);
        self.heard_at = now;
    }

    /// It could not be given one.
    pub fn unprepared(&mut self, now: Instant) {
        self.phase = Phase::Closed {
            until: now + LONG_PAUSE,
        };
    }

    /// True if there is a batch that a shard may join.
    pub fn joins(&self) -> bool {
        matches!(self.phase, Phase::Prepared | Phase::Opening | Phase::Open)
    }

    /// True if there is none, any more or yet: nothing of the last one comes in at the server.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. } | Phase::Preparing)
    }

    /// Messages that may go now.
    pub fn room(&self) -> u64 {
        match self.phase {
            Phase::Prepared => 1,
            Phase::Open => (self.acked + self.every * OUTSTANDING).saturating_sub(self.sent),
            _ => 0,
        }
    }

    /// A message goes: its number in the batch.
    pub fn send(&mut self, now: Instant) -> u64 {
        if self.phase == Phase::Prepared {
            self.phase = Phase::Opening;
        }
        if self.sent == self.acked {
            self.heard_at = now;
        }
        self.sent += 1;
        self.sent_at = now;
        self.sent
    }

    /// True while something of a batch may come in at the server.
    fn flows(&self) -> bool {
        self.is_under_way() || self.is_broken()
    }

    /// True if it is to be closed.
    pub fn is_broken(&self) -> bool {
        matches!(self.phase, Phase::Broken { .. })
    }

    /// Messages of the batch that are stored.
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// True if somebody waits for the last acks.
    pub fn finishes(&self) -> bool {
        self.finish
    }

    /// Somebody waits for the last acks: the batch is to end soon.
    pub fn finish(&mut self) {
        self.finish = true;
    }

    /// A message could not be sent: what follows it would not be taken.
    pub fn broke(&mut self, now: Instant) {
        if self.is_under_way() {
            self.phase = Phase::Broken { say_at: now };
        }
    }

    /// The stream, or the name of the batch, was lost.
    pub fn lost(&mut self, now: Instant) {
        if self.phase == Phase::Prepared {
            self.phase = Phase::Closed { until: now };
        }
        self.broke(now);
    }

    fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Open | Phase::Ending)
    }

    /// What the stream said.
    pub fn heard(&mut self, said: &Said, now: Instant) {
        let under_way = self.is_under_way();
        match *said {
            Said::Flow { upto, every } if under_way => {
                self.acked = self.acked.max(upto.min(self.sent));
                self.every = every.clamp(1, FLOW.into());
                self.heard_at = now;
                if self.phase == Phase::Opening {
                    self.phase = Phase::Open;
                }
            }
            Said::Ended { count } if self.phase == Phase::Ending && count == self.sent => {
                self.acked = self.sent;
                self.phase = Phase::Closed { until: now };
            }
            Said::Ended { .. } | Said::Unknown if self.flows() => {
                self.phase = Phase::Closed { until: now + PAUSE };
            }
            Said::Refused(_) | Said::Away => self.broke(now),
            Said::Flow { .. } | Said::Ended { .. } | Said::Unknown => {}
        }
    }

    /// What is due.
    pub fn step(&mut self, now: Instant) -> Step {
        let answer_by = self.sent_at.max(self.heard_at) + ANSWER_LIMIT;
        let lull = self.sent_at + if self.finish { SHORT_LULL } else { LULL };
        let lull = if self.sent > self.acked {
            lull.min(self.heard_at + LONGEST_WAIT)
        } else {
            lull
        };
        match self.phase {
            Phase::Prepared if self.finish => {
                self.phase = Phase::Closed { until: now };
                Step::Idle
            }
            Phase::Closed { .. } | Phase::Prepared => Step::Idle,
            Phase::Preparing => Step::Prepare,
            // A full batch has acks due, and messages behind it.
            Phase::Open if now >= lull && self.room() > 0 => {
                self.phase = Phase::Ending;
                self.sent_at = now;
                Step::End(self.sent + 1)
            }
            Phase::Open if self.room() > 0 => Step::Wait(lull),
            Phase::Opening | Phase::Open | Phase::Ending if now < answer_by => {
                Step::Wait(answer_by)
            }
            Phase::Broken { say_at } if now < say_at => Step::Wait(say_at),
            Phase::Opening | Phase::Open | Phase::Ending | Phase::Broken { .. } => {
                self.phase = Phase::Broken {
                    say_at: now + CLOSE_AGAIN,
                };
                Step::Close
            }
        }
    }
}

#[cfg(test)]
mod tests;
