//! The event path on three nats-servers, under traffic: nothing is lost, whatever happens to one.

use crate::support::fleet::{
    Fleet,
    cluster::{EVENTS, STATE},
};

/// Who leads a stream says so, and lays it down when told to.
#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_carry_a_fleet() {
    let mut fleet = Fleet::start().nodes(3).events_per_second(400).await;
    for stream in [EVENTS, STATE] {
        fleet.replicas_current(stream).await;
        let before = fleet.leader_of(stream).await;
        fleet.step_down(stream).await;
        assert_ne!(fleet.leader_of(stream).await, before);
    }
    assert!(fleet.node_of("gateway-0-lane-0").await < 3);
    fleet.flow(400).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}
