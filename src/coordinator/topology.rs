//! Seeds what the whole fleet shares, once.

use crate::{
    broker::bucket::{Bucket, KvError},
    config::{Fleet, Shards},
    fleet::Layout,
    subject::TOPOLOGY,
    wire::{self, topology::Topology},
};

/// Writes the topology from the configuration where there is none; `recommended` is Discord's answer.
/// Whoever comes first decides; afterwards `shardfleet set` alone changes it.
pub(super) async fn seed(bucket: &Bucket, fleet: &Fleet, recommended: Option<u32>) {
    let shards = match (fleet.shards, recommended) {
        (Shards::Fixed(shards), _) => shards,
        (Shards::Auto, Some(shards)) => shards.max(1),
        (Shards::Auto, None) => return,
    };
    match bucket.get(TOPOLOGY).await {
        Ok(None) => {}
        Ok(Some(_)) => return,
        Err(error) => {
            tracing::warn!("cannot read the fleet's topology: {error}");
            return;
        }
    }
    let topology = Topology {
        v: wire::VERSION,
        layout: Layout {
            generation: 1,
            shards,
            group_size: fleet.group_size.0,
        },
        allow: fleet.allow.0.clone(),
        deny: fleet.deny.0.clone(),
    };
    match bucket.create(TOPOLOGY, wire::encode(&topology)).await {
        Ok(_) => tracing::info!(
            shards,
            "the fleet has {shards} shards from now on; `shardfleet set` changes that"
        ),
        Err(KvError::Conflict) => {}
        Err(error) => tracing::warn!("cannot write the fleet's topology: {error}"),
    }
}
