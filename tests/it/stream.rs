//! The stream equals what Discord sent.

use serde_json::json;

use crate::support::fleet::Fleet;

/// Two gateways, two coordinators: the whole path, with nothing going wrong.
#[tokio::test(flavor = "multi_thread")]
async fn holds_what_discord_sent_byte_for_byte_in_order_once() {
    let start = Fleet::start().shards(8).group_size(2).gateways(2);
    let mut fleet = start.coordinators(2).events_per_second(400).await;
    fleet.flow(2_000).await;
    let report = fleet.audit().await;
    assert!(report.stored > 2_000 && report.gaps == 0, "{report:?}");
    assert_eq!(fleet.sim_verdict().await.identifies, 8);
}

/// A narrow choice of events holds; what carries the resume point passes all the same, and a
/// takeover loses nothing of what is wanted, though most of what was received is not stored.
#[tokio::test(flavor = "multi_thread")]
async fn leaves_out_what_is_denied_but_never_ready_and_resumed() {
    // Who denies the other two is told so at the start.
    let denied = ["GUILD_CREATE", "MESSAGE_CREATE"];
    let mut fleet = Fleet::start().deny(&denied).events_per_second(400).await;
    let before = fleet.discord.figures().await;
    fleet.flow(1_000).await;
    fleet.fault(json!({ "fault": "reconnect" })).await;
    fleet.resumed_since(&before, 4).await;
    fleet.kill_gateway(0);
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 8).await;
    fleet.audit().await;
    let messages = fleet.messages().await;
    let count = |event: &str| messages.iter().filter(|m| m.event() == event).count();
    assert_eq!(count("READY"), 4);
    assert!(count("RESUMED") >= 8);
    assert_eq!((count("GUILD_CREATE"), count("MESSAGE_CREATE")), (0, 0));
}
