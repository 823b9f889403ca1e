//! The shards that this process runs: a command for one of them need not take the way by NATS.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread::{self, Thread},
};

use async_nats::Message;
use futures_util::Stream;
use tokio::sync::mpsc;

use crate::fleet::ShardId;

/// Commands on their way to one shard; more go by NATS.
const MOST: usize = 256;

/// Who listens here.
#[derive(Clone, Default)]
pub struct Near(Arc<Mutex<HashMap<ShardId, Way>>>);

/// The way to one shard.
struct Way {
    /// In boxes: a channel has 32 places from the start.
    asks: mpsc::Sender<Box<Message>>,
    /// Its lane, which may be letting work gather: a command is not to wait for more.
    lane: Thread,
}

/// A shard's own end; it is listed until this is dropped.
pub struct Listed {
    near: Near,
    shard: ShardId,
    asks: mpsc::Receiver<Box<Message>>,
    /// What becomes of those that were handed over and never taken.
    refuse: Box<dyn FnMut(Message) + Send>,
}

impl Near {
    /// Lists a shard of this thread's lane, in place of who was listed for it. `refuse` answers what is
    /// not taken before its end.
    pub fn list(&self, shard: ShardId, refuse: impl FnMut(Message) + Send + 'static) -> Listed {
        let (sender, asks) = mpsc::channel(MOST);
        let lane = thread::current();
        self.lock().insert(shard, Way { asks: sender, lane });
        Listed {
            near: self.clone(),
            shard,
            asks,
            refuse: Box::new(refuse),
        }
    }

    /// Hands a command over, to be answered by the shard; or back, where it does not run here.
    pub fn pass(&self, shard: ShardId, message: Message) -> Option<Message> {
        // Under the lock: what a shard that ends has unlisted itself from cannot come in behind its back.
        let listed = self.lock();
        let Some(Way { asks, lane }) = listed.get(&shard) else {
            return Some(message);
        };
        let sent = asks.try_send(Box::new(message));
        lane.unpark();
        sent.err().map(|error| match error {
            mpsc::error::TrySendError::Full(message)
            | mpsc::error::TrySendError::Closed(message) => *message,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ShardId, Way>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream for Listed {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let message = self.asks.poll_recv(cx);
        message.map(|message| message.map(|message| *message))
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut listed = self.near.lock();
        self.asks.close();
        // Another may have been listed since.
        if listed
            .get(&self.shard)
            .is_some_and(|way| way.asks.is_closed())
        {
            listed.remove(&self.shard);
        }
        drop(listed);
        while let Ok(message) = self.asks.try_recv() {
            (self.refuse)(*message);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{FutureExt, StreamExt};

    use super::*;

    fn message() -> Message {
        Message {
            subject: "a".into(),
            reply: None,
            payload: "{}".into(),
            headers: None,
            status: None,
            description: None,
            length: 2,
        }
    }

    fn list(near: &Near) -> (Listed, Arc<AtomicUsize>) {
        let refused = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&refused);
        let refuse = move |_| _ = count.fetch_add(1, Ordering::Relaxed);
        (near.list(ShardId(1), refuse), refused)
    }

    fn take(listed: &mut Listed) -> Option<Message> {
        listed.next().now_or_never().flatten()
    }

    #[test]
    fn a_command_goes_to_who_runs_the_shard_and_back_where_nobody_does() {
        let near = Near::default();
        assert!(near.pass(ShardId(1), message()).is_some());
        let (mut first, _) = list(&near);
        assert!(near.pass(ShardId(1), message()).is_none());
        assert!(near.pass(ShardId(2), message()).is_some());
        assert!(take(&mut first).is_some() && take(&mut first).is_none());
        // The next owner is here before the last one has gone.
        let (mut second, _) = list(&near);
        drop(first);
        assert!(near.pass(ShardId(1), message()).is_none() && take(&mut second).is_some());
        drop(second);
        assert!(near.pass(ShardId(1), message()).is_some());
    }

    #[test]
    fn what_nobody_took_is_refused() {
        let near = Near::default();
        let (listed, refused) = list(&near);
        assert!(near.pass(ShardId(1), message()).is_none());
        drop(listed);
        assert_eq!(refused.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_is_too_much_comes_back() {
        let near = Near::default();
        let _listed = list(&near);
        let taken = (0..=MOST).filter(|_| near.pass(ShardId(1), message()).is_none());
        assert_eq!(taken.count(), MOST);
    }
}
