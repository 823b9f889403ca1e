//! A fleet is one bot's: another bot's process, and one with a wrong token, end alone, before they hold anything.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use shardfleet::{
    broker::bucket::Bucket,
    roster,
    subject::TOPOLOGY,
    wire::{self, topology::Topology},
};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    fleet::{Fleet, wait::LIMIT},
    process::AWAY,
    until,
};

/// The simulator's bot.
const OURS: &str = "700000000000000001";
/// A token that names another bot, and that bot.
const OTHERS: (&str, &str) = (
    "MTA0NzY1NDMyMTA5ODc2NTQzMg.another.bot-of-somebody-else",
    "1047654321098765432",
);
const BAD_CONFIGURATION: Option<i32> = Some(64);
const REFUSED: Option<i32> = Some(77);
/// How soon a process that may not be here refuses.
const AT_ONCE: Duration = Duration::from_secs(15);

/// The topology as it stands.
async fn topology(fleet: &Fleet) -> Option<Topology> {
    roster::shared(&fleet.broker).await.ok()?.topology
}

/// No group is held, none is lost, nobody is halted, and Discord has not heard of it.
async fn nothing_happened(fleet: &mut Fleet, connections: u64, shards: usize) {
    assert!(roster::shared(&fleet.broker).await.unwrap().halt.is_none());
    assert_eq!(fleet.discord.figures().await.connections, connections);
    if shards > 0 {
        fleet.shards_of(0, shards).await;
    }
}

/// With groups to be had, and with all of them held: either way it ends before it bids.
#[tokio::test(flavor = "multi_thread")]
async fn another_bots_process_ends_before_it_holds_anything() {
    for healthy in [0, 1] {
        let mut fleet = Fleet::start().gateways(healthy).cold().await;
        fleet.leader().await;
        if healthy > 0 {
            fleet.ready().await;
        }
        let named = until("the topology names the bot", async || {
            topology(&fleet).await?.application
        });
        assert_eq!(named.await, OURS);
        let connections = fleet.discord.figures().await.connections;
        // Discord cannot be asked: what the token says of itself is enough.
        OTHERS.0.clone_into(&mut fleet.token);
        fleet.variables = vec![
            ("SHARDFLEET_DISCORD__API", AWAY.to_owned()),
            ("SHARDFLEET_DISCORD__GATEWAY", fleet.discord.gateway()),
        ];
        let at = fleet.start_gateway().await;
        assert_eq!(fleet.gateway_ends(at, AT_ONCE).await, BAD_CONFIGURATION);
        let second = fleet.start_coordinator().await;
        assert_eq!(
            fleet.coordinator_ends(second, AT_ONCE).await,
            BAD_CONFIGURATION
        );
        for name in [format!("gateway-{at}"), format!("coordinator-{second}")] {
            let log = fleet.log(&name);
            let last = log.lines().last().unwrap();
            for part in [OURS, OTHERS.1, "DISCORD_TOKEN", "fleet.name"] {
                assert!(last.contains(part), "{part} is not in: {last}");
            }
            assert!(
                !log.contains("holds group") && !log.contains("leads"),
                "{log}"
            );
        }
        nothing_happened(&mut fleet, connections, 4 * healthy).await;
    }
}

/// An older release wrote the topology. Whoever leads next says whose it is, and then another bot's process
/// that was let in ends, and hands over what it held.
#[tokio::test(flavor = "multi_thread")]
async fn a_topology_that_names_no_bot_is_filled_in() {
    let mut fleet = Fleet::start().await;
    let state = Bucket::open(&fleet.broker, &fleet.broker.names.state_bucket())
        .await
        .unwrap();
    assert_eq!(fleet.stop_coordinator(0).await, Some(0));
    let entry = state.get(TOPOLOGY).await.unwrap().unwrap();
    let old = Topology {
        application: None,
        ..wire::decode(&entry.value).unwrap()
    };
    let written = state.update(TOPOLOGY, wire::encode(&old), entry.revision);
    written.await.unwrap();
    let ours = std::mem::replace(&mut fleet.token, OTHERS.0.to_owned());
    let api = ("SHARDFLEET_DISCORD__API", AWAY.to_owned());
    // It may hold nothing: what it would do to a session is not what this is about.
    let full = ("SHARDFLEET_GATEWAY__MAX_GROUPS", "1".to_owned());
    fleet.variables = vec![api, full];
    let guest = fleet.start_gateway().await;
    fleet
        .wait_until("the guest is let in", LIMIT, |state| {
            state.fleet.processes.len() == 2
        })
        .await;
    fleet.token = ours;
    fleet.variables.clear();
    fleet.restart_coordinator(0);
    assert_eq!(fleet.gateway_ends(guest, LIMIT).await, BAD_CONFIGURATION);
    let named = topology(&fleet).await.unwrap();
    assert_eq!(named.application.as_deref(), Some(OURS));
    assert_eq!((named.layout, named.deny), (old.layout, old.deny));
    fleet.shards_of(0, 4).await;
}

/// REST refuses it, whosever it says it is: it ends by itself, and the fleet does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_ends_its_process_alone() {
    let mut fleet = Fleet::start().await;
    let connections = fleet.discord.figures().await.connections;
    for token in [
        "wrong",
        "NzAwMDAwMDAwMDAwMDAwMDAx.another.than-the-right-one",
    ] {
        token.clone_into(&mut fleet.token);
        let gateway = fleet.start_gateway().await;
        assert_eq!(fleet.gateway_ends(gateway, AT_ONCE).await, REFUSED);
        let coordinator = fleet.start_coordinator().await;
        let ended = fleet.coordinator_ends(coordinator, AT_ONCE).await;
        assert_eq!(ended, REFUSED);
        let names = [
            format!("gateway-{gateway}"),
            format!("coordinator-{coordinator}"),
        ];
        for name in names {
            let log = fleet.log(&name);
            let last = log.lines().last().unwrap();
            for part in ["401", "DISCORD_TOKEN", "halts nobody"] {
                assert!(last.contains(part), "{part} is not in: {last}");
            }
        }
    }
    nothing_happened(&mut fleet, connections, 4).await;
    fleet.flow(100).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// REST could not be asked, so that it came as far as a shard: 4004 is its own end, and the session that it
/// tried to resume is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_that_only_the_gateway_refuses_ends_its_process_alone() {
    let mut fleet = Fleet::start().await;
    fleet.flow(100).await;
    let before = fleet.discord.figures().await;
    let ours = std::mem::replace(&mut fleet.token, "wrong".to_owned());
    fleet.variables = vec![
        ("SHARDFLEET_DISCORD__API", AWAY.to_owned()),
        ("SHARDFLEET_DISCORD__GATEWAY", fleet.discord.gateway()),
    ];
    let gateway = fleet.start_gateway().await;
    assert_eq!(fleet.gateway_ends(gateway, LIMIT).await, REFUSED);
    let log = fleet.log(&format!("gateway-{gateway}"));
    let last = log.lines().last().unwrap();
    assert!(
        last.contains("4004") && last.contains("halts nobody"),
        "{last}"
    );
    assert!(roster::shared(&fleet.broker).await.unwrap().halt.is_none());
    fleet.token = ours;
    fleet.shards_of(0, 4).await;
    fleet.resumed_since(&before, 2).await;
    assert_eq!(fleet.audit_but_for("wrong_token").await.gaps, 0);
}

/// The fleet's own token is reset: the gateway and REST refuse it, every process with it stops, and none comes
/// back with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_reset_halts_the_fleet() {
    let plan = Fleet::start()
        .gateways(2)
        .discord("--session-start-total=4");
    let mut fleet = plan.set("coordinator.reserve", "0").await;
    spend_one_identify_too_many(&fleet).await;
    for gateway in 0..2 {
        assert_eq!(fleet.gateway_ends(gateway, LIMIT).await, REFUSED);
    }
    assert_eq!(fleet.coordinator_ends(0, LIMIT).await, REFUSED);
    let halt = roster::shared(&fleet.broker).await.unwrap().halt.unwrap();
    assert_eq!(halt.code, 4004);
    let connections = fleet.discord.figures().await.connections;
    fleet.restart_gateway(0);
    assert_eq!(fleet.gateway_ends(0, AT_ONCE).await, REFUSED);
    assert_eq!(fleet.discord.figures().await.connections, connections);
}

/// What Discord does to a bot beyond its limit: the simulator resets its token.
async fn spend_one_identify_too_many(fleet: &Fleet) {
    let (mut socket, _) = tokio_tungstenite::connect_async(fleet.discord.gateway())
        .await
        .unwrap();
    socket.next().await.unwrap().unwrap();
    // Of a bucket that nobody else uses.
    let properties = json!({ "os": "linux", "browser": "it", "device": "it" });
    let d =
        json!({ "token": fleet.token, "intents": 1, "shard": [4, 16], "properties": properties });
    let identify = json!({ "op": 2, "d": d }).to_string();
    socket.send(Message::text(identify)).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        if message.is_close() {
            return;
        }
    }
}
