//! `drain`: one process hands its groups over, and takes none any more.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    operator::{LISTEN, reach},
    say,
};
use crate::{
    clock,
    config::Config,
    roster::Roster,
    wire::{
        self, VERSION,
        drain::{Drain, Draining},
        status::{GatewayStatus, Status},
    },
};

/// Options of `drain`.
#[derive(Args)]
pub(super) struct DrainOptions {
    /// The process, as `status` names it
    #[arg(value_name = "PROCESS")]
    process: String,
    /// Although the other gateways have no room for its groups: the rest stands idle
    #[arg(long)]
    force: bool,
}

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// On top of `process.drain`: its last word is a second old.
const LAST_WORD: Duration = Duration::from_secs(5);

pub(super) async fn run(config: &Config, options: &DrainOptions) -> Result<()> {
    let broker = reach(config, "shardfleet drain").await?;
    let roster = Roster::gather(&broker, CancellationToken::new()).await?;
    tokio::time::sleep(LISTEN).await;
    let name = &options.process;
    let held = may_drain(&roster.processes(), name, options.force)?;
    let subject = broker.names.drain(name);
    let word = wire::encode(&Drain { v: VERSION });
    let answer = broker.client.request(subject, word).await;
    let answer =
        answer.with_context(|| format!("{name} does not answer: is it of this release?"))?;
    let Draining { groups, .. } = wire::decode(&answer.payload)?;
    say(&format!("{name} hands {} over\n", counted(groups)))?;
    let deadline = clock::now() + config.process.drain.0 + LAST_WORD;
    while left(&roster.processes(), name) > 0 {
        ensure!(
            clock::now() < deadline,
            "{name} still holds groups: its log says why"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let held = held.max(groups);
    say(&format!(
        "{name} is drained: {} handed over. It stays up and takes none until it is started anew\n",
        counted(held)
    ))
}

fn counted(groups: u32) -> String {
    format!("{groups} group{}", if groups == 1 { "" } else { "s" })
}

/// How many groups it holds, if it may be drained.
fn may_drain(processes: &[Status], name: &str, force: bool) -> Result<u32> {
    let Some(status) = processes.iter().find(|status| status.process == name) else {
        let gateways = processes.iter().filter(|status| status.gateway.is_some());
        let names: Vec<_> = gateways.map(|status| status.process.as_str()).collect();
        bail!(
            "no process is called {name}; the gateways are: {}",
            names.join(", ")
        );
    };
    let Some(gateway) = &status.gateway else {
        bail!("{name} runs no gateway: it holds no group that it could hand over");
    };
    let held = groups(gateway);
    let others = processes
        .iter()
        .filter(|status| status.process != name && !status.draining);
    let room: u32 = others
        .filter_map(|status| status.gateway.as_ref())
        .map(|gateway| gateway.capacity.saturating_sub(groups(gateway)))
        .sum();
    ensure!(
        force || room >= held,
        "{name} holds {held} groups, and the other gateways have room for {room}: the rest would stand \
         idle. Start another gateway, raise gateway.max_groups, or say --force"
    );
    Ok(held)
}

fn groups(gateway: &GatewayStatus) -> u32 {
    u32::try_from(gateway.groups.len()).unwrap_or(u32::MAX)
}

/// Groups that it still holds; one that is gone holds none.
fn left(processes: &[Status], name: &str) -> u32 {
    let status = processes.iter().find(|status| status.process == name);
    // One that has yet to say that it drains has yet to tell what is left.
    match status {
        Some(status) if !status.draining => 1,
        Some(status) => status.gateway.as_ref().map_or(0, groups),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(name: &str, held: u32, capacity: u32) -> Status {
        Status {
            process: name.to_owned(),
            gateway: Some(GatewayStatus {
                capacity,
                ..GatewayStatus::holding(held)
            }),
            ..Status::default()
        }
    }

    #[test]
    fn nobody_is_drained_without_room_elsewhere() {
        let coordinator = Status {
            process: "c".to_owned(),
            ..Status::default()
        };
        let fleet = [gateway("a", 3, 4), gateway("b", 2, 4), coordinator];
        assert!(may_drain(&fleet, "a", false).is_err());
        assert_eq!(may_drain(&fleet, "a", true).unwrap(), 3);
        assert_eq!(
            may_drain(&[gateway("a", 2, 4), gateway("b", 2, 4)], "a", false).unwrap(),
            2
        );
        assert!(may_drain(&fleet, "c", true).is_err());
        let unknown = may_drain(&fleet, "d", true).unwrap_err().to_string();
        assert!(unknown.contains("a, b"), "{unknown}");
    }
}
