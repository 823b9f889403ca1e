//! `reconnect`: shards connect anew, by RESUME or with a new session. What it costs is said first.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    operator::{LISTEN, reach},
    say,
};
use crate::{
    broker::Broker,
    clock,
    config::Config,
    roster::Roster,
    wire::{
        self, VERSION,
        reconnect::{Reconnect, Reconnecting},
        status::{CoordinatorStatus, ShardState, Status},
    },
};

/// Options of `reconnect`.
#[derive(Args)]
pub(super) struct ReconnectOptions {
    /// The shards, by number
    #[arg(value_name = "SHARD", required = true)]
    shards: Vec<u32>,
    /// Each gives its session up and identifies: what Discord sends between is lost, and said in a gap
    #[arg(long)]
    new_session: bool,
    /// Although it costs identifies and events
    #[arg(long, requires = "new_session")]
    yes: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  shardfleet reconnect 7                         RESUME: costs no identify, loses nothing
  shardfleet reconnect 3 7 --new-session         says what it would cost
  shardfleet reconnect 3 7 --new-session --yes";

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A RESUME takes a second or two; pauses after failures up to half a minute.
const RESUME_LIMIT: Duration = Duration::from_secs(60);
/// Between two IDENTIFYs of a bucket, with the default margin.
const IDENTIFY_PACE: Duration = Duration::from_millis(5_250);

pub(super) async fn run(config: &Config, options: &ReconnectOptions) -> Result<()> {
    let broker = reach(config, "shardfleet reconnect").await?;
    let roster = Roster::gather(&broker, CancellationToken::new()).await?;
    tokio::time::sleep(LISTEN).await;
    let processes = roster.processes();
    let places = places(&processes, &options.shards)?;
    let count = places.values().map(Vec::len).sum();
    if options.new_session {
        let leader = processes
            .iter()
            .filter_map(|status| status.coordinator.as_ref());
        let cost = cost(count, leader.into_iter().find(|status| status.leader))?;
        say(&format!("{cost}\n"))?;
        ensure!(
            options.yes,
            "nothing was done: say --yes where that is meant"
        );
    } else {
        say(&format!(
            "{} and RESUME: no identify is spent, and Discord replays what comes meanwhile\n",
            closes(count)
        ))?;
    }
    for (process, shards) in &places {
        ask(&broker, process, shards, options.new_session).await?;
    }
    let limit = match u32::try_from(count) {
        Ok(count) if options.new_session => RESUME_LIMIT + IDENTIFY_PACE * count,
        _ => RESUME_LIMIT,
    };
    back(&roster, &options.shards, limit).await
}

/// Which process runs which of these shards.
fn places<'a>(processes: &'a [Status], shards: &[u32]) -> Result<BTreeMap<&'a str, Vec<u32>>> {
    let mut places: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for shard in shards {
        let runs = |status: &&Status| {
            let gateway = status.gateway.as_ref();
            gateway.is_some_and(|gateway| gateway.shards.iter().any(|it| it.shard == *shard))
        };
        let Some(status) = processes.iter().find(runs) else {
            bail!("no gateway runs shard {shard}: see `shardfleet status`");
        };
        let here = places.entry(&status.process).or_default();
        if !here.contains(shard) {
            here.push(*shard);
        }
    }
    Ok(places)
}

/// What new sessions cost, if the day has so many left.
fn cost(count: usize, leader: Option<&CoordinatorStatus>) -> Result<String> {
    let Some(leader) = leader else {
        bail!(
            "no coordinator leads: nobody could grant leave to identify. See `shardfleet status`"
        );
    };
    let free = leader.remaining.saturating_sub(leader.reserve);
    let (left, reserve) = (leader.remaining, leader.reserve);
    ensure!(
        count <= free as usize,
        "{count} identifies are needed, and {left} are left of the day, {reserve} of them in reserve: the shards \
         would stand without events. Reconnect fewer, or `shardfleet spend-reserve` first"
    );
    let pace = u32::try_from(count).unwrap_or(u32::MAX) / leader.max_concurrency.max(1);
    let seconds = (IDENTIFY_PACE * pace.max(1)).as_secs() + 1;
    Ok(format!(
        "{} and identify: {count} of {left} identifies left of the day, some {seconds} s; what Discord sends \
         between is lost, and a FLEET_GAP says so",
        closes(count)
    ))
}

fn closes(count: usize) -> String {
    if count == 1 {
        "one shard closes its connection".to_owned()
    } else {
        format!("{count} shards close their connections")
    }
}

async fn ask(broker: &Broker, process: &str, shards: &[u32], new_session: bool) -> Result<()> {
    let word = wire::encode(&Reconnect {
        v: VERSION,
        shards: shards.to_vec(),
        new_session,
    });
    let answer = broker.client.request(broker.names.reconnect(process), word);
    let answer = answer.await.with_context(|| {
        format!("{process} does not answer: is it of this release, and may it listen there?")
    })?;
    let told: Reconnecting = wire::decode(&answer.payload)?;
    let gone: Vec<_> = shards
        .iter()
        .filter(|it| !told.shards.contains(it))
        .collect();
    ensure!(
        gone.is_empty(),
        "{process} runs the shards {gone:?} no more: they moved a moment ago, try again"
    );
    Ok(())
}

/// Waits until the shards receive events again.
async fn back(roster: &Roster, shards: &[u32], limit: Duration) -> Result<()> {
    let until = clock::now() + limit;
    // What was said before it was asked says that all is well.
    tokio::time::sleep(LISTEN).await;
    loop {
        let out = out(&roster.processes(), shards);
        if out.is_empty() {
            return say("all of them receive events again\n");
        }
        ensure!(
            clock::now() < until,
            "the shards {out:?} do not receive events after {limit:?}: see `shardfleet status` and the log of \
             their gateways"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Those of the shards that do not receive events.
fn out(processes: &[Status], shards: &[u32]) -> Vec<u32> {
    let ready = |shard: &u32| {
        let gateways = processes
            .iter()
            .filter_map(|status| status.gateway.as_ref());
        let mut shards = gateways.flat_map(|gateway| &gateway.shards);
        shards.any(|it| it.shard == *shard && it.state == ShardState::Ready)
    };
    shards
        .iter()
        .copied()
        .filter(|shard| !ready(shard))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::status::{GatewayStatus, ShardStatus};

    fn gateway(name: &str, shards: &[u32]) -> Status {
        let shard = |shard: &u32| ShardStatus {
            shard: *shard,
            state: ShardState::Ready,
            events: 0,
            gaps: 0,
            quiet_ms: 0,
        };
        Status {
            process: name.to_owned(),
            gateway: Some(GatewayStatus {
                shards: shards.iter().map(shard).collect(),
                ..GatewayStatus::default()
            }),
            ..Status::default()
        }
    }

    #[test]
    fn each_shard_is_asked_for_where_it_runs() {
        let fleet = [gateway("a", &[0, 1]), gateway("b", &[2])];
        let found = places(&fleet, &[2, 0, 2]).unwrap();
        assert_eq!(found["a"], [0]);
        assert_eq!(found["b"], [2]);
        let unknown = places(&fleet, &[9]).unwrap_err().to_string();
        assert!(unknown.contains("no gateway runs shard 9"), "{unknown}");
        assert_eq!(out(&fleet, &[2, 9]), [9]);
    }

    #[test]
    fn new_sessions_are_not_spent_from_the_reserve() {
        let leader = CoordinatorStatus {
            remaining: 52,
            reserve: 50,
            max_concurrency: 1,
            ..CoordinatorStatus::default()
        };
        assert!(
            cost(2, Some(&leader))
                .unwrap()
                .contains("2 of 52 identifies")
        );
        assert!(cost(3, Some(&leader)).is_err() && cost(1, None).is_err());
    }
}
