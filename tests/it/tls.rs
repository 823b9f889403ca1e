//! The way that real Discord is reached: https and wss.

use serde_json::json;

use crate::support::fleet::Fleet;

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_over_tls_loses_nothing() {
    let mut fleet = Fleet::start().over_tls().await;
    fleet.flow(300).await;
    let before = fleet.discord.figures().await;
    fleet.fault(json!({ "fault": "drop" })).await;
    fleet.resumed_since(&before, 4).await;
    fleet.flow(100).await;
    assert_eq!(fleet.audit().await.gaps, 0);
    let session = fleet.messages().await;
    let ready = session.iter().find(|message| message.event() == "READY");
    let ready = String::from_utf8_lossy(&ready.unwrap().payload).into_owned();
    assert!(ready.contains("wss://127.0.0.1"), "{ready}");
}
