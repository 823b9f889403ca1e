//! Publishes one shard's messages to the stream: the same bytes, in order, retried until acked.
//!
//! The invariant that everything else leans on: a message is stored only if the one before it is
//! stored or was deliberately dropped. Then the stream itself tells how far the shard is.
//!
//! One batch is in flight a shard; while it is, what comes gathers to the next. At a quiet pace a
//! batch is one message; flat out it is hundreds, for one ack. The server stores a batch whole or not
//! at all (atomic publish, server 2.12), so that prefix order holds; where it cannot, or where a batch
//! costs it more than the messages alone, a batch is one message.

pub mod batch;
pub mod flight;
pub mod message;
pub mod outlet;
pub mod refusals;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};

use self::{
    batch::Batch,
    flight::{Answer, Flight, Step},
    outlet::{Heard, Outgoing},
};
pub use self::{
    flight::Last,
    message::{Body, Message},
    outlet::{Outlet, Turn},
};
use super::{
    buffer::Budget,
    metrics::{Meters, Retry},
};
use crate::{
    clock::{self, Instant},
    lease::Held,
};

/// How far one shard is, shared with whoever polls it.
#[derive(Debug, Default)]
pub struct Progress {
    stored: AtomicU64,
}

impl Progress {
    /// Messages stored by this process.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }
}

/// Why a publisher ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The queue was closed and everything in it is stored.
    Flushed,
    /// The lease ended: what was not stored is the next owner's to fetch.
    LeaseLost,
    /// A later owner stores for this shard.
    Usurped,
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
    /// How far it is.
    pub progress: Arc<Progress>,
    /// Counters.
    pub meters: Meters,
    /// The stream refused the last attempt.
    pub refused: bool,
    /// READYs that are stored, for the session's key.
    pub ready: mpsc::UnboundedSender<Message>,
}

impl Publisher {
    /// Publishes until the queue is closed and empty, or the lease ends. `last` is the stream
    /// sequence of the shard's last stored message.
    pub async fn run(mut self, last: u64) -> End {
        let mut flight = Flight::new(last);
        let mut batch = Batch::default();
        loop {
            if !self.fill(&mut batch).await {
                return End::Flushed;
            }
            let sent_at = clock::now();
            self.meters.sent(batch.waited(sent_at));
            let out = batch.out(self.outlet.batches());
            self.budget.takes_off();
            let stored = self.store(&mut flight, out).await;
            self.budget.lands();
            match stored {
                Ok(count) => {
                    self.meters.acked(clock::now() - sent_at);
                    self.budget.acked(clock::unix_ms());
                    if let Some(loss) = flight.loss() {
                        self.outlet.tell_of(loss);
                    }
                    for message in (0..count).map_while(|_| batch.pop()) {
                        self.budget.remove(message.body.size());
                        self.stored(message);
                    }
                }
                Err(end) => {
                    self.discard(batch);
                    return end;
                }
            }
        }
    }

    /// Takes what waits, so that there is at least one message. False: nothing will come any more.
    async fn fill(&mut self, batch: &mut Batch) -> bool {
        if batch.is_empty() {
            let Some(first) = self.queue.recv().await else {
                return false;
            };
            batch.push(&mut self.outlet, first);
        }
        while batch.has_room(self.outlet.batches().max)
            && let Ok(next) = self.queue.try_recv()
        {
            batch.push(&mut self.outlet, next);
        }
        true
    }

    fn stored(&self, message: Message) {
        self.progress.stored.fetch_add(1, Ordering::Relaxed);
        self.meters.stored(&message, clock::now());
        if message.is_ready() {
            // The owner of the session's key may be gone already; then the stream alone tells.
            _ = self.ready.send(message);
        }
    }

    /// Sees messages from the front of `batch` into the stream: how many of them.
    async fn store(&mut self, flight: &mut Flight, batch: &[Outgoing]) -> Result<usize, End> {
        let mut out = batch;
        let mut step = flight.step(clock::now());
        loop {
            if !self
                .held
                .borrow()
                .is_some_and(|held| held.valid(clock::boottime()))
            {
                return Err(End::LeaseLost);
            }
            step = match step {
                Step::Done => return Ok(out.len()),
                Step::Part(count) => return Ok(count),
                Step::Usurped => return Err(End::Usurped),
                Step::Publish { attempt, expected } => {
                    if flight.retries() > 0 {
                        let refused = std::mem::take(&mut self.refused);
                        self.meters
                            .retried(Retry::of(refused, flight.unbatched(clock::now())));
                    }
                    if flight.alone(clock::now()) {
                        out = &out[..1];
                    }
                    self.outlet.publish(out, attempt, expected).await;
                    flight.step(clock::now())
                }
                Step::Look => {
                    let found = self.outlet.last().await;
                    // An earlier attempt may have carried all of it.
                    let ids = batch.iter().map(|message| message.id.as_str());
                    flight.saw(&found, ids, clock::now())
                }
                Step::Wait(until) => self.wait(flight, until).await,
            };
        }
    }

    async fn wait(&mut self, flight: &mut Flight, until: Instant) -> Step {
        loop {
            tokio::select! {
                biased;
                answer = self.outlet.answers.next() => {
                    let Some(message) = answer else { return Step::Usurped };
                    let now = clock::now();
                    let Some((attempt, heard)) = outlet::parse(&message) else { continue };
                    let answer = self.understand(heard, now);
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
    fn understand(&mut self, heard: Heard, now: Instant) -> Answer {
        let refusal = match heard {
            Heard::Answer(answer) => return answer,
            Heard::Refusal(refusal) => refusal,
        };
        self.refused = true;
        if let Some(more) = self.outlet.refusals.one_more(now) {
            let shard = self.outlet.shard();
            tracing::warn!(%shard, more, "the stream refuses what shard {shard} publishes, and others: {refusal}");
        }
        Answer::Later
    }

    fn discard(&mut self, mut batch: Batch) {
        self.queue.close();
        let waiting = std::iter::from_fn(|| batch.pop());
        for message in waiting.chain(std::iter::from_fn(|| self.queue.try_recv().ok())) {
            self.budget.remove(message.body.size());
        }
    }
}
