//! A gateway dies, another joins.

use std::time::Duration;

use anyhow::Result;

use super::{FAILOVER, resumed_since};
use crate::{cli::demo::stage::Stage, clock};

/// A gateway dies; who survives resumes its shards.
pub(super) async fn takeover(stage: &mut Stage) -> Result<Duration> {
    let (name, shards) = stage
        .until("two gateways that run shards", FAILOVER, async |stage| {
            let mut run: Vec<_> = stage
                .living()
                .into_iter()
                .filter_map(|status| Some((status.process, status.gateway?.shards)))
                .map(|(name, shards)| (name, shards.iter().map(|it| it.shard).collect::<Vec<_>>()))
                .filter(|(_, shards)| !shards.is_empty())
                .collect();
            Ok(if run.len() < 2 { None } else { run.pop() })
        })
        .await?;
    // Some traffic between one blow and the next, for the view.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let killed_ms = clock::unix_ms();
    stage.kill(&name).await?;
    stage.notes.say(format!(
        "kill -9 {name}, which runs {} shards",
        shards.len()
    ));
    let what = format!("the RESUME of the {} shards of {name}", shards.len());
    let last_ms = stage
        .until(&what, FAILOVER, async |stage| {
            Ok(resumed_since(
                &stage.simulator.seen().await?,
                &shards,
                killed_ms,
            ))
        })
        .await?;
    let takeover = Duration::from_millis(last_ms.saturating_sub(killed_ms));
    stage.notes.say(format!(
        "the last of them resumed {:.1} s after the kill, without an identify",
        takeover.as_secs_f64()
    ));
    Ok(takeover)
}

/// A new gateway joins and is handed its share. What follows waits for all of it: a session that
/// Discord ended just while it changed hands could not be judged.
pub(super) async fn replace(stage: &mut Stage) -> Result<()> {
    let name = "gateway-c";
    stage.join(name, "gateway")?;
    let what = "gateway-c to be handed its share of the groups";
    let share = stage
        .until(what, FAILOVER, async |stage| {
            let living = stage.living();
            let held: Vec<_> = living
                .iter()
                .filter_map(|it| Some((it.process.as_str(), it.gateway.as_ref()?.groups.len())))
                .collect();
            let all: usize = held.iter().map(|(_, groups)| groups).sum();
            let own = held.iter().find(|(process, _)| *process == name);
            let share = stage.groups() / held.len().max(1);
            Ok(
                (all == stage.groups() && own.is_some_and(|(_, groups)| *groups >= share))
                    .then_some(share),
            )
        })
        .await?;
    stage.notes.say(format!(
        "{name} joined: {share} groups were handed over to it"
    ));
    Ok(())
}
