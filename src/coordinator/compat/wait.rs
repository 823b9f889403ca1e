//! One HTTP client's wait: asks in its name until it may identify, or it goes away.

use anyhow::Result;
use async_nats::Client;
use futures_util::StreamExt;

use super::{
    super::metrics::{self, Heard},
    Front,
};
use crate::{
    clock,
    fleet::ShardId,
    identify::{Asker, Verdict},
    wire::{self, identify::Request},
};

/// Dropped before it was granted, it gives the place in the queue back. Counts what became of the client.
pub(super) struct Waiting {
    asker: Asker,
    client: Client,
    identify: String,
    leader: String,
    waits: bool,
    heard: Heard,
}

impl Waiting {
    /// For this shard; none: nobody knows for which.
    pub(super) fn new(front: &Front, shard: Option<u32>) -> Self {
        let nonce = front.broker.client.new_inbox();
        let nonce = nonce.rsplit('.').next().unwrap_or_default().to_owned();
        // It cannot know of how many: a gateway-queue is told one number.
        let id = ShardId(shard.unwrap_or(0));
        let mut asker = Asker::new(id, 0, nonce, &front.process, clock::boottime()).for_http();
        if shard.is_none() {
            asker = asker.shardless();
        }
        Self {
            asker,
            client: front.broker.client.clone(),
            identify: front.broker.names.identify(),
            leader: front.broker.names.leader(),
            waits: true,
            heard: Heard::Gone,
        }
    }

    /// Waits until the client may identify; then gives what to do once that is written. The error is
    /// the leader's reason to refuse.
    pub(super) async fn granted(mut self) -> Result<impl FnOnce() + Send + Sync + 'static> {
        let inbox = self.client.new_inbox();
        let mut replies = self.client.subscribe(inbox.clone()).await?;
        let mut leaders = self.client.subscribe(self.leader.clone()).await?;
        loop {
            let now = clock::boottime();
            let wakeup = self.asker.next_wakeup().unwrap_or(now).since(now);
            let message = tokio::select! {
                Some(message) = replies.next() => message,
                Some(_) = leaders.next() => {
                    self.asker.on_leader(clock::boottime());
                    continue;
                }
                () = tokio::time::sleep(wakeup) => {
                    let ask = wire::encode(&self.asker.ask(clock::boottime()));
                    let asked = self.client.publish_with_reply(
                        self.identify.clone(), inbox.clone(), ask,
                    );
                    asked.await?;
                    continue;
                }
            };
            let Ok(reply) = wire::decode(&message.payload) else {
                continue;
            };
            match self.asker.on_reply(&reply, clock::boottime()) {
                Verdict::Refused(reason) => {
                    self.heard = Heard::Refused;
                    anyhow::bail!(reason);
                }
                Verdict::Fire => {
                    if let Some(confirm) = self.asker.fire(clock::boottime()) {
                        self.waits = false;
                        self.heard = Heard::Granted;
                        let (client, subject) = (self.client.clone(), self.identify.clone());
                        return Ok(move || say(client, subject, &confirm));
                    }
                }
                Verdict::Stale | Verdict::Wait { .. } | Verdict::Foreign => {}
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::queue_request(self.heard);
        if self.waits {
            let withdraw = self.asker.withdraw();
            say(self.client.clone(), self.identify.clone(), &withdraw);
        }
    }
}

fn say(client: Client, subject: String, request: &Request) {
    let payload = wire::encode(request);
    // Lost, it costs a wait, not a promise.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move { client.publish(subject, payload).await });
    }
}
