//! Discord ends sessions; later it falls silent.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{FAILOVER, INVALIDATED, RECONNECT, all_ready};
use crate::{
    cli::demo::{simulator::Session, stage::Stage},
    clock,
};

/// How long the last events may take once the traffic is quiet.
const SETTLE: Duration = Duration::from_secs(10);

/// Discord ends sessions: a gap is said, and they identify again.
pub(super) async fn invalidate(stage: &mut Stage, shards: u32) -> Result<()> {
    all_ready(stage, shards, RECONNECT).await?;
    let chosen: Vec<u32> = (0..shards)
        .step_by((shards / INVALIDATED).max(1) as usize)
        .collect();
    let chosen = &chosen[..chosen.len().min(INVALIDATED as usize)];
    let at_ms = clock::unix_ms();
    let fault = json!({ "fault": "invalidate", "resumable": false, "shards": chosen });
    stage.simulator.fault(fault).await?;
    stage
        .notes
        .say(format!("Discord invalidates {} sessions", chosen.len()));
    let what = format!("the new sessions of {} shards", chosen.len());
    stage
        .until(&what, FAILOVER, async |stage| {
            let seen = stage.simulator.seen().await?;
            let anew = |shard: &u32| {
                let mut sessions = seen.sessions.iter().filter(|one| one.shard == *shard);
                sessions.any(|one| one.started_ms >= at_ms && one.connected)
            };
            Ok(chosen.iter().all(anew).then_some(()))
        })
        .await?;
    all_ready(stage, shards, RECONNECT).await?;
    stage.notes.say("all of them have identified again");
    Ok(())
}

/// No more traffic: the stream stops to grow, and holds all that it is owed.
pub(super) async fn quiet(stage: &mut Stage) -> Result<()> {
    stage.simulator.traffic(0).await?;
    let mut last = (0, clock::now());
    let settled = stage
        .until("the last events", SETTLE, async |stage| {
            let stored = stage
                .broker
                .jetstream
                .get_stream(stage.broker.names.stream(0, 1))
                .await?;
            let stored = stored.cached_info().state.messages;
            if stored != last.0 {
                last = (stored, clock::now());
            }
            let owed: u64 = stage
                .simulator
                .seen()
                .await?
                .sessions
                .iter()
                .map(owed)
                .sum();
            let still = clock::now() - last.1 >= Duration::from_secs(1);
            Ok((still && stored >= owed).then_some(()))
        })
        .await;
    // What is missing now is for the audit to name, and for the verdict to judge.
    stage.notes.say(match settled {
        Ok(()) => "quiet: the stream holds what it owes".to_owned(),
        Err(error) => format!("quiet, but {error}"),
    });
    Ok(())
}

fn owed(session: &Session) -> u64 {
    match session.end_reason {
        None => session.last_seq,
        Some(_) => session.delivered_seq,
    }
}
