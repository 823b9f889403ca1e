//! Faults of the leading coordinator, or of what it needs. Each returns when it began, in milliseconds
//! since the Unix epoch, as the simulator counts.

use std::time::Duration;

use shardfleet::clock;

use super::super::fleet::{
    Fleet,
    cluster::STATE,
    wait::{LIMIT, eventually},
};

/// `kill -9`.
pub(crate) async fn leader_killed(fleet: &mut Fleet) -> u64 {
    let leader = fleet.leader().await;
    fleet.kill_coordinator(leader);
    clock::unix_ms()
}

/// SIGTERM: a planned hand-over.
pub(crate) async fn leader_stopped(fleet: &mut Fleet) -> u64 {
    let leader = fleet.leader().await;
    let at = clock::unix_ms();
    assert_eq!(fleet.stop_coordinator(leader).await, Some(0));
    at
}

/// SIGSTOP, and SIGCONT after `span`: it wakes up deposed.
pub(crate) async fn leader_frozen(fleet: &mut Fleet, span: Duration) -> u64 {
    let leader = fleet.leader().await;
    fleet.pause_coordinator(leader);
    let at = clock::unix_ms();
    tokio::time::sleep(span).await;
    fleet.resume_coordinator(leader);
    at
}

/// On wires: nothing of what it says to NATS arrives for `span`, and nobody tells it.
pub(crate) async fn leader_stalled(fleet: &mut Fleet, span: Duration) -> u64 {
    let leader = fleet.leader().await;
    fleet.coordinator_wires(leader).nats.stall();
    let at = clock::unix_ms();
    tokio::time::sleep(span).await;
    fleet.coordinator_wires(leader).nats.heal();
    at
}

/// On wires: its connection to NATS is cut for `span`.
pub(crate) async fn leader_cut_off(fleet: &mut Fleet, span: Duration) -> u64 {
    let leader = fleet.leader().await;
    fleet.coordinator_wires(leader).nats.cut();
    let at = clock::unix_ms();
    tokio::time::sleep(span).await;
    fleet.coordinator_wires(leader).nats.heal();
    at
}

/// `kill -9` of the node that leads the stream of the state bucket; it comes back once another leads.
pub(crate) async fn ledgers_node_killed(fleet: &mut Fleet) -> u64 {
    let node = fleet.leader_of(STATE).await;
    fleet.nats.node(node).kill();
    let at = clock::unix_ms();
    eventually("another node leads the ledger", LIMIT, async || {
        (fleet.leader_of(STATE).await != node).then_some(())
    })
    .await;
    fleet.nats.node(node).restart().await;
    at
}
