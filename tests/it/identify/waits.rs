//! What keeps shards from identifying is said where an operator looks: log, status, page.

use std::time::Duration;

use serde_json::json;
use shardfleet::roster::waits;

use crate::support::{
    fleet::{Fleet, State, wait::LIMIT},
    http::get,
    until,
};

/// What the leader tells of those that wait.
fn why(state: &State) -> Option<String> {
    let leader = state.fleet.leader.as_ref()?;
    waits::why(&leader.status, state.fleet.at_ms)
}

/// Nothing but the reserve is left of a long day. The way out is named, Discord is asked again within a
/// minute, and a day that was raised lets everybody go.
#[tokio::test(flavor = "multi_thread")]
async fn at_the_reserve_the_way_out_is_named_and_discord_is_asked_again() {
    let plan = Fleet::start().discord("--session-start-total=50");
    let mut fleet = plan.set("coordinator.reserve", "50").cold().await;
    fleet.leader().await;
    let held = |state: &State| why(state).is_some_and(|why| why.contains("spend-reserve N"));
    fleet.wait_until("it is held", LIMIT, held).await;
    let page = fleet.page("gateway-0").await;
    until("the page says so", async || {
        let (_, page) = get(&format!("{page}/")).await;
        page.contains("held at the reserve").then_some(())
    })
    .await;
    let log = fleet.log("coordinator-0");
    assert_eq!(log.matches("held at the reserve").count(), 1, "{log}");
    let limits = json!({ "total": 2000, "remaining": 2000, "reset_after": 172_000_000, "max_concurrency": 16 });
    let raised = json!({ "url": "{url}", "shards": 4, "session_start_limit": limits }).to_string();
    let raised = json!({ "fault": "rest", "route": "/gateway/bot", "text": raised });
    fleet.fault(raised).await;
    let ready = |state: &State| state.discord.ready == 4;
    // A minute, and the identifies.
    let limit = LIMIT + Duration::from_secs(30);
    fleet.wait_until("all shards ready", limit, ready).await;
}

/// The fourth identify of a shard within the hour waits for itself alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_slowdown_names_its_shard_and_its_reason() {
    let mut fleet = Fleet::start().await;
    for round in 1..=3 {
        let invalid = json!({ "fault": "invalidate", "resumable": false, "shards": [3] });
        fleet.fault(invalid).await;
        if round == 3 {
            break;
        }
        let again = |state: &State| state.discord.identifies == 4 + round;
        fleet.wait_until("it identifies again", LIMIT, again).await;
        fleet.ready().await;
    }
    let slowed = |state: &State| why(state).is_some_and(|why| why.contains("slowed down: shard 3"));
    fleet.wait_until("it is slowed down", LIMIT, slowed).await;
    fleet.ready().await;
    let log = fleet.log("coordinator-0");
    assert!(log.contains("shard 3 identified again and again"), "{log}");
}
