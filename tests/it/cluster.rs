//! The event path on three nats-servers, under traffic: nothing is lost, nothing doubled, no IDENTIFY
//! spent, whatever happens to a node.

use std::time::Duration;

use crate::support::{
    fault::broker,
    figure,
    fleet::{Fleet, cluster::EVENTS},
};

/// Events a second in these tests.
const RATE: u32 = 400;

/// Two gateways on three nodes, with the lease time that an operator has.
async fn fleet() -> Fleet {
    let start = Fleet::start().nodes(3).gateways(2);
    // Discord keeps minutes of a session; so must its simulation, on a machine however slow.
    let start = start
        .set("lease.ttl", "\"15s\"")
        .discord("--replay-buffer=20000");
    let mut fleet = start.events_per_second(RATE).await;
    fleet.flow(u64::from(RATE)).await;
    fleet.replicas_current(EVENTS).await;
    fleet
}

/// Traffic flows after the fault; everything is there, and nobody had to identify again.
async fn judged(mut fleet: Fleet) {
    fleet.ready().await;
    fleet.flow(u64::from(RATE)).await;
    let report = fleet.audit().await;
    assert_eq!(report.gaps, 0);
    let figures = fleet.discord.figures().await;
    assert_eq!(figures.identifies, u64::from(fleet.plan.shards));
    figure("stored", (report.stored, figures));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_stream_leader_loses_nothing() {
    let mut fleet = fleet().await;
    broker::stream_leader_frozen(&mut fleet, Duration::from_secs(9)).await;
    judged(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_stream_leader_loses_nothing() {
    let mut fleet = fleet().await;
    broker::stream_leader_killed(&mut fleet).await;
    judged(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_of_a_gateway_loses_nothing() {
    let mut fleet = fleet().await;
    broker::gateways_node_killed(&mut fleet).await;
    judged(fleet).await;
}

/// Longer than the lease: its owners stopped in time, and resume.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_majority_loses_nothing() {
    let mut fleet = fleet().await;
    broker::majority_lost(&mut fleet, Duration::from_secs(20)).await;
    judged(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_steps_down_again_and_again_loses_nothing() {
    let mut fleet = fleet().await;
    broker::stepped_down(&mut fleet, 6).await;
    judged(fleet).await;
}

/// A gateway leaves when it is asked to, not when it is made to.
#[tokio::test(flavor = "multi_thread")]
async fn a_lame_duck_is_left_at_once() {
    let mut fleet = fleet().await;
    let left = broker::gateways_node_lame(&mut fleet).await;
    figure("left a lame duck after", left);
    // It throws nobody out for ten seconds.
    assert!(left < Duration::from_secs(5), "{left:?}");
    judged(fleet).await;
}

/// Longer than the server knows message ids, shorter than the lease: the fence alone tells what of the
/// last attempt was stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_cut_after_a_lost_ack_stores_nothing_twice() {
    let start = Fleet::start().wired().set("lease.ttl", "\"120s\"");
    // As much as the buffer holds, in `make chaos` too.
    let mut fleet = start.at_exactly(RATE).await;
    fleet.flow(u64::from(RATE)).await;
    let before = fleet.discord.figures().await;
    broker::cut_off_after_a_lost_ack(&mut fleet, Duration::from_secs(45)).await;
    fleet.flow(u64::from(RATE)).await;
    // No connection to Discord was even touched: the buffer held what came.
    let after = fleet.discord.figures().await;
    assert_eq!(after.connections, before.connections);
    judged(fleet).await;
}
