//! Writes one shard's session beside its polling: nothing slow stands in the poll loop.

use std::{sync::Arc, time::Duration};

use rand::Rng;
use tokio::sync::mpsc;

use super::{
    forward::{Body, Collision, Message, Progress},
    session::{self, HeldBy, SessionKey},
    track::Session,
};
use crate::{
    broker::{Broker, losses::Hearing},
    clock::Instant,
    fleet::ShardId,
    wire::event::session_name,
};

/// Writes READYs once they are stored, and resume points as they move, until both senders are gone; and
/// again what the bucket has lost.
pub async fn keep(
    mut key: SessionKey,
    mut ready: mpsc::UnboundedReceiver<Box<Message>>,
    mut points: mpsc::UnboundedReceiver<Session>,
    mut losses: Hearing,
    progress: Arc<Progress>,
    way: Way,
) {
    let (mut readies, mut moves) = (true, true);
    while readies || moves {
        let session = tokio::select! {
            biased;
            message = ready.recv(), if readies => {
                readies = message.is_some();
                match message {
                    Some(message) => {
                        Box::pin(way.look_for(&message, &progress)).await;
                        begun(&message)
                    }
                    None => None,
                }
            }
            point = points.recv(), if moves => {
                moves = point.is_some();
                point
            }
            _ = losses.lost() => {
                // Not all shards of a fleet in one moment.
                let pause = rand::rng().random_range(Duration::ZERO..SPREAD);
                tokio::time::sleep(pause).await;
                Box::pin(key.restore()).await;
                None
            }
        };
        if let Some(session) = session {
            let held_by = held_by(&session, &progress);
            // In a box: it is large, and seldom there.
            Box::pin(key.keep(&session, held_by)).await;
        }
    }
}

/// What the stream is known to hold of a session.
fn held_by(session: &Session, progress: &Progress) -> HeldBy {
    let name = session_name(&session.id);
    let stored = progress.last().and_then(|tag| tag.seq_in(&name));
    HeldBy {
        made_ms: progress.made_ms(),
        stored: stored.unwrap_or_default(),
    }
}

/// Where the stream can be asked.
pub struct Way {
    broker: Broker,
    stream: String,
    shard: ShardId,
}

impl Way {
    /// A shard's, to its stream.
    pub fn new(broker: Broker, stream: String, shard: ShardId) -> Self {
        Self {
            broker,
            stream,
            shard,
        }
    }

    /// A READY that counts as stored should be there: in a batch the server passes over what has an id that it
    /// knows, and says nothing. What was stored since is lost, and the shard says so.
    async fn look_for(&self, ready: &Message, progress: &Progress) {
        let wanted = begun(ready).map(|session| session.id);
        let found = session::last_ready(&self.broker, &self.stream, self.shard).await;
        let Ok(found) = found else { return };
        if found.map(|found| found.session_id) != wanted {
            progress.collides(Collision {
                session: Arc::clone(&ready.session),
                lost: true,
            });
        }
    }
}

/// The session that a READY begins.
fn begun(message: &Message) -> Option<Session> {
    let Body::Event { payload, .. } = &message.body else {
        return None;
    };
    let ready = session::ready(payload)?;
    Some(Session {
        id: ready.session_id,
        resume_url: ready.resume_gateway_url,
        seq: message.seq,
    })
}

/// Keys that were lost are written again within this time.
const SPREAD: Duration = Duration::from_secs(1);
/// A session key is rewritten this often if its sequence moved.
pub const KEEP_EVERY: Duration = Duration::from_secs(30);
/// … and whenever so many events in a row were dropped on purpose: they are not in the stream, and
/// Discord may replay no more than a few.
pub const KEEP_AFTER_DROPS: u32 = 50;

/// When to rewrite the key.
#[derive(Debug)]
pub struct KeepClock {
    next: Instant,
    drops: u32,
    acknowledged: bool,
}

impl KeepClock {
    /// From now.
    pub fn new(now: Instant) -> Self {
        Self {
            next: now + KEEP_EVERY,
            drops: 0,
            acknowledged: false,
        }
    }

    /// An event was dropped on purpose.
    pub fn dropped(&mut self) {
        self.drops += 1;
    }

    /// An event goes to the stream, which will tell how far the shard is.
    pub fn queued(&mut self) {
        self.drops = 0;
    }

    /// Discord heard in a heartbeat what was received: it may not replay from before it any more.
    pub fn acknowledged(&mut self) {
        self.acknowledged = true;
    }

    /// It was rewritten: the clock starts over.
    pub fn kept(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// When it will be time at the latest.
    pub fn next(&self, now: Instant) -> Instant {
        if self.acknowledged || self.drops >= KEEP_AFTER_DROPS {
            now
        } else {
            self.next
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_key_is_due_by_time_by_drops_and_by_heartbeat() {
        let now = crate::clock::now();
        let mut clock = KeepClock::new(now);
        let later = now + KEEP_EVERY;
        assert_eq!(clock.next(now), later);
        (1..KEEP_AFTER_DROPS).for_each(|_| clock.dropped());
        assert_eq!(clock.next(now), later);
        clock.queued();
        clock.dropped();
        assert_eq!(
            clock.next(now),
            later,
            "what is stored tells how far the shard is"
        );
        (1..KEEP_AFTER_DROPS).for_each(|_| clock.dropped());
        assert_eq!(clock.next(now), now);
        clock.kept(now);
        assert_eq!(clock.next(now), later);
        clock.acknowledged();
        assert_eq!(clock.next(now), now);
    }
}
