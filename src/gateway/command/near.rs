//! The shards that this process runs: a command for one of them need not take the way by NATS.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, Thread},
};

use async_nats::Message;
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

/// A shard's own end; it is listed until this is closed.
pub struct Listed {
    near: Near,
    shard: ShardId,
    asks: mpsc::Receiver<Box<Message>>,
}

impl Near {
    /// Lists a shard of this thread's lane, in place of who was listed for it.
    pub fn list(&self, shard: ShardId) -> Listed {
        let (sender, asks) = mpsc::channel(MOST);
        let lane = thread::current();
        self.lock().insert(shard, Way { asks: sender, lane });
        Listed {
            near: self.clone(),
            shard,
            asks,
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

impl Listed {
    /// Waits for a command.
    pub async fn next(&mut self) -> Option<Message> {
        self.asks.recv().await.map(|message| *message)
    }

    /// One that is there.
    pub fn take(&mut self) -> Option<Message> {
        self.asks.try_recv().ok().map(|message| *message)
    }

    /// Hears no more: what is still to be taken is the last.
    pub fn close(&mut self) {
        let mut listed = self.near.lock();
        self.asks.close();
        // Another may have been listed since.
        if listed
            .get(&self.shard)
            .is_some_and(|way| way.asks.is_closed())
        {
            listed.remove(&self.shard);
        }
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_command_goes_to_who_runs_the_shard_and_back_where_nobody_does() {
        let near = Near::default();
        assert!(near.pass(ShardId(1), message()).is_some());
        let mut first = near.list(ShardId(1));
        assert!(near.pass(ShardId(1), message()).is_none());
        assert!(near.pass(ShardId(2), message()).is_some());
        assert!(first.take().is_some() && first.take().is_none());
        // The next owner is here before the last one has gone.
        let mut second = near.list(ShardId(1));
        first.close();
        drop(first);
        assert!(near.pass(ShardId(1), message()).is_none() && second.take().is_some());
        second.close();
        drop(second);
        assert!(near.pass(ShardId(1), message()).is_some());
    }

    #[test]
    fn what_is_too_much_comes_back() {
        let near = Near::default();
        let _listed = near.list(ShardId(1));
        let taken = (0..=MOST).filter(|_| near.pass(ShardId(1), message()).is_none());
        assert_eq!(taken.count(), MOST);
    }
}
