//! One shard of a group at work: its poll loop, its publisher and its session's keeper.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    broker::losses::Hearing,
    fleet::ShardId,
    gateway::{
        command::Asks,
        forward::{self, Publisher},
        gauge::{Gauge, Gauges},
        keep,
        remembered::Remembered,
        session::{self, SessionKey},
        shard::{self, Shard},
        track::Session,
    },
    supervise::{self, Failure},
};

/// A shard with its ways open.
pub(super) struct Open {
    pub(super) shard: Shard,
    pub(super) asks: Asks,
    pub(super) point: session::ResumePoint,
    pub(super) publisher: Publisher,
    pub(super) key: SessionKey,
    pub(super) readies: mpsc::UnboundedReceiver<Box<forward::Message>>,
    pub(super) moved: mpsc::UnboundedReceiver<Session>,
    /// Of the bucket of state.
    pub(super) losses: Hearing,
    pub(super) shown: Shown,
    /// For its keeper.
    pub(super) way: keep::Way,
}

impl Open {
    /// Runs the shard, its publisher and its session's keeper until all have ended: after a stop
    /// everything that was taken is stored, and the resume point written.
    ///
    /// What it was given is moved on before the first poll, and the shard is in a box: a future keeps the room
    /// of both, and there is one of these for each shard.
    ///
    /// # Errors
    /// Where the publisher or the keeper panicked: the shard is closed then.
    pub(super) fn run(self) -> impl Future<Output = Result<shard::End, Failure>> {
        let on_status = self.shown;
        on_status
            .remembered
            .forget(on_status.generation, on_status.id);
        let stop = &self.shard.stop;
        let publishing = Box::new(self.publisher).run(self.point.last);
        let publisher = spawn(PUBLISHER, stop, publishing);
        let progress = Arc::clone(&on_status.gauge.progress);
        let keeping = keep::keep(
            self.key,
            self.readies,
            self.moved,
            self.losses,
            progress,
            self.way,
        );
        let keeper = spawn(KEEPER, stop, keeping);
        let points = self.shard.points.clone();
        let began = self.point.session.clone();
        let track = self.point.track();
        let shard = Box::pin(self.shard.run(self.asks, track));
        async move {
            // All of it is moved in: of its number alone a copy would be, and the rest would end here.
            let shown = on_status;
            let (end, last) = shard.await;
            // The queue's sender went with the shard: the publisher stores what is left and ends.
            let outcome = publisher.await;
            // The keeper hears of READYs from a batch that a broken publisher has not left: not waited for.
            let outcome = outcome.map_err(|error| Failure::of(PUBLISHER, &Err::<(), _>(error)))?;
            if end == shard::End::LeaseLost {
                let (place, progress) = ((shown.generation, shown.id), &shown.gauge.progress);
                let (left, began) = (last.clone(), began.as_ref());
                let remembered = &shown.remembered;
                remembered.keep(place, left, began, progress);
            }
            if let (shard::End::Stopped, forward::End::Flushed, Some(session)) =
                (end, outcome, last)
            {
                _ = points.send(session);
            }
            drop(points);
            let kept = keeper.await;
            kept.map_err(|error| Failure::of(KEEPER, &Err::<(), _>(error)))?;
            Ok(match outcome {
                forward::End::Flushed => end,
                forward::End::LeaseLost => shard::End::LeaseLost,
                forward::End::Usurped => {
                    tracing::warn!(shard = %shown.id, "a later owner stores for shard {}", shown.id);
                    shard::End::PublisherGone
                }
                forward::End::Behind => shard::End::Behind,
            })
        }
    }
}

const PUBLISHER: &str = "publisher";
const KEEPER: &str = "session";

/// Spawns a task beside the shard; where it panics, the group is stopped: the shard looks up at once.
fn spawn<T: Send + 'static>(
    task: &'static str,
    stop: &CancellationToken,
    future: impl Future<Output = T> + Send + 'static,
) -> AbortOnDropHandle<T> {
    let broke = stop.clone().drop_guard();
    let future = supervise::named(task, future);
    AbortOnDropHandle::new(tokio::spawn(async move {
        let outcome = future.await;
        broke.disarm();
        outcome
    }))
}

/// Takes the shard off the status when it ends, however it ends.
pub(super) struct Shown {
    pub(super) gauges: Gauges,
    pub(super) remembered: Remembered,
    pub(super) generation: u64,
    pub(super) id: ShardId,
    pub(super) gauge: Arc<Gauge>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.gauges.remove(self.id, &self.gauge);
    }
}
