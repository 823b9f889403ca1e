//! Hears an operator's word that this process shall hand over what it holds.

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::orders;
use crate::{
    broker::Broker,
    roster::Board,
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
    let subject = broker.names.drain(&board.process());
    // Who asks again is told the same.
    let carry_out = move |_: Drain| {
        let gateway = board.status().gateway;
        let groups = gateway.map_or(0, |gateway| gateway.groups.len());
        tracing::info!(groups, "an operator drains this process");
        asked.cancel();
        let groups = u32::try_from(groups).unwrap_or(u32::MAX);
        wire::encode(&Draining { v: VERSION, groups })
    };
    orders::hear(broker, "drain-orders", subject, ended, carry_out).await
}
