//! Close codes that no restart mends stop the whole fleet, until somebody mends the reason.

use std::time::Duration;

use serde_json::json;
use shardfleet::{
    broker::bucket::Bucket,
    clock, roster,
    subject::HALT,
    wire::{self, topology::Halt},
};

use crate::support::{
    fleet::{Fleet, State, wait::LIMIT},
    until,
};

/// Exit code of a halted fleet.
const HALTED: Option<i32> = Some(77);
/// How soon a process that starts in a halted fleet refuses.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Each code: both gateways end with 77 and say why; the halt is on record; a restarted gateway
/// refuses without a connection. The coordinator says so too, and ends where its token is refused.
/// Cleared, the fleet goes on by RESUME.
#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_close_code_stops_the_fleet() {
    let codes = [
        (4004, "the token is wrong"),
        (4010, "fleet.shards"),
        (4011, "fleet.shards"),
        (4012, "upgrade shardfleet"),
        (4013, "discord.intents"),
        (4014, "privileged intent"),
    ];
    let mut fleet = Fleet::start().gateways(2).await;
    for (code, reason) in codes {
        let before = fleet.discord.figures().await;
        let fault = json!({ "fault": "close", "code": code, "shards": [0] });
        assert_eq!(fleet.fault(fault).await, 1);
        for gateway in 0..2 {
            assert_eq!(fleet.gateway_ends(gateway, LIMIT).await, HALTED, "{code}");
            let log = fleet.log(&format!("gateway-{gateway}"));
            let last = log.lines().last().unwrap();
            let told = last.contains(&code.to_string()) && last.contains(reason);
            assert!(told && last.contains("resume-fleet"), "{last}");
        }
        let shared = roster::shared(&fleet.broker).await.unwrap();
        assert_eq!(shared.halt.unwrap().code, code);
        if code == 4004 {
            assert_eq!(fleet.coordinator_ends(0, LIMIT).await, HALTED);
            fleet.restart_coordinator(0);
            assert_eq!(fleet.coordinator_ends(0, AT_ONCE).await, HALTED);
        }
        until("the coordinator says so", async || {
            let log = fleet.log("coordinator-0");
            let word = format!("with {code}");
            let told = |line: &str| line.contains(&word) && line.contains("ERROR");
            log.lines().any(told).then_some(())
        })
        .await;

        let connections = fleet.discord.figures().await.connections;
        fleet.restart_gateway(0);
        assert_eq!(fleet.gateway_ends(0, AT_ONCE).await, HALTED, "{code}");
        let figures = fleet.discord.figures().await;
        assert_eq!(figures.connections, connections, "{code}: it connected");

        clear(&fleet).await;
        if code == 4004 {
            fleet.restart_coordinator(0);
        }
        fleet.restart_gateway(0);
        fleet.restart_gateway(1);
        fleet.resumed_since(&before, 4).await;
    }
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// The halt is the token's: under another one the fleet starts as though there was none, and then there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_clears_the_halt() {
    let mut fleet = Fleet::start().gateways(0).cold().await;
    fleet.leader().await;
    let halt = Halt {
        v: wire::VERSION,
        code: 4004,
        reason: "the token was reset".to_owned(),
        shard: 0,
        process: "gateway-9".to_owned(),
        at_ms: clock::unix_ms(),
        token: "0".repeat(32),
    };
    let state = state(&fleet).await;
    state.create(HALT, wire::encode(&halt)).await.unwrap();
    fleet.start_gateway().await;
    fleet.ready().await;
    until("the halt is cleared", async || {
        let shared = roster::shared(&fleet.broker).await.ok()?;
        shared.halt.is_none().then_some(())
    })
    .await;
    fleet.audit().await;
}

/// The leader's token is refused by REST, and another coordinator's is not: that one leads, and shards go on
/// identifying.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_token_is_refused_leaves_the_lead_to_another() {
    let mut fleet = Fleet::start().coordinators(2).await;
    let first = fleet.leader().await;
    // Its next question alone: the other one's are answered.
    let refuses = json!({ "fault": "rest", "route": "/gateway/bot", "status": 401, "count": 1 });
    fleet.fault(refuses).await;
    let before = fleet.discord.figures().await;
    let invalid = json!({ "fault": "invalidate", "resumable": false, "shards": [0] });
    fleet.fault(invalid).await;
    let name = format!("coordinator-{first}");
    let other = move |state: &State| {
        let leader = state.fleet.leader.as_ref();
        leader.is_some_and(|leader| leader.process != name)
    };
    fleet.wait_until("another leads", LIMIT, other).await;
    fleet.ready().await;
    let identifies = fleet.discord.figures().await.identifies;
    assert_eq!(identifies, before.identifies + 1);
    let name = format!("coordinator-{first}");
    let state = fleet.state().await;
    assert!(state.fleet.refused.contains(&name));
    assert!(fleet.log(&name).contains("gives the lead up"));
}

/// What an operator does.
async fn clear(fleet: &Fleet) {
    let state = state(fleet).await;
    let entry = state.get(HALT).await.unwrap().unwrap();
    state.delete(HALT, entry.revision).await.unwrap();
}

async fn state(fleet: &Fleet) -> Bucket {
    let name = fleet.broker.names.state_bucket();
    Bucket::open(&fleet.broker, &name).await.unwrap()
}
