//! Each fault does what it says.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use crate::client::{Client, Heard};
use crate::support::Sim;

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_fault_is_explained() {
    let sim = Sim::start("").await;
    let (status, answer) = sim.post("/sim/fault", r#"{"fault":"explode"}"#).await;
    assert_eq!(status, 400);
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .contains("heartbeat_request"),
        "{answer}"
    );
    assert_eq!(sim.fault(r#"{"fault":"drop","shards":[5]}"#).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn closes_with_and_without_a_code_can_be_resumed() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    for code in [
        Some(1000),
        Some(1001),
        Some(4000),
        Some(4001),
        Some(4008),
        Some(4009),
        Some(4900),
        None,
    ] {
        sim.fault(&json!({ "fault": "close", "code": code }).to_string())
            .await;
        assert_eq!(client.end().await, Heard::Closed(code));
        client = client.resume(sim.address, "").await;
        client.until("RESUMED").await;
    }
    assert_eq!(sim.verdict().await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_asks_for_a_reconnect_or_a_heartbeat() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    sim.fault(r#"{"fault":"heartbeat_request"}"#).await;
    assert_eq!(
        client.op().await,
        json!({ "t": null, "s": null, "op": 1, "d": null })
    );
    sim.fault(r#"{"fault":"reconnect"}"#).await;
    assert_eq!(
        client.op().await,
        json!({ "t": null, "s": null, "op": 7, "d": null })
    );
    client.close(4000).await;
    client.resume(sim.address, "").await.until("RESUMED").await;
    assert_eq!(sim.verdict().await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_invalidated() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    sim.fault(r#"{"fault":"invalidate","resumable":true}"#)
        .await;
    assert_eq!(client.op().await["d"], true);
    // On the same socket, as discord.js does; then on another.
    client
        .send_resume("simulated", &client.session.clone(), client.seq)
        .await;
    client.until("RESUMED").await;
    sim.fault(r#"{"fault":"invalidate","resumable":true}"#)
        .await;
    assert_eq!(client.op().await["d"], true);
    client.close(4000).await;
    let mut client = client.resume(sim.address, "").await;
    client.until("RESUMED").await;
    sim.fault(r#"{"fault":"invalidate","resumable":false}"#)
        .await;
    assert_eq!(client.op().await["d"], false);
    let old = client.session.clone();
    client.identify((0, 1)).await;
    client.until("READY").await;
    assert_ne!(client.session, old);
    let verdict = sim.verdict().await;
    assert_eq!(verdict["sessions"][0]["end_reason"], "invalidated");
    assert_eq!(
        (&verdict["ok"], &verdict["identifies"]),
        (&json!(true), &json!(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_silent_and_loses_nothing() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.read(20).await;
    // A busy machine may read the heartbeat only after a short silence: a longer one tells.
    let mut unanswered = false;
    for for_ms in [600, 2_400, 9_600] {
        let began = shardfleet::clock::now();
        sim.fault(&json!({ "fault": "silence", "for_ms": for_ms }).to_string())
            .await;
        client.send(&json!({ "op": 1, "d": null })).await;
        let seen = sim.verdict().await["sent"].as_u64().unwrap();
        unanswered = true;
        while client.seq <= seen {
            unanswered &= client.payload().await["op"] == 0;
        }
        assert!(shardfleet::clock::now().duration_since(began) >= Duration::from_millis(for_ms));
        if unanswered {
            break;
        }
    }
    assert!(unanswered, "no answer to a heartbeat");
    assert!(client.got.iter().map(|(seq, _)| *seq).eq(1..=client.seq));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hello_then_hello() {
    let sim = Sim::start("--events-per-second 0").await;
    sim.fault(r#"{"fault":"no_hello","count":1}"#).await;
    let mut first = Client::try_connect(sim.address, "/?v=10&encoding=json")
        .await
        .unwrap();
    first.send(&json!({ "op": 1, "d": null })).await;
    assert_eq!(first.payload().await["op"], 11);
    assert_eq!(sim.broken().await, ["before_hello"]);
    Client::hello(sim.address, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_refuse() {
    let sim = Sim::start("").await;
    let path = "/resume/?v=10&encoding=json";
    sim.fault(r#"{"fault":"resume_host","mode":"refuse"}"#)
        .await;
    let refused = Client::try_connect(sim.address, path).await.err().unwrap();
    assert!(!matches!(refused, Error::Http(_)), "{refused:?}");
    Client::hello(sim.address, "").await;
    sim.fault(r#"{"fault":"resume_host","mode":"503"}"#).await;
    match Client::try_connect(sim.address, path).await.err().unwrap() {
        Error::Http(response) => assert_eq!(response.status(), 503),
        other => panic!("{other:?}"),
    }
    sim.fault(r#"{"fault":"resume_host","mode":"ok"}"#).await;
    assert!(Client::try_connect(sim.address, path).await.is_ok());
    sim.fault(r#"{"fault":"refuse_connect"}"#).await;
    assert!(
        Client::try_connect(sim.address, "/?v=10&encoding=json")
            .await
            .is_err()
    );
    assert_eq!(sim.get("/api/v10/gateway", None).await.0, 200);
    sim.fault(r#"{"fault":"refuse_connect","mode":"ok"}"#).await;
    Client::hello(sim.address, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_come_late() {
    let sim = Sim::start("--events-per-second 0").await;
    let mut client = Client::ready(sim.address, "", (3, 4)).await;
    sim.fault(r#"{"fault":"slow_ack","ms":400,"shards":[3]}"#)
        .await;
    let began = shardfleet::clock::now();
    client.send(&json!({ "op": 1, "d": null })).await;
    assert_eq!(client.op().await["op"], 11);
    assert!(shardfleet::clock::now().duration_since(began) >= Duration::from_millis(400));
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_never_come_while_events_flow() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    sim.fault(r#"{"fault":"slow_ack","ms":3600000}"#).await;
    client.send(&json!({ "op": 1, "d": null })).await;
    for _ in 0..500 {
        assert_eq!(client.payload().await["op"], 0);
    }
    sim.fault(r#"{"fault":"slow_ack","ms":0}"#).await;
    client.send(&json!({ "op": 1, "d": null })).await;
    assert_eq!(client.op().await["op"], 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_frame_becomes_a_large_message() {
    const BYTES: usize = 20_000_000;
    let sim = Sim::start("--events-per-second 0").await;
    for compress in ["&compress=zstd-stream", "&compress=zlib-stream", ""] {
        let mut client = Client::ready(sim.address, compress, (0, 1)).await;
        client.read(2).await;
        let fault = json!({ "fault": "inflate", "bytes": BYTES });
        assert_eq!(sim.fault(&fault.to_string()).await, 1);
        let ack = client.payload().await;
        let length = ack["x"].as_str().unwrap().len();
        assert!(ack["op"] == 11 && length.abs_diff(BYTES) < 100, "{length}");
        let wire = client.last_bytes;
        assert!(wire < BYTES / 100 || compress.is_empty(), "{wire}");
        let fault = json!({ "fault": "inflate", "bytes": BYTES, "dispatch": true });
        sim.fault(&fault.to_string()).await;
        assert_eq!(client.until("GUILD_CREATE").await["s"], 4);
        let row = &sim.record().await[&(client.session.clone(), 4)];
        assert!(
            row["bytes"].as_u64().unwrap().abs_diff(BYTES as u64) < 100,
            "{row}"
        );
        client.close(1000).await;
        sim.until("ended", |verdict| {
            let sessions = verdict["sessions"].as_array().unwrap();
            sessions.iter().all(|one| one["state"] == "ended")
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_says_anything_about_session_and_url() {
    let sim = Sim::start("--events-per-second 0").await;
    for (id, url) in [
        (Some("7"), Some("7")),
        (Some("null"), Some("null")),
        (Some("absent"), Some("absent")),
        (Some(r#""cr\r\nlf \u0000é""#), Some(r#""not a url""#)),
        (None, Some(r#""ws://127.0.0.1:1""#)),
        (Some(r#""cr\r\nlf""#), None),
    ] {
        let fault =
            json!({ "fault": "ready", "session_id": id, "resume_gateway_url": url, "count": 1 });
        sim.fault(&fault.to_string()).await;
        let mut client = Client::hello(sim.address, "").await;
        client.lenient = true;
        client.identify((0, 1)).await;
        let ready = client.payload().await;
        for (key, said) in [("session_id", id), ("resume_gateway_url", url)] {
            match said {
                None => assert!(ready["d"][key].is_string()),
                Some("absent") => assert!(ready["d"].get(key).is_none()),
                Some(json) => assert_eq!(
                    ready["d"][key],
                    serde_json::from_str::<Value>(json).unwrap()
                ),
            }
        }
        let id = ready["d"]["session_id"].as_str();
        if let Some(id) = id {
            client.close(4000).await;
            (client.session, client.seq) = (id.to_owned(), 1);
            client.resume(sim.address, "").await.until("RESUMED").await;
            assert_eq!(sim.record().await[&(id.to_owned(), 1)]["event"], "READY");
        }
    }
    let usual = Client::ready(sim.address, "", (0, 1)).await;
    assert_eq!(usual.session.len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn arrivals_are_counted_by_shard_and_by_second() {
    let sim = Sim::start("").await;
    sim.fault(r#"{"fault":"refuse_connect"}"#).await;
    let path = "/?v=10&encoding=json";
    for _ in 0..3 {
        assert!(Client::try_connect(sim.address, path).await.is_err());
    }
    sim.fault(r#"{"fault":"refuse_connect","mode":"ok"}"#).await;
    let mut client = Client::ready(sim.address, "", (1, 2)).await;
    client.close(4000).await;
    client.resume(sim.address, "").await.until("RESUMED").await;
    Client::ready(sim.address, "", (0, 2)).await;
    let verdict = sim.verdict().await;
    assert_eq!(
        (&verdict["attempts"], &verdict["connections"]),
        (&json!(6), &json!(3))
    );
    assert!(verdict["worst_second"].as_u64() > Some(1));
    let shards = verdict["shards"].as_array().unwrap().iter();
    let seen: Vec<_> = shards
        .map(|one| (&one["shard"], &one["connections"]))
        .collect();
    assert_eq!(seen, [(&json!(0), &json!(1)), (&json!(1), &json!(2))]);
    assert_eq!(sim.get("/sim/state", None).await.1["attempts"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_and_a_huge_event() {
    let sim = Sim::start("--events-per-second 0").await;
    let mut client = Client::ready(sim.address, "&compress=zstd-stream", (1, 2)).await;
    client.read(2).await;
    assert_eq!(sim.fault(r#"{"fault":"hole"}"#).await, 1);
    sim.fault(r#"{"fault":"huge_event","bytes":3000000}"#).await;
    let huge = client.until("GUILD_CREATE").await;
    assert_eq!(huge["s"], 5);
    assert_eq!(
        (huge["d"]["id"].as_str().unwrap().parse::<u64>().unwrap() >> 22) % 2,
        1
    );
    let row = &sim.record().await[&(client.session.clone(), 5)];
    assert!(
        (2_999_000..3_001_000).contains(&row["bytes"].as_u64().unwrap()),
        "{row}"
    );
    assert!(sim.fault(r#"{"fault":"garbage"}"#).await == 1);
    assert_eq!(client.payload().await, Value::from("garbage"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_expires_on_demand() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    sim.fault(r#"{"fault":"expire"}"#).await;
    assert_eq!(client.end().await, Heard::Cut);
    assert_eq!(client.resume(sim.address, "").await.op().await["op"], 9);
    assert_eq!(sim.verdict().await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_costs_no_more_than_its_buffer() {
    let sim = Sim::start("--replay-buffer 200 --events-per-second 20000").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    // Far more than the socket and the buffer hold together.
    sim.until("far ahead", |verdict| {
        let session = &verdict["sessions"][0];
        session["last_seq"].as_u64() > session["delivered_seq"].as_u64().map(|seq| seq + 20_000)
    })
    .await;
    assert_eq!(client.end().await, Heard::Closed(Some(4000)));
}
