//! Hears an operator's word to connect shards anew, and passes it on to them.

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::{gauge::Gauges, orders};
use crate::{
    broker::Broker,
    fleet::ShardId,
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
    let carry_out = move |asked: Reconnect| {
        let (mut shards, new_session) = (asked.shards, asked.new_session);
        shards.retain(|shard| gauges.reconnect(ShardId(*shard), new_session));
        let count = shards.len();
        tracing::info!(
            new_session,
            ?shards,
            "an operator has {count} shards connect anew"
        );
        wire::encode(&Reconnecting { v: VERSION, shards })
    };
    orders::hear(broker, "reconnect-orders", subject, ended, carry_out).await
}
