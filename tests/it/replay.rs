//! Discord keeps little for replay, and the stream keeps little for anybody.

use serde_json::{Value, json};

use crate::support::fleet::{
    Fleet,
    wait::{LIMIT, eventually},
};

/// Discord forgets what a heartbeat acknowledged. A gateway that is killed with events that were
/// received and not stored loses them, and nobody can have them back: each session is closed by a gap,
/// and what is stored of it is a prefix.
#[tokio::test(flavor = "multi_thread")]
async fn what_dies_with_a_gateway_after_its_heartbeat_is_announced() {
    let start = Fleet::start().discord("--replay-trim-at-heartbeat");
    let start = start.discord("--heartbeat-interval-ms=3000").wired();
    let start = start.set("lease.ttl", "\"15s\"");
    let mut fleet = start.events_per_second(200).await;
    fleet.flow(200).await;
    fleet.wires(0).nats.stall();
    // Longer than a heartbeat takes to come round, shorter than the lease.
    fleet.flow_for(5).await;
    fleet.kill_gateway(0);
    fleet.wires(0).nats.snip();
    fleet.wires(0).nats.heal();
    fleet.restart_gateway(0);
    fleet
        .wait_until("new sessions", LIMIT, |state| {
            state.discord.identifies == 8 && state.discord.ready == 4
        })
        .await;
    fleet.flow(200).await;
    let report = fleet.audit().await;
    assert!(report.gaps == 4 && report.told > 0, "{report:?}");
}

/// The same Discord, a gateway with nothing unstored but what it was told to leave out: heartbeats
/// acknowledged that too, and so did the session's key. Nothing is lost, nobody identifies.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_out_before_a_heartbeat_is_not_asked_for_again() {
    let start = Fleet::start().discord("--replay-trim-at-heartbeat");
    let start = start.discord("--heartbeat-interval-ms=2000");
    let start = start.allow(&["INTERACTION_CREATE"]).at_exactly(20);
    let mut fleet = start.await;
    fleet.flow_for(8).await;
    let before = fleet.discord.figures().await;
    fleet.kill_gateway(0);
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 4).await;
    fleet.flow_for(3).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// Hardly anything is forwarded, Discord keeps a hundred events, the stream a few megabytes: through
/// a rolling restart, a `kill -9` and a park, no session is lost.
#[tokio::test(flavor = "multi_thread")]
async fn little_is_wanted_and_little_is_kept_and_no_session_is_lost() {
    let start = Fleet::start().allow(&["GUILD_CREATE"]).at_exactly(16);
    let start = start.gateways(2).witnessed().set("lease.ttl", "\"12s\"");
    let start = start.set("stream.max_bytes", "\"4MiB\"");
    let start = start.set("gateway.buffer", "\"1MiB\"");
    let mut fleet = start.discord("--replay-buffer=100").await;
    fleet.shards_of(0, 2).await;
    // Longer than a hundred events of each shard.
    fleet.flow_for(30).await;
    for gateway in 0..2 {
        let before = fleet.discord.figures().await;
        large(&fleet, 300_000).await;
        assert_eq!(fleet.stop_gateway(gateway).await, Some(0));
        fleet.resumed_since(&before, 2).await;
        fleet.restart_gateway(gateway);
        fleet.shards_of(gateway, 2).await;
    }
    fleet.flow_for(15).await;

    let before = fleet.discord.figures().await;
    fleet.kill_gateway(1);
    large(&fleet, 300_000).await;
    fleet.restart_gateway(1);
    fleet.resumed_since(&before, 2).await;
    fleet.shards_of(0, 2).await;

    let before = fleet.discord.figures().await;
    fleet.nats.kill();
    // In both gateways more than fits.
    large(&fleet, 700_000).await;
    fleet
        .discord_sees("every shard is parked", |figures| figures.connected == 0)
        .await;
    fleet.nats.restart().await;
    fleet.resumed_since(&before, 4).await;
    fleet.flow_for(2).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// A guild of this size in every shard, and waits until Discord has sent it.
async fn large(fleet: &Fleet, bytes: usize) {
    let before = fleet.discord.figures().await.sent;
    let fault: Value = json!({ "fault": "huge_event", "bytes": bytes });
    assert_eq!(fleet.fault(fault).await, 4);
    eventually("it is sent", LIMIT, async || {
        (fleet.discord.figures().await.sent >= before + 4).then_some(())
    })
    .await;
}
