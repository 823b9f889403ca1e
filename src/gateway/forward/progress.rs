//! How far one shard is: told by whoever hears the acks, read by its poll loop and the status.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

use super::message::Tag;

/// How far one shard is.
#[derive(Debug, Default)]
pub struct Progress {
    stored: AtomicU64,
    last: Mutex<Option<Tag>>,
    /// The shard waits until so many are stored; 0: for nothing.
    awaited: AtomicU64,
    reached: Notify,
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

    /// Has [`Progress::reached`] return once so many are stored.
    pub fn awaits(&self, stored: u64) {
        self.awaited.store(stored, Ordering::Relaxed);
    }

    /// Waits until as many are stored as were asked for.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// A message is in the stream.
    pub(super) fn one_more(&self, tag: Tag) {
        let stored = self.stored.fetch_add(1, Ordering::Relaxed) + 1;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(tag);
        let awaited = self.awaited.load(Ordering::Relaxed);
        if awaited > 0 && stored >= awaited {
            self.awaited.store(0, Ordering::Relaxed);
            self.reached.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::{
        clock,
        gateway::forward::{Body, Message},
        wire::event::{Gap, GapReason},
    };

    fn tag(seq: u64) -> Tag {
        let message = Message {
            session: "s".into(),
            seq,
            body: Body::Gap(Gap::new(GapReason::Oversize, "s", seq, 0)),
            read_at: clock::now(),
        };
        message.tag()
    }

    #[tokio::test]
    async fn whoever_awaits_so_many_is_woken_by_the_last_of_them_and_once() {
        let progress = Progress::default();
        progress.one_more(tag(1));
        assert!(progress.reached().now_or_never().is_none(), "nobody asked");
        progress.awaits(3);
        progress.one_more(tag(2));
        assert!(progress.reached().now_or_never().is_none());
        progress.one_more(tag(3));
        assert!(progress.reached().now_or_never().is_some());
        progress.one_more(tag(4));
        assert!(progress.reached().now_or_never().is_none());
        assert_eq!(progress.stored(), 4);
    }

    /// Acks may come before the shard has asked.
    #[tokio::test]
    async fn what_is_reached_already_is_told_with_the_next_ack() {
        let progress = Progress::default();
        (1..=5).for_each(|seq| progress.one_more(tag(seq)));
        progress.awaits(3);
        progress.one_more(tag(6));
        assert!(progress.reached().now_or_never().is_some());
    }
}
