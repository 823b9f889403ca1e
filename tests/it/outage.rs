//! NATS is away, or does not answer: what Discord sent is stored once it is back, once.

use std::time::Duration;

use serde_json::Value;
use shardfleet::clock;

use crate::support::{
    fault::broker::lost_ack,
    fleet::{Fleet, pace::cut},
    http::get,
    until,
};

/// Events a second in these tests.
const RATE: u32 = 400;

/// Ten seconds without a server, shorter than the lease: the buffer holds what comes, and heartbeats
/// go on, or Discord would close.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_and_restarted_within_the_lease_loses_nothing() {
    let start = Fleet::start().discord("--heartbeat-interval-ms=3000");
    let start = start.set("lease.ttl", "\"60s\"");
    let start = start.set("gateway.buffer", "\"256MiB\"");
    let mut fleet = start.events_per_second(RATE).await;
    let before = fleet.discord.figures().await;
    fleet.nats.kill();
    fleet.flow(10 * u64::from(RATE)).await;
    fleet.nats.restart().await;
    fleet.flow(500).await;
    assert_eq!(fleet.audit().await.gaps, 0);
    let after = fleet.discord.figures().await;
    // No connection to Discord was even touched.
    assert_eq!(after.connections, before.connections);
}

/// The same, longer than the lease: its owner stopped in time, and resumes.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_away_longer_than_the_lease_loses_nothing() {
    let mut fleet = Fleet::start().gateways(2).events_per_second(RATE).await;
    let before = fleet.discord.figures().await;
    fleet.nats.kill();
    fleet.flow(10 * u64::from(RATE)).await;
    fleet
        .discord_sees("the shards were left", |figures| figures.connected == 0)
        .await;
    fleet.nats.restart().await;
    fleet.resumed_since(&before, 4).await;
    fleet.flow(500).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// A buffer too small for the outage: the shards close resumably before it bursts, and what they did
/// not take is replayed.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_parks_the_shards_and_loses_nothing() {
    let start = Fleet::start()
        .set("lease.ttl", "\"120s\"")
        .set("gateway.shed", "[]");
    // Discord keeps enough for a machine on which all of this takes a minute.
    let start = start
        .set("gateway.buffer", "\"1MiB\"")
        .discord("--replay-buffer=50000");
    let mut fleet = start.events_per_second(1_000).await;
    let before = fleet.discord.figures().await;
    fleet.nats.kill();
    fleet.flow_for(cut(5, 60)).await;
    fleet
        .discord_sees("every shard is parked", |figures| figures.connected == 0)
        .await;
    fleet.nats.restart().await;
    fleet.resumed_since(&before, 4).await;
    fleet.flow(500).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// Acks are lost for longer than the duplicate window: what was sent again is stored once all the
/// same, by the fence alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_a_lost_ack_is_stored_once() {
    let start = Fleet::start().set("lease.ttl", "\"60s\"").wired();
    let start = start.set("stream.duplicate_window", "\"100ms\"");
    let mut fleet = start.events_per_second(RATE).await;
    fleet.flow(300).await;
    lost_ack(&mut fleet).await;
    fleet.flow(3 * u64::from(RATE)).await;
    fleet.wires(0).nats.heal();
    fleet.wires(0).nats.snip();
    fleet.flow(500).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// Frozen past its lease with publishes under way, a gateway wakes up beside its successor, and stores
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_frozen_past_its_lease_stores_nothing_more() {
    let start = Fleet::start().set("stream.duplicate_window", "\"100ms\"");
    let mut fleet = start.gateways(2).events_per_second(RATE).await;
    fleet.shards_of(0, 2).await;
    fleet.flow(300).await;
    let before = fleet.discord.figures().await;
    fleet.pause_gateway(0);
    fleet.shards_of(1, 4).await;
    fleet.resumed_since(&before, 2).await;
    fleet.flow(300).await;
    fleet.resume_gateway(0);
    // It is heard of again, and takes its share back by handover.
    fleet.shards_of(0, 2).await;
    fleet.flow(300).await;
    // A frozen process keeps its sockets: Discord saw the successor RESUME beside them, and closed them.
    let report = fleet.audit_but_for("session_used_twice").await;
    assert_eq!(report.gaps, 0);
}

/// Cut from Discord alone, shards come back by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_cut_from_discord_resumes() {
    let mut fleet = Fleet::start().wired().events_per_second(RATE).await;
    fleet.flow(300).await;
    let before = fleet.discord.figures().await;
    fleet.wires(0).discord.cut();
    fleet
        .discord_sees("every socket is cut", |figures| figures.connected == 0)
        .await;
    fleet.flow(u64::from(RATE)).await;
    fleet.wires(0).discord.heal();
    fleet.resumed_since(&before, 4).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// Cut from NATS alone, a gateway stops before its lease ends; the other one takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_cut_from_nats_is_replaced() {
    let mut fleet = Fleet::start()
        .wired()
        .gateways(2)
        .events_per_second(RATE)
        .await;
    fleet.shards_of(0, 2).await;
    let before = fleet.discord.figures().await;
    fleet.wires(0).nats.stall();
    fleet.resumed_since(&before, 2).await;
    fleet.shards_of(1, 4).await;
    fleet.wires(0).nats.heal();
    fleet.shards_of(0, 2).await;
    fleet.flow(300).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// Frozen, then gone: nobody can be heard, and that says nothing of the shards. The page shows the last
/// look, and says so; afterwards nobody is missing.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_the_last_look_while_nats_is_away() {
    let start = Fleet::start().set("lease.ttl", "\"60s\"");
    let mut fleet = start.events_per_second(50).await;
    let page = fleet.page("gateway-0").await;
    let look = async || -> Value {
        let (_, answer) = get(&format!("{page}/api/fleet")).await;
        serde_json::from_str(&answer).unwrap_or_default()
    };
    let all_ready = |look: &Value| {
        let shards = &look["shards"];
        shards["ready"].as_u64() > Some(0) && shards["ready"] == shards["total"]
    };
    for frozen in [true, false] {
        until("every shard is ready", async || {
            let look = look().await;
            (all_ready(&look) && look["nats_away_ms"].is_null()).then_some(())
        })
        .await;
        if frozen {
            fleet.nats.node(0).pause();
        } else {
            fleet.nats.kill();
        }
        // Longer than a process may be silent.
        until("NATS has been away for a while", async || {
            let look = look().await;
            assert!(all_ready(&look), "{look}");
            (look["nats_away_ms"].as_u64() > Some(7_000)).then_some(())
        })
        .await;
        let (_, text) = get(&format!("{page}/")).await;
        assert!(text.contains("NATS is away"), "{text}");
        assert!(text.contains("0 unheld"), "{text}");
        if frozen {
            fleet.nats.node(0).resume();
        } else {
            fleet.nats.restart().await;
        }
        until("NATS is back", async || {
            let look = look().await;
            assert!(all_ready(&look), "{look}");
            look["nats_away_ms"].is_null().then_some(())
        })
        .await;
    }
    fleet.flow(100).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// A little longer than the leases last: what the holders sent to renew them lands as NATS is back, and keeps
/// nobody out. Each group is taken within seconds, not after the lease's time.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_a_little_longer_than_the_leases_ends_with_it() {
    let start = Fleet::start().gateways(2).coordinators(2);
    let start = start.set("lease.ttl", "\"20s\"");
    let start = start.discord("--replay-buffer=20000");
    let mut fleet = start.at_exactly(200).await;
    fleet.shards_of(0, 2).await;
    fleet.flow(300).await;
    let before = fleet.discord.figures().await;
    fleet.nats.kill();
    fleet
        .discord_sees("the shards were left", |figures| figures.connected == 0)
        .await;
    fleet.nats.restart().await;
    let back = clock::now();
    fleet.resumed_since(&before, 4).await;
    let took = clock::now() - back;
    assert!(took < Duration::from_secs(12), "{took:?}");
    fleet.flow(300).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}
