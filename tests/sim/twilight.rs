//! A client that nobody here wrote.

use futures_util::StreamExt;
use tokio::time::timeout;
use twilight_gateway::queue::InMemoryQueue;
use twilight_gateway::{ConfigBuilder, Intents, Message, Shard, ShardId};

use crate::support::{LIMIT, Sim, hash};

/// Runs a shard for ever; each dispatch is handed over as (session, sequence, hash).
async fn run(mut shard: Shard, got: tokio::sync::mpsc::UnboundedSender<(String, u64, String)>) {
    while let Some(message) = shard.next().await {
        let Ok(Message::Text(text)) = message else {
            continue;
        };
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        if value["op"] != 0 {
            continue;
        }
        twilight_gateway::parse(text.clone(), twilight_gateway::EventTypeFlags::all())
            .unwrap_or_else(|error| panic!("{error:?}: {text}"));
        let session = shard.session().unwrap().id().to_owned();
        if got
            .send((session, value["s"].as_u64().unwrap(), hash(text.as_bytes())))
            .is_err()
        {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twilight_loses_nothing_whatever_happens() {
    loses_nothing("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twilight_reads_what_was_encoded_beforehand() {
    loses_nothing("--pre-encoded").await;
}

async fn loses_nothing(flags: &str) {
    let flags = format!("--shards 4 --events-per-second 1000 --heartbeat-interval-ms 1000 {flags}");
    let sim = Sim::start(&flags).await;
    let queue = InMemoryQueue::new(16, 1000, LIMIT, 1000);
    let config = ConfigBuilder::new("simulated".to_owned(), Intents::all())
        .proxy_url(format!("ws://{}", sim.address))
        .queue(queue)
        .build();
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let mut running = tokio::task::JoinSet::new();
    for id in 0..4 {
        let shard = Shard::with_config(ShardId::new(id, 4), config.clone());
        running.spawn(run(shard, sender.clone()));
    }
    let connected = |count: usize| {
        move |verdict: &serde_json::Value| {
            let sessions = verdict["sessions"].as_array().unwrap();
            sessions
                .iter()
                .filter(|one| one["connected"] == true && one["last_seq"].as_u64() > Some(10))
                .count()
                == count
        }
    };
    sim.until("all ready", connected(4)).await;
    for (round, fault) in [
        r#"{"fault":"drop"}"#,
        r#"{"fault":"reconnect"}"#,
        r#"{"fault":"close","code":4000}"#,
        r#"{"fault":"close"}"#,
        r#"{"fault":"heartbeat_request"}"#,
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(sim.fault(fault).await, 4, "{fault}");
        let resumes = (round + 1).min(4) * 4;
        sim.until(fault, |verdict| {
            verdict["resumes"] == resumes && connected(4)(verdict)
        })
        .await;
    }
    assert_eq!(
        sim.fault(r#"{"fault":"invalidate","resumable":false,"shards":[2]}"#)
            .await,
        1
    );
    sim.until("identified again", |verdict| {
        verdict["identifies"] == 5 && connected(4)(verdict)
    })
    .await;
    sim.post("/sim/traffic", r#"{"events_per_second":0}"#).await;
    sim.until("all written", |verdict| {
        verdict["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["state"] == "ended" || one["last_seq"] == one["delivered_seq"])
    })
    .await;
    let record = sim.record().await;
    let verdict = sim.verdict().await;
    let ended = verdict["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["state"] == "ended")
        .unwrap();
    let mut wanted: std::collections::HashSet<_> = record
        .iter()
        .filter(|((session, _), _)| ended["id"] != **session)
        .map(|(key, _)| key.clone())
        .collect();
    while !wanted.is_empty() {
        let (session, seq, hash) = timeout(LIMIT, receiver.recv())
            .await
            .expect("events are missing")
            .unwrap();
        let key = (session, seq);
        assert_eq!(record[&key]["hash"], hash);
        wanted.remove(&key);
    }
    assert_eq!(verdict["ok"], true, "{}", verdict["violations"]);
}
