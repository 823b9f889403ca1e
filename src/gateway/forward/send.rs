//! How the messages of a group's batch leave: one after the other, as far as there is room.

use std::{pin::pin, time::Duration};

use async_nats::client::PublishError;
use futures_util::FutureExt;

use super::{ingest::ANSWER_LIMIT, shared::Leaving, tend::Tender};
use crate::{
    clock::{self, Instant},
    gateway::socket::valid,
};

impl Tender {
    /// Sends what its shards have handed over, while the lease holds.
    pub(super) async fn send(&self) {
        if !valid(&self.held) {
            return;
        }
        let now = clock::now();
        let mut waited: Option<Duration> = None;
        while let Some(leaving) = self.next(now) {
            waited = waited.max(Some(now - leaving.read_at));
            self.budget.left(1);
            let Leaving {
                subject,
                reply,
                headers,
                payload,
                ..
            } = leaving;
            let client = &self.client;
            let published = client.publish_with_reply_and_headers(subject, reply, headers, payload);
            if let Err(why) = in_time(published, now).await {
                tracing::warn!("a publish in a batch failed: {why}");
                self.batch.lock().ingest.broke(now);
            }
        }
        if let Some(waited) = waited {
            self.meters.sent(waited);
            self.batch.lock().departed(now);
        }
    }

    /// A function of its own, so that the lock is free again while the message leaves.
    fn next(&self, now: Instant) -> Option<Leaving> {
        self.batch.lock().next(now)
    }
}

/// Awaits a publish that begins now; most are over at once, and need no timer.
async fn in_time(
    published: impl Future<Output = Result<(), PublishError>>,
    now: Instant,
) -> Result<(), String> {
    let mut published = pin!(published);
    // Nobody of the group gets on while this waits.
    let sent = match published.as_mut().now_or_never() {
        Some(sent) => Ok(sent),
        None => tokio::time::timeout_at(now + ANSWER_LIMIT, published).await,
    };
    match sent {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(late) => Err(late.to_string()),
    }
}
