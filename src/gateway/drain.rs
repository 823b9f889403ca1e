//! Hears an operator's word that this process shall hand over what it holds.

use anyhow::Result;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::{
    broker::Broker,
    clock,
    roster::Board,
    supervise,
    telemetry::seldom::Seldom,
    wire::{
        self, VERSION,
        drain::{Drain, Draining},
    },
};

/// Hears it until `ended`; cancels `asked` when it comes. Returns once it listens.
///
/// # Errors
/// Where the subscription is refused.
pub async fn hear(
    broker: &Broker,
    board: Board,
    asked: CancellationToken,
    ended: CancellationToken,
) -> Result<()> {
    let mut words = broker
        .client
        .subscribe(broker.names.drain(&board.process()))
        .await?;
    let (client, seldom) = (broker.client.clone(), Seldom::default());
    let until = ended.clone();
    supervise::vital("drain-orders", &until, async move {
        while let Some(Some(word)) = ended.run_until_cancelled(words.next()).await {
            if let Err(error) = wire::decode::<Drain>(&word.payload) {
                if let Some(unsaid) = seldom.one_more(clock::now()) {
                    tracing::warn!(
                        unsaid,
                        "a word to drain was not understood, and is passed over: {error}"
                    );
                }
                continue;
            }
            let gateway = board.status().gateway;
            let groups = gateway.map_or(0, |gateway| gateway.groups.len());
            tracing::info!(groups, "an operator drains this process");
            asked.cancel();
            let Some(reply) = word.reply else {
                continue;
            };
            let groups = u32::try_from(groups).unwrap_or(u32::MAX);
            let told = wire::encode(&Draining { v: VERSION, groups });
            // An operator who hears nothing asks again, and is told the same.
            _ = client.publish(reply, told).await;
        }
    });
    Ok(())
}
