//! Publishes one shard's messages to the stream: the same bytes, one in flight, retried until acked.
//!
//! The invariant that everything else leans on: a message is stored only if the one before it is
//! stored or was deliberately dropped. Then the stream itself tells how far the shard is.

pub mod flight;
pub mod message;
pub mod wire_out;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};

use self::flight::{Flight, Step};
pub use self::{
    flight::Last,
    message::{Body, Message},
    wire_out::Outlet,
};
use super::{buffer::Budget, metrics::Meters};
use crate::{
    clock::{self, Instant},
    lease::Held,
};

/// How far one shard is, shared with whoever polls it.
#[derive(Debug, Default)]
pub struct Progress {
    stored: AtomicU64,
    last_ack_ms: AtomicU64,
}

impl Progress {
    /// Messages stored by this process.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// When the stream last acknowledged one, in milliseconds since the Unix epoch.
    pub fn last_ack_ms(&self) -> u64 {
        self.last_ack_ms.load(Ordering::Relaxed)
    }

    fn acked(&self) {
        self.stored.fetch_add(1, Ordering::Relaxed);
        self.last_ack_ms.store(clock::unix_ms(), Ordering::Relaxed);
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
    /// READYs that are stored, for the session's key.
    pub ready: mpsc::UnboundedSender<Message>,
}

impl Publisher {
    /// Publishes until the queue is closed and empty, or the lease ends. `last` is the stream
    /// sequence of the shard's last stored message.
    pub async fn run(mut self, last: u64) -> End {
        let mut flight = Flight::new(last);
        while let Some(message) = self.queue.recv().await {
            let bytes = message.body.size();
            let end = self.store(&mut flight, &message).await;
            self.budget.remove(bytes);
            match end {
                None => self.stored(message, flight.last()),
                Some(end) => {
                    self.discard();
                    return end;
                }
            }
        }
        End::Flushed
    }

    fn stored(&self, message: Message, _at: u64) {
        self.progress.acked();
        self.meters.stored(&message, clock::now());
        if message.is_ready() {
            // The owner of the session's key may be gone already; then the stream alone tells.
            _ = self.ready.send(message);
        }
    }

    /// Sees one message into the stream. None: it is stored.
    async fn store(&mut self, flight: &mut Flight, message: &Message) -> Option<End> {
        let body = self.outlet.fit(message);
        let mut step = flight.step(clock::now());
        loop {
            if !self
                .held
                .borrow()
                .is_some_and(|held| held.valid(clock::boottime()))
            {
                return Some(End::LeaseLost);
            }
            step = match step {
                Step::Done => return None,
                Step::Usurped => return Some(End::Usurped),
                Step::Publish { attempt, expected } => {
                    if flight.retries() > 0 {
                        self.meters.retried();
                    }
                    self.outlet.publish(&body, attempt, expected).await;
                    flight.step(clock::now())
                }
                Step::Look => {
                    let found = self.outlet.last().await;
                    flight.saw(&found, &body.id, clock::now())
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
                    if let Some((attempt, answer)) = wire_out::parse(&message)
                        && let Some(step) = flight.answered(attempt, answer, now)
                    {
                        return step;
                    }
                }
                Ok(()) = self.held.changed() => return flight.step(clock::now()),
                () = tokio::time::sleep_until(until) => return flight.step(clock::now()),
            }
        }
    }

    fn discard(&mut self) {
        self.queue.close();
        while let Ok(message) = self.queue.try_recv() {
            self.budget.remove(message.body.size());
        }
    }
}
