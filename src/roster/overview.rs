//! The fleet at a glance, from everyone's last word and what the fleet shares. Pure: the page, the
//! API and the command line show the same figures.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::wire::{
    self,
    status::{CoordinatorStatus, ShardState, ShardStatus, Status},
    topology::{Halt, Topology},
};

/// The word for a shard that no process runs.
pub const UNHELD: &str = "unheld";

/// The fleet at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// Version of this answer.
    pub v: u32,
    /// The fleet's name.
    pub fleet: String,
    /// When it was put together, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// For how many milliseconds NATS has been away, if it is: all else is as of `at_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats_away_ms: Option<u64>,
    /// What the fleet shares; none before a coordinator has led.
    pub topology: Option<Topology>,
    /// Why the fleet stands still, if it does.
    pub halt: Option<HaltSummary>,
    /// Shards by state.
    pub shards: Shards,
    /// Groups.
    pub groups: Groups,
    /// Who leads.
    pub leader: Option<Leader>,
    /// Streams and buckets that a process does not find in NATS.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub missing: BTreeSet<String>,
    /// Streams and buckets that are not as a process's configuration wants them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub differing: BTreeSet<String>,
    /// Processes whose token Discord refuses.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub refused: BTreeSet<String>,
    /// Every process's last word, by name.
    pub processes: Vec<Status>,
    /// Where each shard is; the processes' words hold it too.
    #[serde(skip)]
    pub cells: BTreeMap<u32, Cell>,
}

/// Shards by state.
#[derive(Clone, Debug, Serialize)]
pub struct Shards {
    /// How many there should be; 0 before that is known.
    pub total: u32,
    /// How many receive events.
    pub ready: u32,
    /// How many stand where, [`UNHELD`] among them.
    pub by_state: BTreeMap<&'static str, u32>,
}

/// Groups.
#[derive(Clone, Debug, Serialize)]
pub struct Groups {
    /// How many there are; 0 before that is known.
    pub total: u32,
    /// How many a process holds.
    pub held: u32,
    /// How many the processes may hold together.
    pub capacity: u32,
}

/// The leading coordinator.
#[derive(Clone, Debug, Serialize)]
pub struct Leader {
    /// Its process.
    pub process: String,
    /// Its word.
    #[serde(flatten)]
    pub status: CoordinatorStatus,
}

/// Why the fleet stands still, without the mark of the token.
#[derive(Clone, Debug, Serialize)]
pub struct HaltSummary {
    /// Discord's close code.
    pub code: u16,
    /// What it means and how to mend it.
    pub reason: String,
    /// The shard that met it.
    pub shard: u32,
    /// Its process.
    pub process: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// One shard, where it is.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Who runs it.
    pub process: String,
    /// What that says of it.
    pub status: ShardStatus,
}

/// What the fleet shares, as read from the state bucket.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// Its cut.
    pub topology: Option<Topology>,
    /// Its halt.
    pub halt: Option<Halt>,
}

impl Overview {
    /// Puts together what is known at `at_ms`.
    pub fn new(fleet: &str, shared: Shared, processes: Vec<Status>, at_ms: u64) -> Self {
        let cells = cells(&processes);
        let leader = leader(&processes);
        let layout = shared.topology.as_ref().map(|topology| topology.layout);
        let total = layout.map_or_else(
            || leader.as_ref().map_or(0, |l| l.status.shards),
            |l| l.shards,
        );
        let all = |names: fn(&Status) -> &[String]| {
            let names = processes.iter().flat_map(names);
            names.cloned().collect::<BTreeSet<_>>()
        };
        let refused = processes.iter().filter(|process| process.token_refused);
        let refused = refused.map(|process| process.process.clone()).collect();
        let gateways = || processes.iter().filter_map(|p| p.gateway.as_ref());
        let held: BTreeSet<_> = gateways()
            .flat_map(|gateway| &gateway.groups)
            .filter(|group| layout.is_none_or(|l| l.generation == group.generation))
            .map(|group| group.group)
            .collect();
        Self {
            v: wire::VERSION,
            fleet: fleet.to_owned(),
            at_ms,
            nats_away_ms: None,
            halt: shared.halt.map(HaltSummary::from),
            shards: shards(&cells, total),
            groups: Groups {
                total: layout.map_or(0, |l| l.groups()),
                held: count(held.len()),
                capacity: gateways().map(|gateway| gateway.capacity).sum(),
            },
            topology: shared.topology,
            leader,
            missing: all(|process| &process.missing),
            differing: all(|process| &process.differing),
            refused,
            processes,
            cells,
        }
    }
}

impl From<Halt> for HaltSummary {
    fn from(halt: Halt) -> Self {
        Self {
            code: halt.code,
            reason: halt.reason,
            shard: halt.shard,
            process: halt.process,
            at_ms: halt.at_ms,
        }
    }
}

/// Around a handover two processes may tell of one shard: the one that receives events counts.
fn cells(processes: &[Status]) -> BTreeMap<u32, Cell> {
    let mut cells: BTreeMap<u32, Cell> = BTreeMap::new();
    for process in processes {
        for shard in process.gateway.iter().flat_map(|gateway| &gateway.shards) {
            let known = cells.get(&shard.shard);
            if known.is_none_or(|known| known.status.state != ShardState::Ready) {
                let (process, status) = (process.process.clone(), *shard);
                cells.insert(shard.shard, Cell { process, status });
            }
        }
    }
    cells
}

/// One deposed may not know it yet: the latest epoch leads.
fn leader(processes: &[Status]) -> Option<Leader> {
    let leading = |process: &Status| {
        let status = process.coordinator.clone().filter(|c| c.leader)?;
        let process = process.process.clone();
        Some(Leader { process, status })
    };
    processes
        .iter()
        .filter_map(leading)
        .max_by_key(|leader| leader.status.epoch)
}

fn shards(cells: &BTreeMap<u32, Cell>, total: u32) -> Shards {
    let mut by_state: BTreeMap<_, u32> = BTreeMap::new();
    for cell in cells.values() {
        *by_state.entry(cell.status.state.as_str()).or_default() += 1;
    }
    let unheld = total.saturating_sub(count(cells.len()));
    if unheld > 0 {
        by_state.insert(UNHELD, unheld);
    }
    Shards {
        total: total.max(count(cells.len())),
        ready: by_state
            .get(ShardState::Ready.as_str())
            .copied()
            .unwrap_or(0),
        by_state,
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::Layout,
        wire::status::{GatewayStatus, GroupStatus},
    };

    fn gateway(process: &str, states: &[(u32, ShardState)]) -> Status {
        let shard = |(shard, state): &(u32, ShardState)| ShardStatus {
            shard: *shard,
            state: *state,
            events: 1,
            gaps: 0,
            quiet_ms: 0,
        };
        Status {
            process: process.to_owned(),
            gateway: Some(GatewayStatus {
                capacity: 8,
                groups: vec![GroupStatus {
                    generation: 1,
                    group: 0,
                    epoch: 3,
                }],
                shards: states.iter().map(shard).collect(),
                ..GatewayStatus::default()
            }),
            ..Status::default()
        }
    }

    fn coordinator(process: &str, leader: bool, epoch: u64) -> Status {
        Status {
            process: process.to_owned(),
            coordinator: Some(CoordinatorStatus {
                leader,
                epoch,
                ..CoordinatorStatus::default()
            }),
            ..Status::default()
        }
    }

    fn shared() -> Shared {
        let layout = Layout {
            generation: 1,
            shards: 4,
            group_size: 2,
        };
        let (allow, deny) = (Vec::new(), Vec::new());
        Shared {
            topology: Some(Topology {
                v: 1,
                layout,
                application: None,
                allow,
                deny,
            }),
            halt: None,
        }
    }

    #[test]
    fn a_shard_is_where_it_receives_events() {
        let processes = vec![
            gateway("a", &[(0, ShardState::Ready), (1, ShardState::Waiting)]),
            gateway("b", &[(0, ShardState::Parked), (1, ShardState::Ready)]),
        ];
        let overview = Overview::new("discord", shared(), processes, 0);
        assert_eq!(overview.cells[&0].process, "a");
        assert_eq!(overview.cells[&1].process, "b");
        assert_eq!(overview.shards.ready, 2);
        assert_eq!(overview.shards.by_state[UNHELD], 2);
        assert_eq!((overview.groups.held, overview.groups.total), (1, 2));
    }

    #[test]
    fn the_latest_epoch_leads() {
        let processes = vec![
            coordinator("a", true, 7),
            coordinator("b", true, 9),
            coordinator("c", false, 11),
        ];
        let overview = Overview::new("discord", Shared::default(), processes, 0);
        assert_eq!(overview.leader.unwrap().process, "b");
    }

    #[test]
    fn the_mark_of_the_token_stays_inside() {
        let halt = Some(Halt {
            v: 1,
            code: 4004,
            reason: "the token is wrong".to_owned(),
            shard: 0,
            process: "a".to_owned(),
            at_ms: 1,
            token: "0123abcd".to_owned(),
        });
        let shared = Shared {
            topology: None,
            halt,
        };
        let overview = Overview::new("discord", shared, Vec::new(), 0);
        let json = serde_json::to_string(&overview).unwrap();
        assert!(
            json.contains("4004") && !json.contains("0123abcd"),
            "{json}"
        );
    }
}
