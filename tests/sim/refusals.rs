//! Every close code, and the limits: as strict as Discord.

use serde_json::{Value, json};

use crate::client::{Client, Heard, identify};
use crate::support::Sim;

/// Sends one frame to a fresh connection; the close code that answers.
async fn refused(sim: &Sim, query: &str, frame: &Value) -> Heard {
    let mut client = Client::try_connect(sim.address, query).await.unwrap();
    client.send(frame).await;
    client.end().await
}

const QUERY: &str = "/?v=10&encoding=json";

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_has_its_close_code_and_its_rule() {
    let sim = Sim::start("--min-shards 2 --shard-multiple 2 --disallow-intents 256").await;
    let presence = json!({ "op": 3, "d": { "since": null, "activities": [], "status": "idle", "afk": false } });
    let two = json!([0, 2]);
    let cases = [
        (json!({ "op": 99 }), 4001, "bad_opcode"),
        (json!({ "op": 2, "d": {} }), 4001, "bad_payload"),
        (json!("text"), 4002, "bad_payload"),
        (
            json!({ "op": 1, "d": null, "x": "y".repeat(4096) }),
            4002,
            "payload_size",
        ),
        (presence, 4003, "not_authenticated"),
        (identify("wrong", &two, &json!(1)), 4004, "wrong_token"),
        (
            json!({ "op": 6, "d": { "token": "wrong", "session_id": "x", "seq": 1 } }),
            4004,
            "wrong_token",
        ),
        (
            identify("simulated", &json!([2, 2]), &json!(1)),
            4010,
            "bad_shard",
        ),
        (
            identify("simulated", &json!([0, 3]), &json!(1)),
            4010,
            "bad_shard",
        ),
        (
            identify("simulated", &json!([0]), &json!(1)),
            4010,
            "bad_shard",
        ),
        (
            identify("simulated", &Value::Null, &json!(1)),
            4011,
            "sharding_required",
        ),
        (
            identify("simulated", &two, &json!(1_u64 << 40)),
            4013,
            "bad_intents",
        ),
        (
            identify("simulated", &two, &json!("all")),
            4013,
            "bad_intents",
        ),
        (
            identify("simulated", &two, &json!(256)),
            4014,
            "disallowed_intents",
        ),
    ];
    let mut expected = Vec::new();
    for (frame, code, rule) in cases {
        assert_eq!(
            refused(&sim, QUERY, &frame).await,
            Heard::Closed(Some(code)),
            "{rule}"
        );
        expected.push(rule);
    }
    for query in ["/?encoding=json", "/?v=8&encoding=json"] {
        assert_eq!(
            refused(&sim, query, &json!({})).await,
            Heard::Closed(Some(4012))
        );
        expected.push("bad_version");
    }
    assert_eq!(sim.broken().await, expected);
    let verdict = sim.verdict().await;
    assert_eq!(
        (&verdict["ok"], &verdict["identifies"]),
        (&json!(false), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn identifying_twice_is_4005() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.identify((0, 1)).await;
    assert_eq!(client.end().await, Heard::Closed(Some(4005)));
    assert_eq!(sim.broken().await, ["already_authenticated"]);
    client.resume(sim.address, "").await.until("RESUMED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_ahead_is_4007() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.close(4000).await;
    client.seq = 1_000_000;
    let mut again = client.resume(sim.address, "").await;
    assert_eq!(again.end().await, Heard::Closed(Some(4007)));
    assert_eq!(sim.broken().await, ["sequence_ahead"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_121st_frame_of_a_minute_is_4008() {
    let sim = Sim::start("--events-per-second 0").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    for _ in 0..119 {
        client.send(&json!({ "op": 1, "d": null })).await;
        assert_eq!(client.op().await["op"], 11);
    }
    assert!(sim.broken().await.is_empty());
    client.send(&json!({ "op": 1, "d": null })).await;
    assert_eq!(client.end().await, Heard::Closed(Some(4008)));
    assert_eq!(sim.broken().await, ["command_rate"]);
    // A new connection counts afresh.
    client.resume(sim.address, "").await.until("RESUMED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_heartbeat_ends_the_connection_not_the_session() {
    let sim = Sim::start("--heartbeat-interval-ms 200 --heartbeat-grace 50").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    assert_eq!(client.end().await, Heard::Closed(Some(4009)));
    assert_eq!(sim.broken().await, ["heartbeat_late"]);
    client.resume(sim.address, "").await.until("RESUMED").await;
    let sim = Sim::start("--heartbeat-interval-ms 100 --late-heartbeat-code 1000").await;
    assert_eq!(
        Client::ready(sim.address, "", (0, 1)).await.end().await,
        Heard::Closed(Some(1000))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_identify_a_bucket_and_window() {
    let sim = Sim::start("--max-concurrency 2 --identify-window 60s").await;
    let _zero = Client::ready(sim.address, "", (0, 4)).await;
    let _one = Client::ready(sim.address, "", (1, 4)).await;
    let mut two = Client::hello(sim.address, "").await;
    two.identify((2, 4)).await;
    assert_eq!(
        two.op().await,
        json!({ "t": null, "s": null, "op": 9, "d": false })
    );
    let verdict = sim.verdict().await;
    assert_eq!(verdict["violations"][0]["rule"], "identify_concurrency");
    assert_eq!(verdict["violations"][0]["shard"], 2);
    assert_eq!(
        (&verdict["identifies"], &verdict["identifies_refused"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(verdict["identifies_remaining"], 998);
    // More buckets: room again.
    assert_eq!(
        sim.post("/sim/max-concurrency", r#"{"max_concurrency":4}"#)
            .await
            .0,
        200
    );
    two.identify((2, 4)).await;
    two.until("READY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_identifies_may_count_and_op_9_may_close() {
    let sim = Sim::start("--identify-window 60s --max-concurrency 1 --count-failed-identifies --invalid-session-closes").await;
    let _zero = Client::ready(sim.address, "", (0, 4)).await;
    let mut one = Client::hello(sim.address, "").await;
    one.identify((1, 4)).await;
    assert_eq!(one.op().await["op"], 9);
    assert_eq!(one.end().await, Heard::Closed(Some(4000)));
    assert_eq!(sim.verdict().await["identifies_remaining"], 998);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_daily_limit_everything_ends() {
    let sim = Sim::start("--session-start-total 2").await;
    let mut first = Client::ready(sim.address, "", (0, 4)).await;
    let _second = Client::ready(sim.address, "", (1, 4)).await;
    let mut third = Client::hello(sim.address, "").await;
    third.identify((2, 4)).await;
    assert_eq!(third.end().await, Heard::Closed(Some(4004)));
    assert_eq!(first.end().await, Heard::Closed(Some(4004)));
    assert_eq!(sim.broken().await, ["daily_limit"]);
    let verdict = sim.verdict().await;
    assert!(
        verdict["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["end_reason"] == "token_reset")
    );
    assert_eq!(
        sim.get("/api/v10/gateway/bot", Some("Bot simulated"))
            .await
            .0,
        401
    );
    assert_eq!(
        first.resume(sim.address, "").await.end().await,
        Heard::Closed(Some(4004))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_used_twice_is_seen() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 2)).await;
    let mut thief = client.resume(sim.address, "").await;
    thief.until("RESUMED").await;
    assert_eq!(client.end().await, Heard::Closed(Some(4000)));
    sim.until("seen", |verdict| {
        verdict["violations"][0]["rule"] == "session_used_twice"
    })
    .await;
    let _twin = Client::ready(sim.address, "", (0, 2)).await;
    sim.until("seen again", |verdict| {
        verdict["violations"][1]["rule"] == "session_used_twice"
    })
    .await;
    // Another shard count is a fleet that takes over: no fault.
    let _other = Client::ready(sim.address, "", (0, 3)).await;
    thief.read(200).await;
    assert_eq!(sim.broken().await.len(), 2);
}
