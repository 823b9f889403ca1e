//! A shard in its group's batch: what it reads goes there by itself, until that is over.

use super::{End, Publisher, flight::Flight, waiting::Waiting};
use crate::{clock, gateway::socket::valid};

impl Publisher {
    /// Boards with all that waits, if there is a batch to join; returns true when it is over for the shard.
    /// What was not acknowledged waits again.
    pub(super) async fn ride(
        &mut self,
        flight: &mut Flight,
        waiting: &mut Waiting,
    ) -> Result<bool, End> {
        // What is to be renamed must not go by there.
        let may = flight.is_settled() && self.renamed.is_none();
        let Some(seat) = self.seat.as_ref().filter(|_| may) else {
            return Ok(false);
        };
        let fence = || self.outlet.fence(flight.last());
        if !seat.board(fence, waiting, &mut self.queue) {
            return Ok(false);
        }
        // Nothing has moved since: nothing was awaited.
        let mut moved = seat.moved();
        // What came after the end of the batch, before this was woken.
        let mut next = None;
        let mut closed = false;
        loop {
            if !valid(&self.held) {
                waiting.put_back(next.into_iter());
                return Err(End::LeaseLost);
            }
            if closed {
                seat.finish();
            }
            if let Some(left) = seat.leave() {
                waiting.put_back(left.back.into_iter().chain(next));
                if left.sent {
                    flight.rode(left.last.map(|last| last.id()), clock::now());
                }
                return Ok(true);
            }
            tokio::select! {
                biased;
                Ok(()) = moved.changed() => {}
                message = self.queue.recv(), if !closed && next.is_none() => match message {
                    Some(_) => next = message,
                    None => closed = true,
                },
            }
        }
    }
}
