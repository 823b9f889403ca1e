//! SIGTERM: a process hands over what it holds, and ends well.

use std::time::Duration;

use crate::support::fleet::{
    Fleet, State,
    wait::{LIMIT, eventually},
};

/// Exit code 0; the survivor resumes every shard, without one IDENTIFY.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_gateway_hands_its_shards_over() {
    let start = Fleet::start().shards(8).group_size(2).gateways(2);
    let mut fleet = start.events_per_second(400).await;
    fleet.shards_of(0, 4).await;
    fleet.flow(500).await;
    let before = fleet.discord.figures().await;
    assert_eq!(fleet.stop_gateway(0).await, Some(0));
    fleet.resumed_since(&before, 4).await;
    fleet.flow(500).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// The next owner need not wait: the leases were given back. With a lease time longer than any limit
/// of this suite it would not see the end of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_gateways_leases_are_free_at_once() {
    let start = Fleet::start().set("lease.ttl", "\"5m\"");
    let mut fleet = start.events_per_second(400).await;
    fleet.flow(500).await;
    let before = fleet.discord.figures().await;
    assert_eq!(fleet.stop_gateway(0).await, Some(0));
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 4).await;
    fleet.flow(200).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// NATS stands still, and a bid for the group of a dead process hangs: that is no reason to stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_bids_in_vain_ends_when_it_is_asked_to() {
    let mut fleet = Fleet::start().group_size(4).await;
    let spare = fleet.start_gateway().await;
    let name = format!("gateway-{spare}");
    fleet
        .wait_until("a second gateway is there", LIMIT, |state| {
            let mut processes = state.fleet.processes.iter();
            processes.any(|status| status.process == name && status.gateway.is_some())
        })
        .await;
    fleet.kill_gateway(0);
    fleet.nats.node(0).pause();
    // It holds nothing: only what becomes of a bid can make its lane leave a server.
    let left = format!("{name}-lane-0 has lost its connection");
    eventually("the bid is not answered", LIMIT, async || {
        fleet.log(&name).contains(&left).then_some(())
    })
    .await;
    eventually("it says so", LIMIT, async || {
        let log = fleet.log(&name);
        log.contains("NATS is not taking leases").then_some(())
    })
    .await;
    assert_eq!(fleet.stop_gateway(spare).await, Some(0));
    fleet.nats.node(0).resume();
}

/// An upgrade: every process is stopped and started in its turn. Not one IDENTIFY, and no shard is
/// without events for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_of_every_process_costs_no_identify_and_no_second() {
    /// The promise is a second; busy machines get three.
    const MOST: Duration = Duration::from_secs(3);
    let start = Fleet::start().shards(12).group_size(2).gateways(3);
    // As an operator has it: a machine that stands still for a moment costs no lease.
    let start = start.coordinators(2).set("lease.ttl", "\"15s\"");
    let mut fleet = start.events_per_second(600).await;
    level(&mut fleet).await;
    for coordinator in 0..2 {
        assert_eq!(fleet.stop_coordinator(coordinator).await, Some(0));
        fleet.restart_coordinator(coordinator);
        fleet.leader().await;
    }
    for gateway in 0..3 {
        let before = fleet.discord.figures().await;
        assert_eq!(fleet.stop_gateway(gateway).await, Some(0));
        fleet.resumed_since(&before, 4).await;
        fleet.restart_gateway(gateway);
        level(&mut fleet).await;
        fleet.flow(300).await;
    }
    assert_eq!(fleet.audit().await.gaps, 0);
    let silence = fleet.silence().await;
    let told = format!("{:?} before {}", silence.longest, silence.until);
    assert!(silence.longest < MOST, "{told}");
}

/// Waits until each of three gateways runs its share.
async fn level(fleet: &mut Fleet) {
    for gateway in 0..3 {
        fleet.shards_of(gateway, 4).await;
    }
}

/// The leader says of a gateway that died what it left behind, and of one that handed over nothing.
#[tokio::test(flavor = "multi_thread")]
async fn only_of_a_gateway_that_died_it_is_said_that_it_left_its_groups() {
    const WORD: &str = "did not hand over";
    let mut fleet = Fleet::start().gateways(2).await;
    fleet.shards_of(0, 2).await;
    assert_eq!(fleet.stop_gateway(0).await, Some(0));
    fleet.shards_of(1, 4).await;
    let gone = |state: &State| state.fleet.processes.len() == 2;
    fleet.wait_until("the roster forgets it", LIMIT, gone).await;
    // The leader looks every second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let log = fleet.log("coordinator-0");
    assert!(!log.contains(WORD), "{log}");
    fleet.kill_gateway(1);
    let told = eventually("the leader tells of the one that died", LIMIT, async || {
        let log = fleet.log("coordinator-0");
        let line = log.lines().find(|line| line.contains(WORD));
        line.map(str::to_owned)
    })
    .await;
    for part in ["gateway-1", "hand over 2 groups", "lease"] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
}
