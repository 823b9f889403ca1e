//! The fleet's cut, as the coordinator published it.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::reach;
use crate::{
    broker::bucket::Bucket,
    config::{Config, Shards},
    subject::TOPOLOGY,
    supervise,
    wire::{self, topology::Topology},
};

/// Waits for the topology and follows it. None: the shutdown came first.
///
/// # Errors
/// Where NATS does not answer.
pub async fn follow(
    state: &Bucket,
    config: &Config,
    shutdown: &CancellationToken,
) -> Result<Option<watch::Receiver<Arc<Topology>>>> {
    let mut entries = state.watch(TOPOLOGY).await?;
    let first = loop {
        let entry = tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            entry = entries.next() => entry,
            () = tokio::time::sleep(Duration::from_secs(5)) => {
                tracing::info!("no topology yet: a coordinator publishes it once it leads");
                continue;
            }
        };
        match entry
            .flatten()
            .map(|entry| wire::decode::<Topology>(&entry.value))
        {
            Some(Ok(topology)) => break topology,
            Some(Err(error)) => tracing::error!("the topology is unreadable: {error}"),
            None => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    warn_of_differences(config, &first);
    warn_of_silence(config, &first);
    let (sender, receiver) = watch::channel(Arc::new(first));
    let (shutdown, config) = (shutdown.clone(), config.clone());
    let until = shutdown.clone();
    supervise::vital("topology", &until, async move {
        while let Some(Some(entry)) = shutdown.run_until_cancelled(entries.next()).await {
            match entry.map(|entry| wire::decode::<Topology>(&entry.value)) {
                Some(Ok(topology)) => {
                    let topology = Arc::new(topology);
                    warn_of_silence(&config, &topology);
                    sender.send_if_modified(|known| {
                        let changed = *known != topology;
                        known.clone_from(&topology);
                        changed
                    });
                }
                Some(Err(error)) => tracing::error!("the topology is unreadable: {error}"),
                None => tracing::warn!("the topology was deleted; the last one stays in force"),
            }
        }
    });
    Ok(Some(receiver))
}

/// Somebody waits for an event that the intents never deliver.
fn warn_of_silence(config: &Config, topology: &Topology) {
    for (event, intents) in reach::out_of_reach(&topology.allow, config.discord.intents.0) {
        tracing::warn!(
            event,
            "fleet.allow names {event}, which Discord never sends without the intent {intents}: \
             add it to discord.intents, or leave the event out"
        );
    }
}

/// Keys of `[fleet]` seed the topology once; a file that says otherwise later is not obeyed.
fn warn_of_differences(config: &Config, topology: &Topology) {
    let fleet = &config.fleet;
    let told = |key: &str| {
        tracing::warn!(
            key,
            "{key} in this process's configuration differs from the fleet's topology, which holds; \
             change it with `shardfleet set`"
        );
    };
    if let Shards::Fixed(shards) = fleet.shards
        && shards != topology.layout.shards
    {
        told("fleet.shards");
    }
    if fleet.group_size.0 != topology.layout.group_size {
        told("fleet.group_size");
    }
    if fleet.allow.0 != topology.allow {
        told("fleet.allow");
    }
    if fleet.deny.0 != topology.deny {
        told("fleet.deny");
    }
}
