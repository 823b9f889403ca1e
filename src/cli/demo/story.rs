//! What befalls the fleet, in order. Every step waits for what it can see, no longer than its limit.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    Options,
    simulator::Seen,
    stage::{MAX_CONCURRENCY, Stage},
};
use crate::clock;

/// How long a cold start may take, the loss of its leader included: leases of 15 s, buckets of 5 s.
const COLD_START: Duration = Duration::from_secs(60);
/// How long anything may take that needs a lease to run out.
const FAILOVER: Duration = Duration::from_secs(40);
/// How long a reconnect or a new session may take.
const RECONNECT: Duration = Duration::from_secs(30);
/// How long the last events may take once the traffic is quiet.
const SETTLE: Duration = Duration::from_secs(10);
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
    let leader = first_round(stage, options.shards).await?;
    facts.resumed_unled = unled(stage, leader).await?;
    all_ready(stage, options.shards, COLD_START).await?;
    stage
        .notes
        .say(format!("all {} shards are ready", options.shards));
    let ready = clock::now();
    facts.takeover = takeover(stage).await?;
    all_ready(stage, options.shards, RECONNECT).await?;
    replace(stage).await?;
    invalidate(stage, options.shards).await?;
    while clock::now() < ready + Duration::from_secs(options.seconds) {
        let rest = ready + Duration::from_secs(options.seconds) - clock::now();
        stage
            .notes
            .wait_for(&format!("{} s more of traffic", rest.as_secs() + 1));
        tokio::time::sleep(rest.min(Duration::from_millis(500))).await;
    }
    quiet(stage).await?;
    Ok(facts)
}

/// The first round of grants is over: the leader dies before the second. Its epoch is returned.
async fn first_round(stage: &mut Stage, shards: u32) -> Result<u64> {
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
async fn unled(stage: &mut Stage, before: u64) -> Result<bool> {
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

/// A gateway dies; who survives resumes its shards.
async fn takeover(stage: &mut Stage) -> Result<Duration> {
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
async fn replace(stage: &mut Stage) -> Result<()> {
    let name = "gateway-c";
    stage.join(name, "gateway")?;
    let groups = stage
        .until(
            "its share of the groups for gateway-c",
            RECONNECT,
            async |stage| {
                let living = stage.living();
                let joined = living.iter().find(|status| status.process == name);
                let held = joined
                    .and_then(|status| status.gateway.as_ref())
                    .map(|it| it.groups.len());
                Ok(held.filter(|groups| *groups > 0))
            },
        )
        .await?;
    stage.notes.say(format!(
        "{name} joined and was handed its first of the groups ({groups})"
    ));
    Ok(())
}

/// Discord ends sessions: a gap is said, and they identify again.
async fn invalidate(stage: &mut Stage, shards: u32) -> Result<()> {
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
async fn quiet(stage: &mut Stage) -> Result<()> {
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

fn connected(seen: &Seen) -> BTreeSet<u32> {
    let live = seen
        .sessions
        .iter()
        .filter(|one| one.connected && one.delivered_seq > 0);
    live.map(|one| one.shard).collect()
}

fn owed(session: &super::simulator::Session) -> u64 {
    match session.end_reason {
        None => session.last_seq,
        Some(_) => session.delivered_seq,
    }
}
