//! Publishes one shard's messages to the stream: the same bytes, in order, retried until acked.
//!
//! The invariant that everything else leans on: a message is stored only if the one before it is
//! stored or was deliberately dropped. Then the stream itself tells how far the shard is.
//!
//! A busy group's messages flow in one fast-ingest batch (server 2.14): the server stores them in order,
//! none behind one that it lacks, and acknowledges many at once. In a quiet group, after a batch broke,
//! and where the stream takes no batches, one message is in flight a shard, and its ack lets the next
//! one go.

pub mod claim;
mod collision;
pub mod flight;
pub mod foreign;
pub mod form;
pub mod ingest;
mod loss;
pub mod message;
pub mod outlet;
pub mod progress;
mod ride;
pub mod said;
pub mod seat;
mod send;
pub mod shared;
pub mod tend;
pub mod untaken;
pub mod waiting;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

pub use self::{
    collision::Renamed,
    flight::Last,
    message::{Body, Message, Tag},
    outlet::Outlet,
    progress::{Collision, Progress},
    seat::{Handover, Seat},
    shared::{GroupBatch, Told},
};
use self::{
    flight::{Answer, Flight, Step},
    outlet::Heard,
    waiting::Waiting,
};
use super::{
    buffer::Budget,
    metrics::{Meters, Retry},
    socket::valid,
};
use crate::{
    broker::losses::Hearing,
    clock::{self, Instant},
    lease::Held,
};

/// Why a publisher ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The queue was closed and everything in it is stored.
    Flushed,
    /// The lease ended: what was not stored is the next owner's to fetch.
    LeaseLost,
    /// A later owner stores for this shard.
    Usurped,
    /// The stream has lost what it had acknowledged: what it has is to be resumed from.
    Behind,
}

/// One shard's publisher.
pub struct Publisher {
    /// The way to the stream.
    pub outlet: Outlet,
    /// What waits.
    pub queue: mpsc::UnboundedReceiver<Message>,
    /// The lease that it publishes under.
    pub held: watch::Receiver<Option<Held>>,
    /// The process's bytes.
    pub budget: Budget,
    /// Who is told what is stored.
    pub told: Told,
    /// Counters.
    pub meters: Meters,
    /// Its place in its group's batch; none where the stream takes none.
    pub seat: Option<Seat>,
    /// What its stream loses.
    pub losses: Hearing,
    /// The session and the sequence up to which the stream held the shard when this one began.
    pub stored: Option<(Arc<str>, u64)>,
    /// What the stream held then it has lost already.
    pub lost: bool,
    /// The name of a session that another one has too, and the one that its messages get.
    pub renamed: Option<Renamed>,
}

/// What came of the first messages that wait.
enum Stored {
    /// So many are in the stream.
    Messages(usize),
    /// The stream was made anew.
    Anew,
    /// The stream knows the first one's id, and has another message under it.
    Collides,
}

impl Drop for Publisher {
    /// What it has not taken waits no more, also where it panicked.
    fn drop(&mut self) {
        self.queue.close();
        while let Ok(message) = self.queue.try_recv() {
            self.budget.drop_one(message.body.size());
        }
    }
}

impl Publisher {
    /// Publishes until the queue is closed and empty, or the lease ends. `last` is the stream
    /// sequence of the shard's last stored message.
    pub async fn run(mut self: Box<Self>, last: u64) -> End {
        let end = self.publish(last).await;
        if let Some(seat) = &self.seat {
            seat.quit();
        }
        end
    }

    async fn publish(&mut self, last: u64) -> End {
        let mut flight = Flight::new(last);
        let mut waiting = Waiting::new(self.budget.clone());
        if self.lost {
            self.goes_on(&mut waiting);
        }
        let mut purged = false;
        while self.fill(&mut waiting).await {
            if let Some(lost) = self.losses.news() {
                purged |= self.look_for_loss(lost, &mut flight, &mut waiting).await;
            }
            // Where some of what waits may be stored already, it would seem that this word in front is too.
            if purged && (waiting.is_empty() || flight.is_settled()) {
                purged = false;
                self.goes_on(&mut waiting);
            }
            if waiting.is_empty() {
                continue;
            }
            let outcome = match self.ride(&mut flight, &mut waiting).await {
                Ok(true) => Ok(()),
                Ok(false) => self.alone(&mut flight, &mut waiting).await,
                Err(end) => Err(end),
            };
            if let Err(end) = outcome {
                return end;
            }
        }
        End::Flushed
    }

    /// Takes what waits, so that there is at least one message, or a loss to look for. False: nothing will
    /// come any more.
    async fn fill(&mut self, waiting: &mut Waiting) -> bool {
        if !waiting.is_empty() {
            return true;
        }
        let first = if let Ok(first) = self.queue.try_recv() {
            Some(first)
        } else {
            tokio::select! {
                biased;
                first = self.queue.recv() => first,
                () = self.losses.changed() => return true,
            }
        };
        let Some(first) = first else { return false };
        self.take(waiting, first);
        true
    }

    /// Takes a message, and those that came with it.
    fn take(&mut self, waiting: &mut Waiting, first: Message) {
        waiting.push(self.rename(first));
        while waiting.has_room()
            && let Ok(next) = self.queue.try_recv()
        {
            waiting.push(self.rename(next));
        }
    }

    /// Sees the first message into the stream, by itself.
    async fn alone(&mut self, flight: &mut Flight, waiting: &mut Waiting) -> Result<(), End> {
        let sent_at = clock::now();
        self.meters.sent(waiting.waited(sent_at));
        let flying = self.budget.takes_off();
        let stored = self.store(flight, waiting).await;
        drop(flying);
        let (stored, now) = (stored?, clock::now());
        let count = match stored {
            Stored::Messages(count) => count,
            Stored::Anew => {
                self.goes_on(waiting);
                return Ok(());
            }
            Stored::Collides => {
                self.collides(waiting);
                return Ok(());
            }
        };
        self.meters.acked(now - sent_at);
        self.budget.acked(clock::unix_ms());
        for message in (0..count).map_while(|_| waiting.pop()) {
            self.told.stored(message, &self.budget, &self.meters, now);
            self.told.progress.left();
            self.budget.left(1);
        }
        if let Some(seat) = &self.seat {
            seat.passed(now);
        }
        Ok(())
    }

    /// Sees messages from the front of `waiting` into the stream.
    async fn store(&mut self, flight: &mut Flight, waiting: &Waiting) -> Result<Stored, End> {
        let now = clock::now();
        self.outlet.untaken.begins(now);
        let mut step = flight.step(now);
        loop {
            if !valid(&self.held) {
                return Err(End::LeaseLost);
            }
            step = match step {
                Step::Stored(count) => return Ok(Stored::Messages(count)),
                Step::Usurped => return Err(End::Usurped),
                Step::Anew => return Ok(Stored::Anew),
                Step::Collides => return Ok(Stored::Collides),
                Step::Lost => {
                    self.outlet.tell_of_loss();
                    return Err(End::Behind);
                }
                Step::Publish { attempt, expected } => {
                    if flight.retries() > 0 {
                        let refused = flight.refused();
                        let why = if refused {
                            Retry::Refused
                        } else {
                            Retry::Unanswered
                        };
                        self.meters.retried(why);
                        self.outlet.look_for_a_taker();
                    }
                    if let Some(first) = waiting.first() {
                        self.outlet.publish(first, attempt, expected).await;
                    }
                    flight.step(clock::now())
                }
                Step::Look => {
                    // In a box: it is large, and seldom there.
                    let (found, behind) = Box::pin(self.look(flight)).await;
                    self.outlet.look_for_a_taker();
                    // An earlier attempt may have carried it, and a batch some behind it.
                    let step = flight.saw(&found, waiting.ids(), clock::now());
                    flight.stands_behind(behind, step)
                }
                Step::LookAt(sequence) => {
                    let standing = Box::pin(self.outlet.standing(sequence)).await;
                    flight.stands(standing, clock::now())
                }
                Step::Wait(until) => self.wait(flight, waiting, until).await,
            };
        }
    }

    async fn wait(&mut self, flight: &mut Flight, waiting: &Waiting, until: Instant) -> Step {
        loop {
            tokio::select! {
                biased;
                answer = self.outlet.answers.next() => {
                    let Some(message) = answer else { return Step::Usurped };
                    let now = clock::now();
                    let Some((attempt, heard)) = outlet::parse(&message) else { continue };
                    let answer = self.understand(heard, waiting, now);
                    if let Some(step) = flight.answered(attempt, answer, now) {
                        return step;
                    }
                }
                Ok(()) = self.held.changed() => return flight.step(clock::now()),
                () = tokio::time::sleep_until(until) => return flight.step(clock::now()),
            }
        }
    }

    /// A refusal is said, seldom, and counted with the retry that follows.
    fn understand(&mut self, heard: Heard, waiting: &Waiting, now: Instant) -> Answer {
        let refusal = match heard {
            Heard::Answer(answer) => return answer,
            Heard::Duplicate(sequence) => {
                let id = waiting.ids().next().unwrap_or_default();
                return Answer::Duplicate { id, sequence };
            }
            Heard::Refusal(refusal) => refusal,
        };
        self.outlet.untaken.begins(now);
        if let Some(more) = self.outlet.refusals.one_more(now) {
            let shard = self.outlet.shard();
            tracing::warn!(%shard, more, "the stream refuses what shard {shard} publishes, and others: {refusal}");
        }
        Answer::Refused
    }
}
