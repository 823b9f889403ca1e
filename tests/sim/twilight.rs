//! A client that nobody here wrote.

use futures_util::StreamExt;
use tokio::time::timeout;
use twilight_gateway::queue::InMemoryQueue;
use twilight_gateway::{ConfigBuilder, Intents, Message, Shard, ShardId, ShardState};

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

/// Each refusal as a bot would really meet it: the shard gives up, and does not come back.
#[tokio::test(flavor = "multi_thread")]
async fn twilight_gives_up_where_it_is_refused_for_good() {
    let sim = Sim::start("--min-shards 4 --shard-multiple 2 --disallow-intents 256").await;
    let guilds = Intents::GUILDS;
    let unknown = Intents::from_bits_retain(1 << 40);
    for (done, (code, token, shards, intents)) in [
        (4004, "wrong", 4, guilds),
        (4010, "simulated", 5, guilds),
        (4011, "simulated", 2, guilds),
        (4013, "simulated", 4, unknown),
        (4014, "simulated", 4, Intents::GUILD_PRESENCES),
    ]
    .into_iter()
    .enumerate()
    {
        let config = ConfigBuilder::new(token.to_owned(), intents)
            .proxy_url(format!("ws://{}", sim.address))
            .build();
        let mut shard = Shard::with_config(ShardId::new(0, shards), config);
        let mut last = None;
        while let Some(message) = timeout(LIMIT, shard.next()).await.expect("it gives up") {
            if let Ok(Message::Close(frame)) = message {
                last = frame.map(|frame| frame.code);
            }
        }
        assert_eq!(last, Some(code));
        assert_eq!(shard.state(), ShardState::FatallyClosed);
        let verdict = sim.verdict().await;
        assert_eq!(verdict["connections"], done + 1, "{code}: once and no more");
    }
    assert_eq!(
        sim.broken().await,
        [
            "wrong_token",
            "bad_shard",
            "sharding_required",
            "bad_intents",
            "disallowed_intents"
        ]
    );
}

const CHILD: &str = "SIM_TEST_WSS_URL";

/// twilight trusts what the environment says, which a test must not change for the others: this test runs
/// itself once more, as a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn twilight_speaks_over_tls() {
    if let Ok(url) = std::env::var(CHILD) {
        return over_tls(url).await;
    }
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = format!("--tls-cert {} --tls-key {}", cert.display(), key.display());
    let sim = Sim::start_secure(&tls, made.cert.der()).await;
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "twilight::twilight_speaks_over_tls"])
        .env(CHILD, format!("wss://localhost:{}", sim.address.port()))
        .env("SSL_CERT_FILE", &cert)
        .kill_on_drop(true)
        .output();
    let output = timeout(LIMIT, child).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    let verdict = sim.verdict().await;
    assert_eq!(
        (&verdict["ok"], &verdict["identifies"]),
        (&true.into(), &1.into())
    );
    assert!(verdict["sessions"][0]["delivered_seq"].as_u64() >= Some(200));
}

async fn over_tls(url: String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = ConfigBuilder::new("simulated".to_owned(), Intents::all())
        .proxy_url(url)
        .build();
    let shard = Shard::with_config(ShardId::ONE, config);
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let running = tokio::spawn(run(shard, sender));
    for expected in 1..=200 {
        let (_, seq, _) = timeout(LIMIT, receiver.recv()).await.unwrap().unwrap();
        assert_eq!(seq, expected);
    }
    running.abort();
}
