//! Identify, traffic, resume: nothing lost, nothing twice, and the record knows every byte.

use serde_json::json;

use crate::client::{Client, Heard, identify};
use crate::support::{Sim, hash};

#[tokio::test(flavor = "multi_thread")]
async fn rest_tells_where_the_gateway_is() {
    let sim = Sim::start("--shards 7 --session-start-remaining 9").await;
    let url = format!("ws://{}", sim.address);
    assert_eq!(
        sim.get("/api/v10/gateway", None).await,
        (200, json!({ "url": url }))
    );
    let (status, bot) = sim.get("/api/v10/gateway/bot", Some("Bot simulated")).await;
    assert_eq!(
        (status, &bot["url"], &bot["shards"]),
        (200, &json!(url), &json!(7))
    );
    let limit = &bot["session_start_limit"];
    assert_eq!(
        (
            &limit["total"],
            &limit["remaining"],
            &limit["max_concurrency"]
        ),
        (&json!(1000), &json!(9), &json!(16))
    );
    assert!((86_000_000..=86_400_000).contains(&limit["reset_after"].as_u64().unwrap()));
    for wrong in [None, Some("Bot other"), Some("simulated")] {
        assert_eq!(sim.get("/api/v10/gateway/bot", wrong).await.0, 401);
    }
    assert_eq!(
        sim.get("/api/v10/nothing", Some("Bot simulated")).await.0,
        404
    );
}

/// One session through drops and resumes: contiguous, and byte for byte as recorded.
async fn survives_drops(query: &str, flags: &str) {
    let sim = Sim::start(flags).await;
    let mut client = Client::ready(sim.address, query, (1, 4)).await;
    client.read(100).await;
    let mut got = std::mem::take(&mut client.got);
    for round in 0..3 {
        assert_eq!(sim.fault(r#"{"fault":"drop","shards":[1]}"#).await, 1);
        assert_eq!(client.end().await, Heard::Cut);
        got.append(&mut client.got);
        client = client.resume(sim.address, query).await;
        client.until("RESUMED").await;
        client.read(50).await;
        got.append(&mut client.got);
        sim.until("resumed", |verdict| verdict["resumes"] == round + 1)
            .await;
    }
    sim.post("/sim/traffic", r#"{"events_per_second":0}"#).await;
    let last = sim.until("quiet", |verdict| {
        verdict["sessions"][0]["last_seq"] == verdict["sessions"][0]["delivered_seq"]
    });
    let last = last.await["sessions"][0]["last_seq"].as_u64().unwrap();
    while client.seq < last {
        client.payload().await;
    }
    got.append(&mut client.got);
    assert!(got.iter().map(|(seq, _)| *seq).eq(1..=last), "contiguous");
    let record = sim.record().await;
    assert_eq!(record.len(), got.len());
    for (seq, hash) in &got {
        let row = &record[&(client.session.clone(), *seq)];
        assert_eq!(
            (row["hash"].as_str(), &row["delivered"]),
            (Some(hash.as_str()), &json!(true))
        );
        assert_eq!(row["shard"], 1);
    }
    let verdict = sim.verdict().await;
    assert_eq!(
        (&verdict["ok"], &verdict["identifies"]),
        (&json!(true), &json!(1)),
        "{verdict}"
    );
    assert_eq!(verdict["sent"], got.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_survives_drops() {
    survives_drops("", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zlib_survives_drops() {
    survives_drops("&compress=zlib-stream", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn split_zlib_survives_drops() {
    survives_drops("&compress=zlib-stream", "--split-zlib --extra-keys").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zstd_survives_drops() {
    survives_drops("&compress=zstd-stream", "--presences").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payload_compression_mixes_plain_and_zlib() {
    let sim = Sim::start("").await;
    let mut client = Client::hello(sim.address, "").await;
    let mut ask = identify("Bot simulated", &json!([0, 1]), &json!(1));
    ask["d"]["compress"] = json!(true);
    client.send(&ask).await;
    client.until("READY").await;
    client.until("GUILD_CREATE").await;
    let record = sim.record().await;
    for (seq, hash) in &client.got {
        assert_eq!(
            record[&(client.session.clone(), *seq)]["hash"].as_str(),
            Some(hash.as_str())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_lists_the_guilds_that_load() {
    let sim = Sim::start("--guilds-per-shard 5 --events-per-second 0").await;
    let mut client = Client::hello(sim.address, "").await;
    client.identify((2, 3)).await;
    let ready = client.until("READY").await;
    assert_eq!(
        ready["d"]["resume_gateway_url"],
        format!("ws://{}/resume", sim.address)
    );
    let mut listed: Vec<String> = Vec::new();
    for guild in ready["d"]["guilds"].as_array().unwrap() {
        assert_eq!(guild["unavailable"], true);
        listed.push(guild["id"].as_str().unwrap().to_owned());
    }
    for id in &listed {
        assert_eq!(client.until("GUILD_CREATE").await["d"]["id"], **id);
        assert_eq!((id.parse::<u64>().unwrap() >> 22) % 3, 2);
    }
    assert_eq!(listed.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_its_client_says_so_or_its_time_is_over() {
    let sim = Sim::start("--session-ttl 300ms").await;
    for (code, reason) in [
        (1000, "closed_by_client"),
        (1001, "closed_by_client"),
        (4000, "expired"),
    ] {
        let mut client = Client::ready(sim.address, "", (0, 1)).await;
        client.close(code).await;
        let session = client.session.clone();
        sim.until("ended", |verdict| {
            verdict["sessions"]
                .as_array()
                .unwrap()
                .iter()
                .any(|one| one["id"] == *session && one["end_reason"] == reason)
        })
        .await;
        let mut again = client.resume(sim.address, "").await;
        assert_eq!(
            again.op().await,
            json!({ "t": null, "s": null, "op": 9, "d": false })
        );
    }
    assert_eq!(
        sim.broken().await,
        ["resume_after_close", "resume_after_close"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_beyond_the_buffer_is_gone() {
    let sim = Sim::start("--replay-buffer 50").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.close(4000).await;
    let from = client.seq;
    sim.until("moved on", |verdict| {
        verdict["sessions"][0]["last_seq"].as_u64() > Some(from + 100)
    })
    .await;
    let mut again = client.resume(sim.address, "").await;
    assert_eq!(again.op().await["op"], 9);
    // The same socket may identify.
    again.identify((0, 1)).await;
    again.until("READY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_trims_the_buffer_where_asked() {
    let sim = Sim::start("--replay-trim-at-heartbeat").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.read(50).await;
    client.send(&json!({ "op": 1, "d": client.seq })).await;
    assert_eq!(client.op().await["op"], 11);
    client.close(4000).await;
    client.seq = 20;
    assert_eq!(client.resume(sim.address, "").await.op().await["op"], 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_answered() {
    let sim = Sim::start("--events-per-second 0").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    let guild = client.until("GUILD_CREATE").await["d"]["id"].clone();
    client.until("GUILD_CREATE").await;
    let all = json!({ "op": 8, "d": { "guild_id": guild, "query": "", "limit": 0, "nonce": "n" } });
    client.send(&all).await;
    let chunk = client.until("GUILD_MEMBERS_CHUNK").await;
    assert_eq!(
        (&chunk["d"]["nonce"], &chunk["d"]["chunk_index"]),
        (&json!("n"), &json!(0))
    );
    let user = chunk["d"]["members"][0]["user"]["id"].clone();
    client.send(&all).await;
    let limited = client.until("RATE_LIMITED").await;
    assert_eq!(
        (&limited["d"]["opcode"], &limited["d"]["meta"]["guild_id"]),
        (&json!(8), &guild)
    );
    assert!(limited["d"]["retry_after"].as_f64().unwrap() > 0.0);
    client
        .send(&json!({ "op": 8, "d": { "guild_id": guild, "user_ids": [user, "5"], "limit": 0 } }))
        .await;
    let chunk = client.until("GUILD_MEMBERS_CHUNK").await;
    assert_eq!(
        (
            &chunk["d"]["members"][0]["user"]["id"],
            &chunk["d"]["not_found"]
        ),
        (&user, &json!(["5"]))
    );
    client.send(&json!({ "op": 4, "d": { "guild_id": guild, "channel_id": "5", "self_mute": false, "self_deaf": true } })).await;
    assert_eq!(
        client.until("VOICE_STATE_UPDATE").await["d"]["self_deaf"],
        true
    );
    client.until("VOICE_SERVER_UPDATE").await;
    client
        .send(&json!({ "op": 31, "d": { "guild_ids": [guild] } }))
        .await;
    client.until("SOUNDBOARD_SOUNDS").await;
    client
        .send(&json!({ "op": 43, "d": { "guild_id": guild, "fields": ["status"] } }))
        .await;
    client.until("CHANNEL_INFO").await;
    client.send(&json!({ "op": 3, "d": { "since": null, "activities": [], "status": "online", "afk": false } })).await;
    client.send(&json!({ "op": 1, "d": null })).await;
    assert_eq!(client.op().await["op"], 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_is_met() {
    let sim = Sim::start("--events-per-second 2000").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.read(1000).await;
    let from = sim.verdict().await;
    let started = std::time::Instant::elapsed;
    let began = shardfleet::clock::now().into_std();
    client.read(4000).await;
    let seconds = started(&began).as_secs_f64();
    let rate =
        (sim.verdict().await["sent"].as_f64().unwrap() - from["sent"].as_f64().unwrap()) / seconds;
    assert!((1700.0..2300.0).contains(&rate), "{rate}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_serves_https_and_wss() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let sim = Sim::start(&format!(
        "--tls-cert {} --tls-key {}",
        cert.display(),
        key.display()
    ))
    .await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = tokio::net::TcpStream::connect(sim.address).await.unwrap();
    let stream = connector
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    let url = format!(
        "wss://localhost:{}/?v=10&encoding=json&compress=zstd-stream",
        sim.address.port()
    );
    let mut client = Client::over(Box::new(stream), &url).await.unwrap();
    assert_eq!(client.payload().await["op"], 10);
    client.identify((0, 1)).await;
    let ready = client.until("READY").await;
    assert_eq!(
        ready["d"]["resume_gateway_url"],
        format!("wss://localhost:{}/resume", sim.address.port())
    );
    client.read(50).await;
}

#[test]
fn the_hash_is_sha256() {
    assert_eq!(hash(b"abc"), "ba7816bf8f01cfea414140de5dae2223");
}
