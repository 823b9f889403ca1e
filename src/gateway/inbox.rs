//! One inbox for all shards of a lane: a subscription has room for 32 messages from the start, 6 KB, and a
//! shard waits for one answer at a time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Result;
use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::broker::Broker;

/// The inbox; clones share it.
#[derive(Clone)]
pub struct Inbox(Arc<Inner>);

struct Inner {
    name: String,
    next: AtomicU64,
    listed: Mutex<HashMap<u64, mpsc::UnboundedSender<Box<Message>>>>,
}

/// A part of it.
pub struct Answers {
    inbox: Inbox,
    number: u64,
    heard: mpsc::UnboundedReceiver<Box<Message>>,
}

impl Inbox {
    /// Opens it; the future hands out what comes, and has to run as long as anybody waits for something.
    ///
    /// # Errors
    /// Where NATS refuses the subscription.
    pub async fn open(broker: &Broker) -> Result<(Self, impl Future<Output = ()> + use<>)> {
        let name = broker.client.new_inbox();
        let messages = broker.client.subscribe(format!("{name}.*.*")).await?;
        let inbox = Self(Arc::new(Inner {
            name,
            next: AtomicU64::default(),
            listed: Mutex::default(),
        }));
        let handing_out = inbox.clone().hand_out(messages);
        Ok((inbox, handing_out))
    }

    /// One more part.
    pub fn part(&self) -> Answers {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (sender, heard) = mpsc::unbounded_channel();
        self.listed().insert(number, sender);
        Answers {
            inbox: self.clone(),
            number,
            heard,
        }
    }

    /// Until the connection is given up.
    async fn hand_out(self, mut messages: Subscriber) {
        while let Some(message) = messages.next().await {
            let number = message.subject.rsplit('.').nth(1);
            let number = number.and_then(|number| number.parse::<u64>().ok());
            if let Some(part) = number.and_then(|number| self.listed().get(&number).cloned()) {
                // Who has gone waits for nothing.
                _ = part.send(Box::new(message));
            }
        }
        // Whoever waits hears that nothing comes any more.
        self.listed().clear();
    }

    fn listed(&self) -> MutexGuard<'_, HashMap<u64, mpsc::UnboundedSender<Box<Message>>>> {
        self.0.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    /// Waits for the next message; none: none will come.
    pub async fn next(&mut self) -> Option<Message> {
        self.heard.recv().await.map(|message| *message)
    }

    /// Where the answer to this attempt is to go; it is the subject's last token.
    pub fn reply(&self, attempt: u64) -> String {
        format!("{}.{}.{attempt}", self.inbox.0.name, self.number)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.inbox.listed().remove(&self.number);
    }
}
