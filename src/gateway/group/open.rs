//! One shard of a group at work: its poll loop, its publisher and its session's keeper.

use std::sync::Arc;

use tokio::sync::mpsc;

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
        track::{Session, Track},
    },
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
}

impl Open {
    /// Runs the shard, its publisher and its session's keeper until all have ended: after a stop
    /// everything that was taken is stored, and the resume point written.
    ///
    /// What it was given is moved on before the first poll, and the shard is in a box: a future keeps the room
    /// of both, and there is one of these for each shard.
    pub(super) fn run(self) -> impl Future<Output = shard::End> {
        let on_status = self.shown;
        on_status
            .remembered
            .forget(on_status.generation, on_status.id);
        let publisher = tokio::spawn(Box::new(self.publisher).run(self.point.last));
        let keeper = tokio::spawn(keep::keep(self.key, self.readies, self.moved, self.losses));
        let points = self.shard.points.clone();
        let began = self.point.session.clone();
        let track = Track::new(self.point.session, self.point.hole_told);
        let shard = Box::pin(self.shard.run(self.asks, track));
        async move {
            // All of it is moved in: of its number alone a copy would be, and the rest would end here.
            let shown = on_status;
            let (end, last) = shard.await;
            // The queue's sender went with the shard: the publisher stores what is left and ends.
            let outcome = publisher.await;
            if end == shard::End::LeaseLost {
                let (place, progress) = ((shown.generation, shown.id), &shown.gauge.progress);
                let (left, began) = (last.clone(), began.as_ref());
                let remembered = &shown.remembered;
                remembered.keep(place, left, began, progress, shown.made);
            }
            if let (shard::End::Stopped, Ok(forward::End::Flushed), Some(session)) =
                (end, &outcome, last)
            {
                _ = points.send(session);
            }
            drop(points);
            _ = keeper.await;
            match outcome {
                Ok(forward::End::Flushed) => end,
                Ok(forward::End::LeaseLost) | Err(_) => shard::End::LeaseLost,
                Ok(forward::End::Usurped) => {
                    tracing::warn!(shard = %shown.id, "a later owner stores for shard {}", shown.id);
                    shard::End::PublisherGone
                }
                Ok(forward::End::Behind) => shard::End::Behind,
            }
        }
    }
}

/// Takes the shard off the status when it ends, however it ends.
pub(super) struct Shown {
    pub(super) gauges: Gauges,
    pub(super) remembered: Remembered,
    pub(super) generation: u64,
    /// When its stream was made, as it began.
    pub(super) made: i128,
    pub(super) id: ShardId,
    pub(super) gauge: Arc<Gauge>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.gauges.remove(self.id, &self.gauge);
    }
}
