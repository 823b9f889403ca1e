//! The leading coordinator dies between two rounds of grants; meanwhile sockets drop.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::json;

use super::{COLD_START, FAILOVER, RECONNECT, resumed_since};
use crate::{
    cli::demo::{
        simulator::Seen,
        stage::{MAX_CONCURRENCY, Stage},
    },
    clock,
};

/// The first round of grants is over: the leader dies before the second. Its epoch is returned.
pub(super) async fn first_round(stage: &mut Stage, shards: u32) -> Result<u64> {
    let round = u64::from(shards.min(MAX_CONCURRENCY));
    let what = "the first round of identifies";
    stage
        .until(what, COLD_START, async |stage| {
            Ok((stage.simulator.state().await?.identifies >= round).then_some(()))
        })
        .await?;
    let (name, epoch) = stage
        .leader()
        .context("grants were given, but nobody says that it leads")?;
    stage.kill(&name).await?;
    stage.notes.say(format!(
        "kill -9 {name}, the leader, after {round} identifies"
    ));
    Ok(epoch)
}

/// While nobody leads, sockets drop: a RESUME needs no coordinator. Then another leads.
pub(super) async fn unled(stage: &mut Stage, before: u64) -> Result<bool> {
    let what = "sessions whose sockets can be dropped";
    let shards = stage
        .until(what, RECONNECT, async |stage| {
            let connected = connected(&stage.simulator.seen().await?);
            Ok((connected.len() >= 4).then_some(connected))
        })
        .await?;
    let shards: Vec<u32> = shards.into_iter().take(4).collect();
    let dropped_ms = clock::unix_ms();
    stage
        .simulator
        .fault(json!({ "fault": "drop", "shards": shards }))
        .await?;
    stage.notes.say(format!(
        "dropped {} sockets while nobody leads",
        shards.len()
    ));
    let unled = stage
        .until("their RESUME, with no leader", RECONNECT, async |stage| {
            let resumed = resumed_since(&stage.simulator.seen().await?, &shards, dropped_ms);
            Ok(resumed.map(|_| stage.leader().is_none_or(|(_, epoch)| epoch == before)))
        })
        .await?;
    stage.notes.say(if unled {
        "all resumed; still nobody leads"
    } else {
        "all resumed, too late"
    });
    let (name, _) = stage
        .until("another leader", FAILOVER, async |stage| {
            Ok(stage.leader().filter(|(_, epoch)| *epoch > before))
        })
        .await?;
    stage.notes.say(format!("{name} leads"));
    Ok(unled)
}

fn connected(seen: &Seen) -> BTreeSet<u32> {
    let live = seen
        .sessions
        .iter()
        .filter(|one| one.connected && one.delivered_seq > 0);
    live.map(|one| one.shard).collect()
}
