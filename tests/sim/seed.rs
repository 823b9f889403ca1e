//! What a seed fixes, and what bodies encoded beforehand look like to a client.

use std::collections::HashSet;

use serde_json::Value;

use crate::client::Client;
use crate::support::Sim;

/// A session's first dispatches as hashes, by a client that uses the same name for every simulator's host:
/// READY says it.
async fn told(sim: &Sim, query: &str, count: usize) -> (String, Vec<(u64, String)>) {
    let stream = tokio::net::TcpStream::connect(sim.address).await.unwrap();
    let url = format!("ws://discord.test/?v=10&encoding=json{query}");
    let mut client = Client::over(Box::new(stream), &url).await.unwrap();
    assert_eq!(client.payload().await["op"], 10);
    client.identify((1, 4)).await;
    client.read(count).await;
    client.got.truncate(count);
    (client.session, client.got)
}

/// `flags` twice with one seed, once with another; also a second session of the same shard.
async fn follows_from_the_seed(flags: &str, query: &str) {
    let one = Sim::start(&format!("--seed 7 {flags}")).await;
    let first = told(&one, query, 400).await;
    let again = told(&one, query, 400).await;
    assert_ne!(first.0, again.0, "a session of its own");
    let two = Sim::start(&format!("--seed 7 {flags}")).await;
    // What other shards do is no matter.
    let _other = Client::ready(two.address, "", (0, 4)).await;
    assert!(told(&two, query, 400).await == first, "byte for byte");
    assert!(told(&two, query, 400).await == again, "byte for byte");
    let other = Sim::start(&format!("--seed 8 {flags}")).await;
    let other = told(&other, query, 400).await;
    let same = first.1.iter().zip(&other.1).filter(|(a, b)| a == b);
    assert_eq!(same.count(), 0, "another seed is another story");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_tells_the_same_story_byte_for_byte() {
    follows_from_the_seed("", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_tells_the_same_story_from_encoded_bodies() {
    follows_from_the_seed("--pre-encoded=16", "&compress=zstd-stream").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_seed_every_run_has_its_own_sessions() {
    let (one, two) = (Sim::start("").await, Sim::start("").await);
    let one = Client::ready(one.address, "", (0, 1)).await;
    let two = Client::ready(two.address, "", (0, 1)).await;
    assert_ne!(one.session, two.session);
}

/// What is asked for does not change what happens by itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_leaves_the_traffic_alone() {
    let mut stories: Vec<Vec<String>> = Vec::new();
    for asks in [false, true] {
        let sim = Sim::start("--seed 3 --events-per-second 0").await;
        let mut client = Client::ready(sim.address, "", (0, 1)).await;
        client.read(2).await;
        if asks {
            let answer = sim.post("/sim/event", r#"{"event":"MESSAGE_CREATE","count":20}"#);
            assert_eq!(answer.await.0, 200);
            client.read(20).await;
        }
        sim.post("/sim/traffic", r#"{"events_per_second":500}"#)
            .await;
        let mut story = Vec::new();
        for _ in 0..200 {
            story.push(client.payload().await["d"].to_string());
        }
        stories.push(story);
    }
    assert!(stories[0] == stories[1]);
}

/// Bodies repeat, ids do not, and the record knows every byte; also after a drop.
async fn encoded_beforehand(query: &str) {
    let sim = Sim::start("--pre-encoded=8 --events-per-second 2000").await;
    let mut client = Client::ready(sim.address, query, (0, 2)).await;
    let (mut ids, mut bodies, mut got) = (HashSet::new(), HashSet::new(), Vec::new());
    for round in 0..2 {
        for _ in 0..600 {
            let payload = client.payload().await;
            if payload["t"] != "MESSAGE_CREATE" {
                continue;
            }
            let id = payload["d"]["id"].as_str().unwrap().to_owned();
            assert_eq!(payload["d"]["nonce"], id);
            bodies.insert(payload["d"].to_string().replace(&id, "id"));
            assert!(ids.insert(id), "an id twice");
        }
        got.append(&mut client.got);
        if round == 0 {
            sim.fault(r#"{"fault":"drop"}"#).await;
            client.end().await;
            got.append(&mut client.got);
            client = client.resume(sim.address, query).await;
        }
    }
    assert!(ids.len() > 100 && bodies.len() <= 8, "{}", bodies.len());
    let record = sim.record().await;
    for (seq, hash) in &got {
        assert_eq!(record[&(client.session.clone(), *seq)]["hash"], **hash);
    }
    assert!(got.iter().map(|(seq, _)| *seq).eq(1..=client.seq));
    assert_eq!(sim.verdict().await["ok"], Value::Bool(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_encoded_beforehand_differ_where_they_must() {
    for query in ["", "&compress=zlib-stream", "&compress=zstd-stream"] {
        encoded_beforehand(query).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encoded_bodies_spare_guilds_that_are_out() {
    let sim = Sim::start("--pre-encoded=64 --events-per-second 2000").await;
    let mut client = Client::ready(sim.address, "&compress=zstd-stream", (1, 2)).await;
    client.read(500).await;
    sim.fault(r#"{"fault":"outage","guilds":1}"#).await;
    let out = client.until("GUILD_DELETE").await["d"]["id"].clone();
    for _ in 0..200 {
        assert_ne!(client.payload().await["d"]["guild_id"], out);
    }
}
