//! From the generator's write to a subscriber's hands.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::generator::Generator;

/// Collects until it is dropped.
pub(crate) struct Latency {
    times: Arc<Mutex<Vec<Duration>>>,
    _stop: DropGuard,
}

impl Latency {
    /// Subscribes to every event.
    pub(crate) async fn listen(client: &async_nats::Client, generator: &Arc<Generator>) -> Self {
        let mut events = client.subscribe("discord.>").await.unwrap();
        let times: Arc<Mutex<Vec<Duration>>> = Arc::default();
        let (collected, generator) = (Arc::clone(&times), Arc::clone(generator));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            let collecting = async {
                while let Some(message) = events.next().await {
                    if let Some(age) = age(&message, &generator) {
                        collected.lock().unwrap().push(age);
                    }
                }
            };
            stopped.run_until_cancelled(collecting).await;
        });
        client.flush().await.unwrap();
        Self {
            times,
            _stop: stop.drop_guard(),
        }
    }

    /// p50, p99, p99.9 of what came since the last look.
    pub(crate) fn percentiles(&self) -> Option<[Duration; 3]> {
        let mut times = std::mem::take(&mut *self.times.lock().unwrap());
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        Some([0.5, 0.99, 0.999].map(|share| times[(last as f64 * share) as usize]))
    }
}

fn age(message: &async_nats::Message, generator: &Generator) -> Option<Duration> {
    let shard = message.subject.split('.').nth(1)?.parse().ok()?;
    // The sequence stands near the front.
    let head = std::str::from_utf8(message.payload.get(..80)?).ok()?;
    let (_, rest) = head.split_once(r#""s":"#)?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    generator.age(shard, rest[..end].parse().ok()?)
}
