//! A cold start during which the leading coordinator fails, on three nats-servers: Discord sees no rule
//! broken, and not one IDENTIFY too many.

mod cold_start;
mod lowered;
mod takeover;
mod waits;

use std::time::Duration;

use crate::support::{
    fault::coordinator,
    figure,
    fleet::{Fleet, plan::Plan, wait::LIMIT},
};

/// What a test of this module sets, as an operator would not: `lease.ttl` and `coordinator.margin`.
const LEASE: Duration = Duration::from_secs(8);
const MARGIN: Duration = Duration::from_secs(1);
/// Shards of these fleets: four rounds of four.
const SHARDS: u32 = 16;

fn plan() -> Plan {
    let plan = Fleet::start().nodes(3).coordinators(2).gateways(2);
    let plan = plan.shards(SHARDS).group_size(4).max_concurrency(4);
    plan.events_per_second(50).cold()
}

/// A fleet whose second round of IDENTIFYs has begun.
async fn halfway(plan: Plan) -> Fleet {
    let mut fleet = plan.await;
    fleet.leader().await;
    fleet
        .discord_sees("the second round begins", |figures| figures.identifies > 4)
        .await;
    let identifies = fleet.discord.figures().await.identifies;
    assert!(identifies <= 8, "the cold start was over already");
    fleet
}

/// Every shard gets there, and Discord saw nothing amiss.
async fn judged(fleet: &mut Fleet, what: &str, fault_at: u64) {
    fleet
        .wait_until("all shards ready", LIMIT * 2, all_ready)
        .await;
    assert_eq!(fleet.audit().await.gaps, 0);
    let verdict = fleet.sim_verdict().await;
    assert_eq!(verdict.identifies, u64::from(SHARDS));
    let mut after: Vec<_> = verdict.ready.iter().map(|moment| moment.at_ms).collect();
    after.sort_unstable();
    after.retain(|at| *at > fault_at);
    let after: Vec<_> = after.iter().map(|at| at - fault_at).collect();
    figure(
        &format!("{what}, ms from the fault to each IDENTIFY"),
        after,
    );
}

fn all_ready(state: &crate::support::fleet::State) -> bool {
    state.discord.connected == SHARDS && state.discord.ready == SHARDS
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_breaks_no_rule() {
    let mut fleet = halfway(plan()).await;
    let at = coordinator::leader_killed(&mut fleet).await;
    judged(&mut fleet, "leader killed", at).await;
}

/// It wakes up deposed, with grants decided and requests heard before it slept.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_leader_grants_nothing_stale() {
    let mut fleet = halfway(plan()).await;
    let frozen = fleet.leader().await;
    let at = coordinator::leader_frozen(&mut fleet, Duration::from_secs(20)).await;
    let leader = fleet.leader().await;
    assert_ne!(leader, frozen, "nobody took over");
    judged(&mut fleet, "leader frozen for 20 s", at).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_nats_does_not_hear_is_replaced() {
    let mut fleet = halfway(plan().wired()).await;
    let stalled = fleet.leader().await;
    let at = coordinator::leader_stalled(&mut fleet, LEASE * 2).await;
    assert_ne!(fleet.leader().await, stalled, "nobody took over");
    judged(&mut fleet, "leader stalled for 16 s", at).await;
}

/// For less than its lease, which is as long as an operator has it: it goes on leading. Of eight seconds
/// three are margin, two may have passed since the last renewal, and two are lost before the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_cut_off_for_a_moment_goes_on() {
    let plan = plan().wired().set("lease.ttl", "\"15s\"");
    let mut fleet = halfway(plan).await;
    let cut = fleet.leader().await;
    let at = coordinator::leader_cut_off(&mut fleet, Duration::from_secs(2)).await;
    judged(&mut fleet, "leader cut off for 2 s", at).await;
    assert_eq!(fleet.leader().await, cut);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_cut_off_for_longer_than_its_lease_is_replaced() {
    let mut fleet = halfway(plan().wired()).await;
    let cut = fleet.leader().await;
    let at = coordinator::leader_cut_off(&mut fleet, LEASE * 2).await;
    assert_ne!(fleet.leader().await, cut, "nobody took over");
    judged(&mut fleet, "leader cut off for 16 s", at).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_of_the_ledger_breaks_no_rule() {
    let mut fleet = halfway(plan()).await;
    let at = coordinator::ledgers_node_killed(&mut fleet).await;
    judged(&mut fleet, "node of the ledger killed", at).await;
}
