//! Hears an operator's word to connect shards anew, and passes it on to them.

use anyhow::Result;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::gauge::Gauges;
use crate::{
    broker::Broker,
    clock,
    fleet::ShardId,
    supervise,
    telemetry::seldom::Seldom,
    wire::{
        self, VERSION,
        reconnect::{Reconnect, Reconnecting},
    },
};

/// Hears it until `ended`. Returns once it listens.
///
/// # Errors
/// Where the subscription is refused.
pub async fn hear(
    broker: &Broker,
    process: &str,
    gauges: Gauges,
    ended: CancellationToken,
) -> Result<()> {
    let subject = broker.names.reconnect(process);
    let mut words = broker.client.subscribe(subject).await?;
    let (client, seldom) = (broker.client.clone(), Seldom::default());
    let until = ended.clone();
    supervise::vital("reconnect-orders", &until, async move {
        while let Some(Some(word)) = ended.run_until_cancelled(words.next()).await {
            let asked = match wire::decode::<Reconnect>(&word.payload) {
                Ok(asked) => asked,
                Err(error) => {
                    if let Some(unsaid) = seldom.one_more(clock::now()) {
                        tracing::warn!(
                            unsaid,
                            "a word to reconnect was not understood, and is passed over: {error}"
                        );
                    }
                    continue;
                }
            };
            let mut shards = asked.shards;
            shards.retain(|shard| gauges.reconnect(ShardId(*shard), asked.new_session));
            let (new_session, count) = (asked.new_session, shards.len());
            tracing::info!(
                new_session,
                ?shards,
                "an operator has {count} shards connect anew"
            );
            if let Some(reply) = word.reply {
                let told = wire::encode(&Reconnecting { v: VERSION, shards });
                // An operator who hears nothing looks at the status.
                _ = client.publish(reply, told).await;
            }
        }
    });
    Ok(())
}
