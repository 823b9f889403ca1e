//! Seeds what the whole fleet shares, once.

use std::time::Duration;

use crate::{
    bot::{self, BotId, Other},
    broker::bucket::{Bucket, Entry, KvError},
    config::{Fleet, Shards},
    fleet::Layout,
    subject::TOPOLOGY,
    wire::{self, topology::Topology},
};

/// Returns once the topology was read: that the fleet is this process's bot's, as far as both are known.
pub(super) async fn is_of(bucket: &Bucket, bot: Option<BotId>) -> Result<(), Other> {
    let entry = loop {
        match bucket.get(TOPOLOGY).await {
            Ok(entry) => break entry,
            Err(error) => tracing::warn!("cannot read the fleet's topology: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    // One that is not understood is somebody's to mend; the watch of it says so.
    match entry.map(|entry| wire::decode::<Topology>(&entry.value)) {
        Some(Ok(topology)) => bot::check(bot, &topology),
        _ => Ok(()),
    }
}

/// Writes the topology from the configuration where there is none; `recommended` is Discord's answer.
/// Whoever comes first decides; afterwards `shardfleet set` alone changes it. False: NATS did not say
/// what became of it, so try again: the whole fleet waits for it.
/// Where it names no bot, as one that an older release wrote, `bot` is filled in.
pub(super) async fn seed(
    bucket: &Bucket,
    fleet: &Fleet,
    recommended: Option<u32>,
    bot: Option<BotId>,
) -> bool {
    let shards = match (fleet.shards, recommended) {
        (Shards::Fixed(shards), _) => shards,
        (Shards::Auto, Some(shards)) => shards.max(1),
        (Shards::Auto, None) => return true,
    };
    let seeded = seed_once(bucket, fleet, shards, bot).await;
    if let Err(error) = &seeded {
        tracing::warn!("cannot see to the fleet's topology: {error}");
    }
    seeded.is_ok()
}

async fn seed_once(
    bucket: &Bucket,
    fleet: &Fleet,
    shards: u32,
    bot: Option<BotId>,
) -> Result<(), KvError> {
    let application = bot.map(|bot| bot.to_string());
    if let Some(entry) = bucket.get(TOPOLOGY).await? {
        return name_bot(bucket, &entry, application).await;
    }
    let topology = Topology {
        v: wire::VERSION,
        layout: Layout {
            generation: 1,
            shards,
            group_size: fleet.group_size.0,
        },
        application,
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

/// Fills in whose fleet it is, where nobody has said so.
async fn name_bot(bucket: &Bucket, entry: &Entry, bot: Option<String>) -> Result<(), KvError> {
    // One that is not understood is somebody's to mend; the watch of it says so.
    let Ok(topology) = wire::decode::<Topology>(&entry.value) else {
        return Ok(());
    };
    let (None, Some(bot)) = (&topology.application, bot) else {
        return Ok(());
    };
    let named = Topology {
        application: Some(bot.clone()),
        ..topology
    };
    match bucket
        .update(TOPOLOGY, wire::encode(&named), entry.revision)
        .await
    {
        Ok(_) => tracing::info!(bot, "the fleet is the bot {bot}'s from now on"),
        // Somebody else has changed it: the next look is at that.
        Err(KvError::Conflict) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
