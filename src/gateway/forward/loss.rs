//! The stream has lost what it held of a shard: the shard goes on in the one that is there, behind the word
//! of that. What waits in memory is stored behind it, and no session ends.

use std::time::Duration;

use rand::Rng;

use super::{
    Message, Publisher,
    flight::{Flight, Last},
    waiting::Waiting,
};
use crate::{broker::losses::Lost, clock, gateway::metrics, wire::event::GapReason};

/// Shards that have nothing to store look within this time: not all of a fleet in one moment.
const SPREAD: Duration = Duration::from_secs(1);

impl Publisher {
    /// The stream was lost, as somebody else found. One that was made anew refuses the next message of a
    /// shard; a quiet shard has none, and one that was purged takes it. True: that is to be said.
    pub(super) async fn look_for_loss(
        &mut self,
        lost: Lost,
        flight: &mut Flight,
        waiting: &mut Waiting,
    ) -> bool {
        if !flight.expects() || lost.emptied > 0 {
            return flight.expects();
        }
        if waiting.is_empty() {
            let pause = rand::rng().random_range(Duration::ZERO..SPREAD);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                first = self.queue.recv() => if let Some(first) = first {
                    self.take(waiting, first);
                    return false;
                },
            }
        }
        let found = Box::pin(self.outlet.last_or_loss()).await;
        if found == Last::Lost {
            flight.saw(&found, std::iter::empty::<&str>(), clock::now());
            self.goes_on(waiting);
        }
        false
    }

    /// Says first of all that the stream was lost.
    pub(super) fn goes_on(&mut self, waiting: &mut Waiting) {
        let last = self.told.progress.last().map(|tag| tag.place());
        let Some((session, seq)) = last.or_else(|| self.stored.clone()) else {
            return;
        };
        let shard = self.outlet.shard();
        tracing::info!(%shard, seq, "shard {shard} goes on behind a gap: the stream has lost what it held of it");
        let reason = GapReason::StreamLost;
        metrics::gap(reason);
        let message = Message::of_gap(session, seq, None, reason);
        self.budget.add(message.body.size());
        self.told.progress.loses(clock::ms_of(self.outlet.made));
        self.told.progress.waits();
        waiting.put_back(std::iter::once(message));
    }
}
