//! A shard's place in its group's batch, and its way there.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::{
    form::Fence,
    message::{Message, Tag},
    progress::Progress,
    shared::GroupBatch,
    waiting::Waiting,
};
use crate::clock::Instant;

/// A shard's place; clones share it.
#[derive(Clone)]
pub struct Seat {
    batch: GroupBatch,
    line: usize,
}

/// What a shard takes with it from a batch that is over.
pub(super) struct Left {
    /// What was not acknowledged, oldest first.
    pub(super) back: Vec<Message>,
    /// Its last message that was.
    pub(super) last: Option<Tag>,
    /// Something of it was sent.
    pub(super) sent: bool,
}

/// How a shard hands its messages over: to the batch while it rides there, else to its publisher.
#[derive(Clone)]
pub struct Handover {
    /// To its publisher.
    pub queue: mpsc::UnboundedSender<Message>,
    /// None where the stream takes no batches.
    pub seat: Option<Seat>,
    /// Where it is counted.
    pub progress: Arc<Progress>,
}

impl Handover {
    /// Hands a message over; false if its publisher has ended.
    pub fn send(&self, message: Message) -> bool {
        self.progress.waits();
        match &self.seat {
            Some(seat) => seat.send(message, &self.queue),
            None => self.queue.send(message).is_ok(),
        }
    }

    /// True if the publisher has ended.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

impl Seat {
    pub(super) fn new(batch: GroupBatch, line: usize) -> Self {
        Self { batch, line }
    }

    fn send(&self, message: Message, queue: &mpsc::UnboundedSender<Message>) -> bool {
        // Both under the lock: whoever boards empties the queue first.
        let mut state = self.batch.lock();
        // Once the publisher has ended, the line may be another shard's.
        if queue.is_closed() || !state.lines[self.line].rides {
            return queue.send(message).is_ok();
        }
        if state.hand_over(self.line, message) {
            self.batch.kick();
        }
        true
    }

    /// A message was published by itself.
    pub(super) fn passed(&self, now: Instant) {
        if self.batch.lock().ingest.passed(now) {
            self.batch.kick();
        }
    }

    /// Takes its place, with all that waits, if there is a batch to join.
    pub(super) fn board(
        &self,
        fence: impl FnOnce() -> Fence,
        waiting: &mut Waiting,
        queue: &mut mpsc::UnboundedReceiver<Message>,
    ) -> bool {
        let mut state = self.batch.lock();
        if !state.ingest.joins() {
            return false;
        }
        let line = &mut state.lines[self.line];
        (line.rides, line.fence, line.acked) = (true, Some(fence()), false);
        let waiting = std::iter::from_fn(|| waiting.pop());
        let mut wake = false;
        for message in waiting.chain(std::iter::from_fn(|| queue.try_recv().ok())) {
            wake |= state.hand_over(self.line, message);
        }
        if wake {
            self.batch.kick();
        }
        true
    }

    /// What it takes along, once the batch is over for it.
    pub(super) fn leave(&self) -> Option<Left> {
        let line = &mut self.batch.lock().lines[self.line];
        if line.rides {
            return None;
        }
        let told = line.told.as_ref().filter(|_| line.acked);
        let last = told.and_then(|told| told.progress.last());
        Some(Left {
            back: std::mem::take(&mut line.back).into(),
            last,
            sent: line.fence.take().is_none(),
        })
    }

    /// Nothing will come of it any more: gets off as soon as its last message is acknowledged.
    pub(super) fn finish(&self) {
        let mut state = self.batch.lock();
        let line = &mut state.lines[self.line];
        if line.aboard == 0 {
            line.rides = false;
        } else if line.rides {
            state.ingest.finish();
            self.batch.kick();
        }
    }

    /// Its publisher has ended.
    pub(super) fn quit(&self) {
        let line = &mut self.batch.lock().lines[self.line];
        (line.told, line.rides) = (None, false);
    }

    /// Moves when it has to look where it is.
    pub(super) fn moved(&self) -> watch::Receiver<()> {
        self.batch.moved()
    }
}
