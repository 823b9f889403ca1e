//! A gateway dies, another joins.

use std::time::Duration;

use anyhow::Result;

use super::{FAILOVER, RECONNECT, resumed_since};
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

/// A new gateway joins and is handed its share.
pub(super) async fn replace(stage: &mut Stage) -> Result<()> {
    let name = "gateway-c";
    stage.join(name, "gateway")?;
    let what = "groups that are handed to gateway-c";
    stage
        .until(what, RECONNECT, async |stage| {
            let living = stage.living();
            let joined = living.iter().find(|status| status.process == name);
            let held = joined.and_then(|status| status.gateway.as_ref());
            Ok(held.is_some_and(|it| !it.groups.is_empty()).then_some(()))
        })
        .await?;
    stage
        .notes
        .say(format!("{name} joined; groups are handed over to it"));
    Ok(())
}
