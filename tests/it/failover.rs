//! Loss of a process: what it held goes on elsewhere, by RESUME.

use serde_json::json;

use crate::support::fleet::{Fleet, wait::LIMIT};

/// The survivor takes over every shard of the one that was killed, without one IDENTIFY.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateways_shards_are_resumed_by_the_survivor() {
    let start = Fleet::start().shards(8).group_size(2).gateways(2);
    let mut fleet = start.events_per_second(400).await;
    fleet.shards_of(0, 4).await;
    fleet.flow(500).await;
    let before = fleet.discord.figures().await;
    fleet.kill_gateway(0);
    fleet.resumed_since(&before, 4).await;
    fleet.shards_of(1, 8).await;
    fleet.flow(500).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// The only gateway comes back under its own name and goes on where the stream ends. The duplicate
/// window is as good as none: what keeps a replay from being stored twice is the resume point.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_comes_back_where_the_stream_ends() {
    let start = Fleet::start().set("stream.duplicate_window", "\"100ms\"");
    let mut fleet = start.events_per_second(400).await;
    fleet.flow(500).await;
    let before = fleet.discord.figures().await;
    fleet.kill_gateway(0);
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 4).await;
    fleet.flow(500).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// Nobody is left to take over; each comes back under its name, and what Discord sent meanwhile is
/// replayed.
#[tokio::test(flavor = "multi_thread")]
async fn all_gateways_killed_at_once_come_back_where_the_stream_ends() {
    let start = Fleet::start().shards(8).group_size(2).gateways(3);
    let mut fleet = start.events_per_second(400).await;
    fleet.flow(500).await;
    let before = fleet.discord.figures().await;
    (0..3).for_each(|gateway| fleet.kill_gateway(gateway));
    (0..3).for_each(|gateway| fleet.restart_gateway(gateway));
    fleet.resumed_since(&before, 8).await;
    fleet.flow(500).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// Killed between the word that Discord skipped numbers and the event behind them: the session lives,
/// is resumed, and the hole is said once.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_behind_a_hole_resumes() {
    let start = Fleet::start().set("stream.duplicate_window", "\"100ms\"");
    let mut fleet = start.events_per_second(400).await;
    fleet.flow(300).await;
    fleet.quiet().await;
    let before = fleet.discord.figures().await;
    fleet.kill_gateway(0);
    fleet.announce_holes().await;
    assert_eq!(fleet.fault(json!({ "fault": "hole" })).await, 4);
    fleet.discord.traffic(400).await;
    fleet.flow(300).await;
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 4).await;
    fleet.flow(300).await;
    assert_eq!(fleet.audit().await.gaps, 4);
}

/// Two rounds of IDENTIFYs; the leader dies after the first grants. Its successor breaks no rule of
/// Discord's (the audit looks), and spends not one IDENTIFY too many.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_during_a_cold_start_breaks_no_rule() {
    let start = Fleet::start().shards(8).max_concurrency(4);
    let mut fleet = start.gateways(2).coordinators(2).cold().await;
    let leader = fleet.leader().await;
    fleet
        .wait_until("the first shards identify", LIMIT, |state| {
            state.discord.identifies >= 1
        })
        .await;
    fleet.kill_coordinator(leader);
    let killed_at = fleet.discord.figures().await.identifies;
    assert!(killed_at < 8, "the cold start was over already");
    fleet.ready().await;
    fleet.flow(200).await;
    fleet.audit().await;
    assert_eq!(fleet.sim_verdict().await.identifies, 8);
}
