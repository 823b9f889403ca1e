//! How long nobody is granted when the leader goes.

use std::time::Duration;

use serde_json::json;
use shardfleet::wire::identify::{FRESHNESS, SPACING};

use super::{LEASE, MARGIN, halfway, judged, plan};
use crate::support::{
    fault::coordinator,
    figure,
    fleet::{Fleet, wait::LIMIT},
};

/// What a machine that other tests share may add.
const SLACK: Duration = Duration::from_secs(1);

/// From `at` to the next IDENTIFY.
async fn next_after(fleet: &Fleet, at: u64) -> Duration {
    let verdict = fleet.sim_verdict().await;
    let after = verdict.ready.iter().map(|moment| moment.at_ms);
    let next = after.filter(|ready| *ready > at).min().unwrap();
    Duration::from_millis(next - at)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_next_grant_comes_in_time() {
    let mut fleet = halfway(plan()).await;
    let at = coordinator::leader_killed(&mut fleet).await;
    judged(&mut fleet, "leader killed", at).await;
    let next = next_after(&fleet, at).await;
    figure("from the kill to the next IDENTIFY", next);
    assert!(
        next <= LEASE + SPACING + MARGIN + FRESHNESS + SLACK,
        "{next:?}"
    );
}

/// Buckets that the follower saw idle are free as soon as it leads.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_an_idle_bucket_waits_for_the_lease_alone() {
    let start = Fleet::start().nodes(3).coordinators(2);
    let mut fleet = start.events_per_second(50).await;
    let free = SPACING + MARGIN + FRESHNESS;
    tokio::time::sleep(free).await;
    let at = coordinator::leader_killed(&mut fleet).await;
    let fault = json!({ "fault": "invalidate", "resumable": false, "shards": [1] });
    assert_eq!(fleet.fault(fault).await, 1);
    fleet
        .wait_until("a new session", LIMIT, |state| {
            state.discord.identifies == 5 && state.discord.ready == 4
        })
        .await;
    let next = next_after(&fleet, at).await;
    figure("from the kill to the next IDENTIFY of an idle bucket", next);
    // A bid each second.
    assert!(next <= LEASE + Duration::from_secs(1) + SLACK, "{next:?}");
    assert_eq!(fleet.audit().await.gaps, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_hand_over_costs_less_than_a_second() {
    let mut fleet = halfway(plan()).await;
    let at = coordinator::leader_stopped(&mut fleet).await;
    judged(&mut fleet, "leader stopped", at).await;
    let mut moments = fleet.sim_verdict().await.ready;
    moments.sort_by_key(|moment| moment.at_ms);
    // Of one bucket, the longest wait from one IDENTIFY to the next.
    let longest = moments.iter().filter_map(|moment| {
        let before = moments
            .iter()
            .rev()
            .find(|before| before.shard % 4 == moment.shard % 4 && before.at_ms < moment.at_ms)?;
        Some(Duration::from_millis(moment.at_ms - before.at_ms))
    });
    let longest = longest.max().unwrap();
    figure("the longest from IDENTIFY to IDENTIFY of a bucket", longest);
    assert!(longest <= SPACING + MARGIN + SLACK, "{longest:?}");
}
