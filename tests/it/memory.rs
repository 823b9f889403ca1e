//! Memory of a gateway is bounded: its buffer, and a constant beside it.

use serde_json::json;

use crate::support::fleet::{Fleet, pace::cut};

/// What a gateway of a few shards takes beside `gateway.buffer` at most, in MiB: see docs/FAULTS.md.
const BESIDE: u64 = 128;

/// NATS is away while Discord sends several times what the buffer holds.
#[tokio::test(flavor = "multi_thread")]
async fn is_bounded_while_nats_is_away() {
    let buffer = cut(8, 64);
    let start = Fleet::start().set("gateway.buffer", &format!("\"{buffer}MiB\""));
    let start = start.set("lease.ttl", "\"120s\"").set("gateway.shed", "[]");
    let start = start.discord("--replay-buffer=200000");
    let mut fleet = start.at_exactly(4_000).await;
    fleet.flow_for(2).await;
    let before = fleet.discord.figures().await;
    fleet.nats.kill();
    fleet
        .discord_sees("every shard is parked", |figures| figures.connected == 0)
        .await;
    fleet.nats.restart().await;
    fleet.resumed_since(&before, 4).await;
    bounded(&fleet, buffer + BESIDE);
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// A few kilobytes inflate to 100 MB, as a heartbeat answer and as a dispatch: neither is kept, the dispatch is a gap, and the
/// connection goes on.
#[tokio::test(flavor = "multi_thread")]
async fn is_bounded_whatever_a_message_inflates_to() {
    /// What is kept of a message at most, twice while it grows, in MiB.
    const INFLATING: u64 = 2 * 32;
    let start = Fleet::start().discord("--replay-bytes=268435456");
    let mut fleet = start.events_per_second(200).await;
    let before = fleet.discord.figures().await;
    for dispatch in [false, true] {
        fleet.flow(200).await;
        let mut bomb = json!({ "fault": "inflate", "bytes": 100_000_000, "shards": [1] });
        bomb["dispatch"] = json!(dispatch);
        assert_eq!(fleet.fault(bomb).await, 1);
    }
    fleet.flow(200).await;
    bounded(&fleet, BESIDE + INFLATING);
    assert_eq!(fleet.audit().await.gaps, 1);
    let now = fleet.discord.figures().await;
    let log = fleet.log("gateway-0");
    assert_eq!(
        (now.connections, now.ready),
        (before.connections, 4),
        "{log}"
    );
}

/// Every shard is sent the largest that is kept, at once and again: what one has read the others wait for.
#[tokio::test(flavor = "multi_thread")]
async fn is_bounded_where_every_shard_reads_megabytes_at_once() {
    const BUFFER: u64 = 64;
    let start = Fleet::start().shards(8).discord("--replay-bytes=268435456");
    let mut fleet = start.events_per_second(50).await;
    for _ in 0..3 {
        let large = json!({ "fault": "inflate", "bytes": 30_000_000, "dispatch": true });
        assert_eq!(fleet.fault(large).await, 8);
    }
    fleet.flow(200).await;
    assert_eq!(fleet.audit().await.gaps, 0);
    bounded(&fleet, BUFFER + BESIDE);
}

/// A cold start is gigabytes of guilds: they come as fast as the stream takes them, no session is lost.
#[tokio::test(flavor = "multi_thread")]
async fn is_bounded_through_a_cold_start_of_many_guilds() {
    let (guilds, buffer, bytes) = cut((800, 4, 100 << 20), (16_000, 64, 2 << 30));
    let start = Fleet::start().set("gateway.buffer", &format!("\"{buffer}MiB\""));
    let start = start.discord(&format!("--guilds-per-shard={guilds}"));
    let start = start.set("stream.max_bytes", "\"8GiB\"");
    let start = start.set("discord.large_threshold", "250");
    let start = start.discord("--replay-bytes=67108864");
    let mut fleet = start.at_exactly(100).cold().await;
    fleet.loaded().await;
    bounded(&fleet, buffer + BESIDE);
    let report = fleet.audit().await;
    assert_eq!(report.gaps, 0);
    let stored = fleet.stored_bytes().await;
    assert!(stored >= bytes, "{stored} bytes are no flood");
    assert_eq!(fleet.sim_verdict().await.sessions.len(), 4, "one was lost");
}

/// The first gateway never took more, in MiB.
fn bounded(fleet: &Fleet, most: u64) {
    let peak = fleet.peak_kib(0).unwrap() >> 10;
    assert!(peak <= most, "{peak} MiB, at most {most} were promised");
}
