//! The token is found nowhere: not in logs, metrics, pages, answers, NATS messages, streams or values.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use serde_json::json;

use crate::support::{
    fleet::{Fleet, TOKEN, discord::client, wait::LIMIT},
    process::AWAY,
};

/// A token that Discord refuses. It is nobody's secret, and is hidden all the same.
const WRONG: &str = "it.wrong-token.that-nobody.may-see-e2a9";

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_found_nowhere() {
    let debug = "\"debug,twilight_gateway=trace,shardfleet=trace\"";
    let start = Fleet::start().gateways(1).set("log.level", debug).cold();
    let mut fleet = start.await;
    let wire = listen(&fleet).await;
    fleet.ready().await;
    let before = fleet.discord.figures().await;
    fleet.flow(200).await;
    fleet.fault(json!({ "fault": "drop" })).await;
    fleet.resumed_since(&before, 4).await;
    look(&mut fleet, &wire, "with all well").await;

    // Discord refuses a token: its REST says so, and where that cannot be asked, its gateway. Both are told in
    // words.
    fleet.token = WRONG.to_owned();
    let coordinator = fleet.start_coordinator().await;
    let ended = fleet.coordinator_ends(coordinator, LIMIT).await;
    assert_eq!(ended, Some(77));
    fleet.kill_gateway(0);
    fleet.variables = vec![
        ("SHARDFLEET_DISCORD__API", AWAY.to_owned()),
        ("SHARDFLEET_DISCORD__GATEWAY", fleet.discord.gateway()),
    ];
    let gateway = fleet.start_gateway().await;
    assert_eq!(fleet.gateway_ends(gateway, LIMIT).await, Some(77));
    assert!(fleet.log("coordinator-1").contains("(401)"));
    assert!(fleet.log("gateway-1").contains("with 4004"));
    look(&mut fleet, &wire, "after a wrong token").await;
}

/// Everything that goes over NATS from now on: events, requests, status, leases and values.
async fn listen(fleet: &Fleet) -> Arc<Mutex<Vec<u8>>> {
    let mut messages = fleet.broker.client.subscribe(">").await.unwrap();
    fleet.broker.client.flush().await.unwrap();
    let wire = Arc::<Mutex<Vec<u8>>>::default();
    let heard = Arc::clone(&wire);
    tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            let mut heard = heard.lock().unwrap();
            heard.extend_from_slice(message.subject.as_bytes());
            heard.extend_from_slice(format!("{:?}", message.headers).as_bytes());
            heard.extend_from_slice(&message.payload);
        }
    });
    wire
}

async fn look(fleet: &mut Fleet, wire: &Mutex<Vec<u8>>, when: &str) {
    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    for page in pages(fleet).await {
        for path in ["", "metrics", "api/fleet", "ready", "live"] {
            let answer = client(None).get(format!("{page}{path}")).send().await;
            let bytes = answer.unwrap().bytes().await.unwrap();
            places.push((format!("{page}{path}"), bytes.to_vec()));
        }
    }
    for (name, text) in fleet.folder.logs() {
        places.push((name, text.into_bytes()));
    }
    let heard = wire.lock().unwrap().clone();
    assert!(
        contains(&heard, "fleet.discord.status"),
        "nothing was heard"
    );
    places.push(("NATS".to_owned(), heard));
    // What rests on disk: streams and values as the server keeps them.
    files(&fleet.folder.path().join("store"), &mut places);
    for (place, bytes) in &places {
        for token in [TOKEN, WRONG] {
            assert!(!contains(bytes, token), "{when}: the token is in {place}");
        }
    }
    assert!(places.len() > 10, "{when}: too few places were searched");
}

/// Where each process serves its page.
async fn pages(fleet: &mut Fleet) -> Vec<String> {
    let running: Vec<_> = fleet.running().iter().map(ToString::to_string).collect();
    let told = fleet.wait_until("those that run speak, and nobody else", LIMIT, |state| {
        let speak = state.fleet.processes.iter();
        let mut speak: Vec<_> = speak.map(|status| status.process.clone()).collect();
        let mut running = running.clone();
        speak.sort();
        running.sort();
        speak == running
    });
    let processes = told.await.fleet.processes;
    let pages = processes.into_iter().map(|status| status.page.unwrap());
    pages.collect()
}

fn files(folder: &std::path::Path, places: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, places);
        } else if let Ok(bytes) = std::fs::read(&path) {
            places.push((path.display().to_string(), bytes));
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}
