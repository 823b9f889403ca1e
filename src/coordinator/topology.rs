//! Seeds what the whole fleet shares, once.

use crate::{
    broker::bucket::{Bucket, KvError},
    config::{Fleet, Shards},
    fleet::Layout,
    subject::TOPOLOGY,
    wire::{self, topology::Topology},
};

/// Writes the topology from the configuration where there is none; `recommended` is Discord's answer.
/// Whoever comes first decides; afterwards `shardfleet set` alone changes it. False: NATS did not say
/// what became of it, so try again: the whole fleet waits for it.
pub(super) async fn seed(bucket: &Bucket, fleet: &Fleet, recommended: Option<u32>) -> bool {
    let shards = match (fleet.shards, recommended) {
        (Shards::Fixed(shards), _) => shards,
        (Shards::Auto, Some(shards)) => shards.max(1),
        (Shards::Auto, None) => return true,
    };
    let seeded = seed_once(bucket, fleet, shards).await;
    if let Err(error) = &seeded {
        tracing::warn!("cannot see to the fleet's topology: {error}");
    }
    seeded.is_ok()
}

async fn seed_once(bucket: &Bucket, fleet: &Fleet, shards: u32) -> Result<(), KvError> {
    if bucket.get(TOPOLOGY).await?.is_some() {
        return Ok(());
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
        Err(error) => return Err(error),
    }
    Ok(())
}
