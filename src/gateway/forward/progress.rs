//! How far one shard is: told by whoever hears the acks, read by its poll loop and the status.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use tokio::sync::Notify;

use super::message::Tag;

/// The stream knew ids of a session's messages: another one has, or had, its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The session as message ids name it.
    pub session: Arc<str>,
    /// Messages of it were not stored for it.
    pub lost: bool,
}

/// How far one shard is.
#[derive(Debug, Default)]
pub struct Progress {
    stored: AtomicU64,
    last: Mutex<Option<Tag>>,
    /// When the stream that holds the shard was made, in milliseconds since the Unix epoch.
    made_ms: AtomicU64,
    /// The same of the one that the shard goes on in once it has said that the last one was lost.
    next_ms: AtomicU64,
    /// Messages handed over that are not on their way to the stream.
    waiting: AtomicU64,
    /// Times that the stream was found to have lost what it held of the shard.
    lost: AtomicU32,
    /// The stream took messages of a session for another's, and nobody has acted on it …
    collision: Mutex<Option<Collision>>,
    /// … which is asked for at each event.
    collided: AtomicBool,
    /// The shard waits until fewer than this wait; 0: for nothing.
    fewer: AtomicU64,
    room: Notify,
}

impl Progress {
    /// Messages stored by this process.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// The last one of them: what Discord sent before it is stored too, or was dropped on purpose.
    pub fn last(&self) -> Option<Tag> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Times that the stream was found to have lost what it held of the shard.
    pub fn lost(&self) -> u32 {
        self.lost.load(Ordering::Relaxed)
    }

    /// The stream has lost it once more; it goes on in one that was made then.
    pub(super) fn loses(&self, made_ms: u64) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        self.next_ms.store(made_ms, Ordering::Relaxed);
    }

    /// When the stream that holds the shard was made, in milliseconds since the Unix epoch. It stays that of
    /// a stream that is lost until the stream that is there holds the word of that.
    pub fn made_ms(&self) -> u64 {
        self.made_ms.load(Ordering::Relaxed)
    }

    /// The shard begins: the stream that holds it was made then.
    pub fn is_held_since(&self, made_ms: u64) {
        self.made_ms.store(made_ms, Ordering::Relaxed);
    }

    /// The stream took messages for another's.
    pub fn collides(&self, collision: Collision) {
        *self
            .collision
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(collision);
        self.collided.store(true, Ordering::Release);
    }

    /// That, once.
    pub fn collision(&self) -> Option<Collision> {
        if !self.collided.load(Ordering::Acquire) {
            return None;
        }
        self.collided.store(false, Ordering::Release);
        let mut collision = self
            .collision
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        collision.take()
    }

    /// Messages that wait for their way to the stream.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// One more waits, or waits again.
    pub(super) fn waits(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Has [`Progress::room`] return once no more than `most` wait: when the next one leaves, at the earliest.
    pub fn awaits_room(&self, most: u64) {
        self.fewer.store(most + 1, Ordering::Relaxed);
    }

    /// Waits until there is as much room as was asked for.
    pub async fn room(&self) {
        self.room.notified().await;
    }

    /// One is on its way, or stored.
    pub(super) fn left(&self) {
        let waiting = self
            .waiting
            .fetch_sub(1, Ordering::Relaxed)
            .saturating_sub(1);
        if waiting < self.fewer.load(Ordering::Relaxed) {
            self.fewer.store(0, Ordering::Relaxed);
            self.room.notify_one();
        }
    }

    /// A message is in the stream.
    pub(super) fn one_more(&self, tag: Tag) {
        self.stored.fetch_add(1, Ordering::Relaxed);
        self.last_is(tag);
    }

    /// The word of the publisher itself that the stream was lost is in the stream: nobody waits for it.
    pub(super) fn goes_on(&self, tag: Tag) {
        self.is_held_since(self.next_ms.load(Ordering::Relaxed));
        self.last_is(tag);
    }

    fn last_is(&self, tag: Tag) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(tag);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn whoever_awaits_room_is_told_once_by_the_one_that_leaves_it() {
        let progress = Progress::default();
        let is_told = || progress.room().now_or_never().is_some();
        (0..6).for_each(|_| progress.waits());
        progress.left();
        assert!(!is_told(), "nobody asked");
        progress.awaits_room(3);
        progress.left();
        assert!(!is_told());
        progress.left();
        assert!(is_told());
        progress.left();
        assert!(!is_told());
        assert_eq!(progress.waiting(), 2);
    }

    #[tokio::test]
    async fn room_that_is_there_already_is_told_with_the_next_one() {
        let progress = Progress::default();
        (0..2).for_each(|_| progress.waits());
        progress.awaits_room(3);
        progress.left();
        assert!(progress.room().now_or_never().is_some());
    }
}
