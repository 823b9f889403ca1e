//! A shard's messages in its group's batch: sent as they come, while the batch lasts.

use super::{
    End, Publisher,
    flight::Flight,
    shared::{GroupBatch, Ride},
    waiting::Waiting,
};
use crate::{clock, gateway::socket::valid};

impl Publisher {
    /// Sends what waits, and what comes, in the batch of this number, until that is over or nothing comes
    /// any more. What was not acknowledged waits again.
    pub(super) async fn ride(
        &mut self,
        batch: &GroupBatch,
        number: u64,
        flight: &mut Flight,
        waiting: &mut Waiting,
    ) -> Result<(), End> {
        let (line, fence) = (self.line, Some(self.outlet.fence(flight.last())));
        let mut ride = Ride {
            line,
            number,
            fence,
        };
        let (mut room, mut over) = (batch.room(), batch.over());
        let mut closed = false;
        loop {
            if !valid(&self.held) {
                return Err(End::LeaseLost);
            }
            let waited = waiting.waited(clock::now());
            let on = batch.send(&mut ride, waiting, &self.budget).await;
            if on && waiting.is_empty() && !waited.is_zero() {
                self.meters.sent(waited);
            }
            let flushed = closed && waiting.is_empty() && batch.finish(line).await;
            if !on || flushed {
                let (back, last) = batch.leave(line).await;
                waiting.put_back(back.into_iter());
                if ride.fence.is_none() {
                    flight.rode(last.map(|last| last.id()), clock::now());
                }
                return Ok(());
            }
            let full = !waiting.is_empty();
            tokio::select! {
                biased;
                Ok(()) = over.changed() => {}
                next = self.queue.recv(), if !closed && waiting.has_room() => match next {
                    Some(message) => self.take(waiting, message),
                    None => closed = true,
                },
                Ok(()) = room.changed(), if full || closed => {}
            }
        }
    }
}
