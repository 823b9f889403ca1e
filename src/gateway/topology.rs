//! The fleet's cut, as the coordinator published it.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::reach;
use crate::{
    broker::bucket::{Bucket, Entry, KvError},
    config::{Config, Shards},
    subject::TOPOLOGY,
    supervise,
    wire::{self, topology::Topology},
};

/// Waits for the topology and follows it. None: the shutdown came first.
///
/// What this process runs by is what the fleet runs by: where the bucket has lost the topology, or holds
/// an older copy of it, it is written again from memory.
pub async fn follow(
    state: &Bucket,
    config: &Config,
    shutdown: &CancellationToken,
) -> Option<watch::Receiver<Arc<Topology>>> {
    let mut entries = state.watch(TOPOLOGY);
    let (first, revision) = loop {
        let entry = tokio::select! {
            () = shutdown.cancelled() => return None,
            entry = entries.next() => entry,
            () = tokio::time::sleep(Duration::from_secs(5)) => {
                tracing::info!("no topology yet: a coordinator publishes it once it leads");
                continue;
            }
        };
        match entry.flatten().map(|entry| understood(&entry)) {
            Some(Ok(topology)) => break topology,
            Some(Err(error)) => tracing::error!("the topology is unreadable: {error}"),
            None => {}
        }
    };
    warn_of_differences(config, &first);
    warn_of_silence(config, &first);
    let (sender, receiver) = watch::channel(Arc::new(first));
    let following = Following {
        state: state.clone(),
        config: config.clone(),
        known: sender,
        revision,
    };
    let (shutdown, follow) = (shutdown.clone(), following.follow(entries));
    let until = shutdown.clone();
    supervise::vital("topology", &until, async move {
        shutdown.run_until_cancelled(follow).await;
    });
    Some(receiver)
}

fn understood(entry: &Entry) -> Result<(Topology, u64), wire::Malformed> {
    wire::decode(&entry.value).map(|topology| (topology, entry.revision))
}

struct Following {
    state: Bucket,
    config: Config,
    known: watch::Sender<Arc<Topology>>,
    revision: u64,
}

impl Following {
    async fn follow(mut self, mut entries: impl Stream<Item = Option<Entry>> + Unpin) {
        while let Some(entry) = entries.next().await {
            match entry.as_ref().map(understood) {
                // Revisions only grow, also where the bucket is made anew.
                Some(Ok((topology, revision))) if revision >= self.revision => {
                    self.revision = revision;
                    self.take(topology);
                }
                Some(Ok((topology, revision))) if topology == **self.known.borrow() => {
                    self.revision = revision;
                }
                Some(Ok(_)) => self.keep(entry.map(|entry| entry.revision)).await,
                Some(Err(error)) => tracing::error!("the topology is unreadable: {error}"),
                None => self.keep(None).await,
            }
        }
    }

    fn take(&self, topology: Topology) {
        let topology = Arc::new(topology);
        warn_of_silence(&self.config, &topology);
        self.known.send_if_modified(|known| {
            let changed = *known != topology;
            known.clone_from(&topology);
            changed
        });
    }

    /// Writes what this process runs by, over what it found.
    async fn keep(&mut self, over: Option<u64>) {
        let known = Arc::clone(&self.known.borrow());
        let written = self.state.write(TOPOLOGY, wire::encode(&*known), over);
        match written.await {
            Ok(revision) => {
                self.revision = revision;
                tracing::warn!(
                    "the topology was lost, or an older one stood in its place: this process wrote it again"
                );
            }
            // Another process was faster: the watch tells what it wrote.
            Err(KvError::Conflict) => {}
            Err(error) => tracing::warn!("cannot write the topology again: {error}"),
        }
    }
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

/// What holds for the keys that no command changes.
const CUT: &str = "nothing changes it while the fleet runs: a second fleet, with another fleet.name, may have another";

/// Keys of `[fleet]` seed the topology once; a file that says otherwise later is not obeyed.
fn warn_of_differences(config: &Config, topology: &Topology) {
    let fleet = &config.fleet;
    let told = |key: &str, hint: &str| {
        tracing::warn!(
            key,
            "{key} in this process's configuration differs from the fleet's topology, which holds; {hint}"
        );
    };
    if let Shards::Fixed(shards) = fleet.shards
        && shards != topology.layout.shards
    {
        told("fleet.shards", CUT);
    }
    if fleet.group_size.0 != topology.layout.group_size {
        told("fleet.group_size", CUT);
    }
    if fleet.allow.0 != topology.allow {
        told("fleet.allow", "`shardfleet set allow` changes it");
    }
    if fleet.deny.0 != topology.deny {
        told("fleet.deny", "`shardfleet set deny` changes it");
    }
}
