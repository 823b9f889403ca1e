//! What Discord does to a connection on an ordinary day: every shard goes on, or says what it lost.

use serde_json::{Value, json};

use crate::support::fleet::{Fleet, judge::living, wait::LIMIT};

/// One shard each, all at once: every close code after which a session lives, op 7, op 9 that may be
/// resumed, a socket that ends without a word.
/// <https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes>
fn interruptions() -> Vec<Value> {
    let codes = [
        1000, 1001, 4000, 4001, 4002, 4003, 4005, 4007, 4008, 4009, 4900,
    ];
    let codes = codes.map(|code| json!({ "fault": "close", "code": code }));
    let others = [
        json!({ "fault": "close" }),
        json!({ "fault": "drop" }),
        json!({ "fault": "reconnect" }),
        json!({ "fault": "invalidate", "resumable": true }),
    ];
    codes.into_iter().chain(others).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_interruption_that_a_session_survives_is_resumed() {
    let interruptions = interruptions();
    let shards = u32::try_from(interruptions.len()).unwrap();
    let start = Fleet::start().shards(shards).group_size(8);
    let mut fleet = start.events_per_second(600).await;
    fleet.flow(600).await;
    let before = fleet.discord.figures().await;
    for (shard, fault) in interruptions.iter().enumerate() {
        let mut fault = fault.clone();
        fault["shards"] = json!([shard]);
        assert_eq!(fleet.fault(fault.clone()).await, 1, "{fault}");
    }
    fleet.resumed_since(&before, shards.into()).await;
    fleet.flow(600).await;
    let report = fleet.audit().await;
    assert_eq!(report.gaps, 0);
    let sessions = fleet.sim_verdict().await.sessions;
    assert_eq!(sessions.len(), interruptions.len(), "{sessions:?}");
}

/// All shards at once, as in one of Discord's own deploys.
#[tokio::test(flavor = "multi_thread")]
async fn a_reconnect_of_every_shard_at_once_is_resumed() {
    let start = Fleet::start().shards(8).group_size(4);
    let mut fleet = start.events_per_second(400).await;
    let before = fleet.discord.figures().await;
    fleet.flow(400).await;
    assert_eq!(fleet.fault(json!({ "fault": "reconnect" })).await, 8);
    fleet.resumed_since(&before, 8).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// A session that Discord ends is mourned aloud: `FLEET_GAP` stands before the READY of the next.
#[tokio::test(flavor = "multi_thread")]
async fn an_invalidated_session_is_followed_by_a_gap_and_a_new_ready() {
    let mut fleet = Fleet::start().events_per_second(400).await;
    fleet.flow(400).await;
    let fault = json!({ "fault": "invalidate", "resumable": false, "shards": [1, 2] });
    assert_eq!(fleet.fault(fault).await, 2);
    fleet
        .wait_until("two new sessions", LIMIT, |state| {
            state.discord.identifies == 6 && state.discord.ready == 4
        })
        .await;
    fleet.flow(200).await;
    assert_eq!(fleet.audit().await.gaps, 2);
    assert_eq!(living(&fleet.sim_verdict().await).count(), 4);

    let messages = fleet.messages().await;
    let of_shard: Vec<_> = messages
        .iter()
        .filter(|message| message.subject.starts_with("discord.1."))
        .collect();
    let at = of_shard
        .iter()
        .position(|message| message.subject == "discord.1.FLEET_GAP");
    let at = at.expect("no gap");
    let gap: Value = serde_json::from_slice(&of_shard[at].payload).unwrap();
    assert_eq!(gap["reason"], "session_invalidated");
    assert_eq!(of_shard[at + 1].subject, "discord.1.READY");
}
