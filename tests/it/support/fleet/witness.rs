//! Reads every message as soon as it is stored, for streams that keep little.

use std::sync::{Arc, Mutex};

use async_nats::jetstream::{
    consumer::{DeliverPolicy, pull::OrderedConfig},
    stream::Stream,
};
use futures_util::StreamExt;
use shardfleet::broker::Broker;
use tokio::task::JoinHandle;

use super::{
    judge::Stored,
    wait::{LIMIT, LOOK_EVERY, SOON, eventually},
};

/// Follows a stream by its sequence: so that no restart of anything makes it miss or repeat one.
pub(crate) struct Witness {
    seen: Arc<Mutex<Vec<Stored>>>,
    reading: JoinHandle<()>,
}

impl Witness {
    /// Follows the stream of this name, from its first message on, once it is there.
    pub(super) fn follow(broker: &Broker, stream: String) -> Self {
        let seen = Arc::<Mutex<Vec<Stored>>>::default();
        let (seen_by, broker) = (Arc::clone(&seen), broker.clone());
        let reading = tokio::spawn(async move {
            let mut next = 1;
            loop {
                if let Ok(stream) = broker.jetstream.get_stream(&stream).await {
                    read(&stream, &mut next, &seen_by).await;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self { seen, reading }
    }

    /// Every message up to `last`, in order; fails the test if one was evicted unread.
    pub(super) async fn read_up_to(&self, last: u64, mut take: impl FnMut(Stored)) {
        let read = || {
            self.seen
                .lock()
                .unwrap()
                .last()
                .map_or(0, |stored| stored.seq)
        };
        eventually("the witness has read it all", LIMIT, async || {
            assert!(!self.reading.is_finished(), "a message was evicted unread");
            (read() >= last).then_some(())
        })
        .await;
        for stored in &*self.seen.lock().unwrap() {
            take(stored.clone());
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// Reads on from `next`; ends where NATS is away, or nothing came for a while.
async fn read(stream: &Stream, next: &mut u64, seen: &Mutex<Vec<Stored>>) {
    let deliver_policy = DeliverPolicy::ByStartSequence {
        start_sequence: *next,
    };
    let config = OrderedConfig {
        deliver_policy,
        ..OrderedConfig::default()
    };
    let Ok(consumer) = stream.create_consumer(config).await else {
        return;
    };
    let Ok(mut messages) = consumer.messages().await else {
        return;
    };
    while let Ok(Some(Ok(message))) = tokio::time::timeout(SOON, messages.next()).await {
        let stored = Stored::of(message);
        assert_eq!(stored.seq, *next, "one was evicted unread");
        *next += 1;
        seen.lock().unwrap().push(stored);
    }
}
