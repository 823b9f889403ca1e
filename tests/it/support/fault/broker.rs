//! Faults of NATS, of a cluster of three unless said otherwise.

use std::time::Duration;

use shardfleet::clock;

use super::super::fleet::{
    Fleet,
    cluster::EVENTS,
    wait::{LIMIT, eventually},
};

/// Over which the events of the first gateway go.
const LANE: &str = "gateway-0-lane-0";
/// How long a lame duck may take to see everybody off.
const SEEN_OFF: Duration = Duration::from_secs(45);

/// The stream's leader is frozen and wakes up: it still believes that it leads.
pub(crate) async fn stream_leader_frozen(fleet: &mut Fleet, span: Duration) {
    let leader = fleet.leader_of(EVENTS).await;
    fleet.nats.node(leader).pause();
    tokio::time::sleep(span).await;
    fleet.nats.node(leader).resume();
    fleet.replicas_current(EVENTS).await;
}

/// `kill -9` of the stream's leader; it comes back once another leads.
pub(crate) async fn stream_leader_killed(fleet: &mut Fleet) {
    let leader = fleet.leader_of(EVENTS).await;
    node_killed(fleet, leader).await;
}

/// `kill -9` of the node that a gateway is connected to; it comes back once the gateway is elsewhere.
pub(crate) async fn gateways_node_killed(fleet: &mut Fleet) {
    let node = fleet.node_of(LANE).await;
    node_killed(fleet, node).await;
}

async fn node_killed(fleet: &mut Fleet, node: usize) {
    fleet.nats.node(node).kill();
    eventually("the others lead and serve", LIMIT, async || {
        let elsewhere = fleet.leader_of(EVENTS).await != node;
        (elsewhere && fleet.node_of(LANE).await != node).then_some(())
    })
    .await;
    fleet.flow(300).await;
    fleet.nats.node(node).restart().await;
    fleet.replicas_current(EVENTS).await;
}

/// `kill -9` of two nodes of three: nothing can be stored until they are back.
pub(crate) async fn majority_lost(fleet: &mut Fleet, span: Duration) {
    for node in [0, 1] {
        fleet.nats.node(node).kill();
    }
    tokio::time::sleep(span).await;
    for node in [0, 1] {
        fleet.nats.node(node).restart().await;
    }
    fleet.replicas_current(EVENTS).await;
}

/// The stream's leader steps down so many times, under load.
pub(crate) async fn stepped_down(fleet: &mut Fleet, times: usize) {
    for _ in 0..times {
        fleet.flow(200).await;
        fleet.replicas_current(EVENTS).await;
        fleet.step_down(EVENTS).await;
    }
    fleet.leader_of(EVENTS).await;
}

/// The node that a gateway is connected to asks its clients to leave, and ends; it comes back. Returns
/// how long the gateway took to leave.
pub(crate) async fn gateways_node_lame(fleet: &mut Fleet) -> Duration {
    let node = fleet.node_of(LANE).await;
    let asked = clock::now();
    fleet.nats.node(node).lame_duck();
    eventually("the gateway has left", LIMIT, async || {
        (fleet.node_of(LANE).await != node).then_some(())
    })
    .await;
    let left = clock::now() - asked;
    fleet.nats.node(node).gone(SEEN_OFF).await;
    fleet.nats.node(node).restart().await;
    fleet.replicas_current(EVENTS).await;
    left
}

/// On wires: something is stored whose ack the gateway never hears. From quiet, or what was under way
/// might have been stored before anybody looked.
pub(crate) async fn lost_ack(fleet: &mut Fleet) {
    fleet.quiet().await;
    let stored = fleet.last_stored().await;
    fleet.wires(0).nats.deafen();
    fleet.discord.traffic(fleet.plan.events_per_second).await;
    eventually("something is stored, unheard", LIMIT, async || {
        (fleet.last_stored().await > stored).then_some(())
    })
    .await;
}

/// On wires: an ack is lost, then NATS is out of reach for `span`, longer than the server knows message
/// ids.
pub(crate) async fn cut_off_after_a_lost_ack(fleet: &mut Fleet, span: Duration) {
    lost_ack(fleet).await;
    fleet.wires(0).nats.cut();
    tokio::time::sleep(span).await;
    fleet.wires(0).nats.heal();
}
