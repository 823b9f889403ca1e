//! What befalls the fleet, in order. Every step waits for what it can see, no longer than its limit.

mod gateway;
mod leader;
mod sessions;

use std::time::Duration;

use anyhow::Result;

use super::{Options, simulator::Seen, stage::Stage};
use crate::clock;

/// How long a cold start may take, the loss of its leader included: leases of 15 s, buckets of 5 s.
const COLD_START: Duration = Duration::from_secs(60);
/// How long anything may take that needs a lease to run out.
const FAILOVER: Duration = Duration::from_secs(40);
/// How long a reconnect or a new session may take.
const RECONNECT: Duration = Duration::from_secs(30);
/// Sessions that are invalidated: a fourth of the default fleet, two of each bucket.
const INVALIDATED: u32 = 8;

/// What the story alone can tell; the rest is in the records.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// From `kill -9` of a gateway to the last RESUMED of its shards, by the simulator's clock.
    pub(super) takeover: Duration,
    /// True if dropped sockets resumed while nobody led.
    pub(super) resumed_unled: bool,
    /// Sessions that Discord ended, each to be followed by a gap and a new one.
    pub(super) ended: u64,
    /// IDENTIFYs that this takes: one a shard, one for each session ended.
    pub(super) identifies: u64,
}

/// Tells it.
pub(super) async fn tell(stage: &mut Stage, options: &Options) -> Result<Facts> {
    let ended = u64::from(INVALIDATED.min(options.shards));
    let mut facts = Facts {
        ended,
        identifies: u64::from(options.shards) + ended,
        ..Facts::default()
    };
    let epoch = leader::first_round(stage, options.shards).await?;
    facts.resumed_unled = leader::unled(stage, epoch).await?;
    all_ready(stage, options.shards, COLD_START).await?;
    stage
        .notes
        .say(format!("all {} shards are ready", options.shards));
    let ready = clock::now();
    facts.takeover = gateway::takeover(stage).await?;
    all_ready(stage, options.shards, RECONNECT).await?;
    gateway::replace(stage).await?;
    sessions::invalidate(stage, options.shards).await?;
    while clock::now() < ready + Duration::from_secs(options.seconds) {
        let rest = ready + Duration::from_secs(options.seconds) - clock::now();
        stage
            .notes
            .wait_for(&format!("{} s more of traffic", rest.as_secs() + 1));
        tokio::time::sleep(rest.min(Duration::from_millis(500))).await;
    }
    sessions::quiet(stage).await?;
    Ok(facts)
}

/// Waits until traffic flows to every shard.
async fn all_ready(stage: &mut Stage, shards: u32, limit: Duration) -> Result<()> {
    stage
        .until("every shard", limit, async |stage| {
            let figures = stage.simulator.state().await?;
            Ok((figures.ready >= shards && figures.connected >= shards).then_some(()))
        })
        .await
}

/// When the last of these shards resumed, if all have since then.
fn resumed_since(seen: &Seen, shards: &[u32], since_ms: u64) -> Option<u64> {
    let first = |shard: &u32| {
        let mut moments = seen.resumed.iter();
        moments
            .find(|it| it.shard == *shard && it.at_ms >= since_ms)
            .map(|it| it.at_ms)
    };
    let moments: Option<Vec<u64>> = shards.iter().map(first).collect();
    moments?.into_iter().max()
}
