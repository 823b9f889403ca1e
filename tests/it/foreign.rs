//! Somebody who is no gateway publishes to a shard's subjects: a worker that puts an event back, a hand. What it
//! stores is passed over, and neither a session nor an event is lost for it, or stored twice.

use std::{collections::BTreeMap, time::Duration};

use async_nats::HeaderMap;
use futures_util::StreamExt;
use serde_json::json;
use shardfleet::wire::event::{MESSAGE_ID, parse_id};

use crate::support::fleet::{
    Fleet,
    judge::{Stored, living},
};

const RATE: u32 = 400;

async fn fleet() -> Fleet {
    let start = Fleet::start().discord("--replay-buffer=20000");
    let start = start.set("stream.duplicate_window", "\"2s\"");
    start.at_exactly(RATE).await
}

async fn publish(fleet: &Fleet, shard: u32, id: Option<&str>) {
    let mut headers = HeaderMap::new();
    if let Some(id) = id {
        headers.insert(MESSAGE_ID, id);
    }
    let subject = format!("discord.{shard}.FOREIGN");
    let client = &fleet.broker.client;
    let sent = client.request_with_headers(subject, headers, "hi".into());
    sent.await.unwrap();
}

/// An early event of a shard's session, that the stream has long had.
async fn early(fleet: &Fleet, shard: u32) -> String {
    let stored = fleet.messages().await;
    let subject = format!("discord.{shard}.");
    let of_shard = stored
        .iter()
        .filter(|one| one.subject.starts_with(&subject));
    let id = of_shard.filter_map(|one| one.header(MESSAGE_ID)).nth(5);
    id.unwrap().to_owned()
}

/// Every event once, in order, up to the last that Discord sent; no gap, and no IDENTIFY.
async fn whole(fleet: &mut Fleet, identifies: u64) {
    fleet.quiet().await;
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let own = |message: &&Stored| message.event() != "FOREIGN";
    for message in fleet.messages().await.iter().filter(own) {
        let id = message.header(MESSAGE_ID).unwrap();
        let (session, seq, _) = parse_id(id).unwrap();
        let before = seen.insert(session.to_owned(), seq).unwrap_or_default();
        assert_eq!(seq, before + 1, "{} {id}", message.subject);
    }
    let verdict = fleet.sim_verdict().await;
    for session in living(&verdict) {
        assert_eq!(seen.get(&session.id), Some(&session.last_seq));
    }
    let now = fleet.discord.figures().await;
    assert_eq!(now.identifies, identifies, "an IDENTIFY was spent");
}

/// `nats pub discord.0.FOREIGN hi`, beside a living gateway, and as it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_an_id_is_passed_over() {
    let mut fleet = fleet().await;
    fleet.flow(300).await;
    let before = fleet.discord.figures().await;
    let client = &fleet.broker.client;
    let mut ends = client.subscribe("discord.*.FLEET_END").await.unwrap();
    for quiet in [false, true, true, true, false] {
        if quiet {
            // Noticed by a message that is fenced: one by itself, once the batch has ended for want of any.
            fleet.quiet().await;
            _ = tokio::time::timeout(Duration::from_secs(1), ends.next()).await;
        }
        publish(&fleet, 0, None).await;
        fleet.discord.traffic(RATE).await;
        fleet.flow(200).await;
    }
    let now = fleet.discord.figures().await;
    assert_eq!(now.connections, before.connections, "a shard left Discord");
    let log = fleet.log("gateway-0");
    assert!(
        log.contains("somebody who is no gateway has published"),
        "{log}"
    );
    publish(&fleet, 0, None).await;
    fleet.kill_gateway(0);
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 4).await;
    fleet.flow(300).await;
    whole(&mut fleet, before.identifies).await;
}

/// An event that a worker puts back, headers and all: on its own shard's subject, and on another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_an_event_is_passed_over() {
    let mut fleet = fleet().await;
    fleet.flow(300).await;
    let before = fleet.discord.figures().await;
    for of in [0, 3] {
        let id = early(&fleet, of).await;
        // Longer than the stream knows ids.
        fleet.flow_for(4).await;
        publish(&fleet, 0, Some(&id)).await;
        fleet.flow(200).await;
        let at = fleet.discord.figures().await;
        fleet.flow_for(3).await;
        publish(&fleet, 0, Some(&id)).await;
        fleet.kill_gateway(0);
        fleet.restart_gateway(0);
        fleet.resumed_since(&at, 4).await;
        fleet.flow(300).await;
    }
    let at = fleet.discord.figures().await;
    let quiet = json!({ "fault": "reconnect" });
    fleet.fault(quiet).await;
    // RESUMED has a number of its own: what comes last is known only then.
    fleet.resumed_since(&at, 4).await;
    tokio::time::timeout(
        Duration::from_secs(120),
        whole(&mut fleet, before.identifies),
    )
    .await
    .unwrap();
}
