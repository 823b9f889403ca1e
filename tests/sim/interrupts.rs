//! A connection can be interrupted at every moment of its life, in every way.

use serde_json::{Value, json};

use crate::client::{Client, Heard};
use crate::support::Sim;

const PATH: &str = "/?v=10&encoding=json";

async fn connect(sim: &Sim) -> Client {
    Client::try_connect(sim.address, PATH).await.unwrap()
}

async fn interrupt(sim: &Sim, fields: Value) {
    let mut fault = json!({ "fault": "interrupt" });
    fault
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    assert_eq!(sim.fault(&fault.to_string()).await, 1);
}

/// Its heartbeat is answered, with nothing before the answer.
async fn only_beats(client: &mut Client) {
    client.send(&json!({ "op": 1, "d": null })).await;
    assert_eq!(client.payload().await["op"], 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_in_place_of_hello() {
    let sim = Sim::start("").await;
    for (fields, heard, reset) in [
        (json!({ "then": "rst" }), Heard::Cut, true),
        (json!({ "then": "fin" }), Heard::Cut, false),
        (json!({ "then": "close" }), Heard::Closed(None), false),
        (
            json!({ "then": "close", "code": 1001 }),
            Heard::Closed(Some(1001)),
            false,
        ),
        (
            json!({ "then": "close", "code": 4000 }),
            Heard::Closed(Some(4000)),
            false,
        ),
    ] {
        let mut fault = json!({ "moment": "connect", "count": 2 });
        fault
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        interrupt(&sim, fault).await;
        for _ in 0..2 {
            let mut client = connect(&sim).await;
            assert_eq!(
                (client.hear().await, client.reset),
                (heard_again(&heard), reset),
                "{fields}"
            );
        }
        Client::hello(sim.address, "").await;
    }
    assert_eq!(sim.verdict().await["ok"], true);
}

fn heard_again(heard: &Heard) -> Heard {
    match heard {
        Heard::Closed(code) => Heard::Closed(*code),
        Heard::Cut => Heard::Cut,
        Heard::Payload(value) => Heard::Payload(value.clone()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn op_7_comes_before_hello_or_instead_of_it() {
    let sim = Sim::start("").await;
    for then in ["wait", "go_on", "close"] {
        interrupt(
            &sim,
            json!({ "moment": "connect", "say": r#"{"op":7,"d":null}"#, "then": then, "count": 1 }),
        )
        .await;
        let mut client = connect(&sim).await;
        assert_eq!(client.payload().await["op"], 7);
        match then {
            "go_on" => assert_eq!(client.payload().await["op"], 10),
            "close" => assert_eq!(client.end().await, Heard::Closed(None)),
            _ => {
                only_beats(&mut client).await;
                assert_eq!(sim.broken().await, ["before_hello"]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_after_hello() {
    let sim = Sim::start("").await;
    interrupt(
        &sim,
        json!({ "moment": "hello", "then": "rst", "count": 1 }),
    )
    .await;
    let mut client = connect(&sim).await;
    assert_eq!(client.payload().await["op"], 10);
    assert_eq!((client.hear().await, client.reset), (Heard::Cut, true));
    interrupt(
        &sim,
        json!({ "moment": "hello", "then": "close", "code": 4000, "for_ms": 60_000 }),
    )
    .await;
    for _ in 0..3 {
        let mut client = connect(&sim).await;
        assert_eq!(client.payload().await["op"], 10);
        assert_eq!(client.hear().await, Heard::Closed(Some(4000)));
    }
    interrupt(&sim, json!({ "moment": "hello", "then": "go_on" })).await;
    Client::ready(sim.address, "", (0, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hello_may_ask_for_odd_heartbeats_and_nothing_is_demanded_then() {
    let sim =
        Sim::start("--heartbeat-interval-ms 60 --heartbeat-grace 50 --events-per-second 0").await;
    let odd = [
        "{}",
        "null",
        "7",
        r#"{"heartbeat_interval":0}"#,
        r#"{"heartbeat_interval":-5}"#,
        r#"{"heartbeat_interval":1}"#,
        r#"{"heartbeat_interval":4294967296000}"#,
        r#"{"heartbeat_interval":"x"}"#,
        r#"{"heartbeat_interval":null}"#,
        r#"{"heartbeat_interval":2.5}"#,
    ];
    for d in odd {
        let say = format!(r#"{{"op":10,"d":{d}}}"#);
        interrupt(&sim, json!({ "moment": "connect", "say": say, "count": 1 })).await;
        let mut client = connect(&sim).await;
        assert_eq!(
            client.payload().await,
            json!({ "op": 10, "d": serde_json::from_str::<Value>(d).unwrap() })
        );
        // Later than a usual client would be closed for.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        only_beats(&mut client).await;
        client.identify((0, 1)).await;
        client.until("READY").await;
        client.close(4000).await;
    }
    assert!(sim.broken().await.is_empty());
    let mut usual = Client::hello(sim.address, "").await;
    assert_eq!(usual.end().await, Heard::Closed(Some(4009)));
    // One that can be met is demanded.
    interrupt(
        &sim,
        json!({ "moment": "connect", "say": r#"{"op":10,"d":{"heartbeat_interval":30}}"#, "count": 1 }),
    )
    .await;
    assert_eq!(connect(&sim).await.end().await, Heard::Closed(Some(4009)));
    assert_eq!(sim.broken().await, ["heartbeat_late", "heartbeat_late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn identify_is_never_answered_but_heartbeats_are() {
    let sim = Sim::start("--identify-window 60s").await;
    interrupt(
        &sim,
        json!({ "moment": "identify", "shards": [1], "count": 1 }),
    )
    .await;
    let _other = Client::ready(sim.address, "", (0, 2)).await;
    let mut client = Client::hello(sim.address, "").await;
    client.identify((1, 2)).await;
    only_beats(&mut client).await;
    let verdict = sim.verdict().await;
    assert_eq!(
        (&verdict["identifies"], &verdict["identifies_refused"]),
        (&json!(1), &json!(1))
    );
    // It cost an identify, and its bucket is used.
    assert_eq!(verdict["identifies_remaining"], 998);
    let mut again = Client::hello(sim.address, "").await;
    again.identify((1, 2)).await;
    assert_eq!(again.op().await["op"], 9);
    assert_eq!(sim.broken().await, ["identify_concurrency"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_shard_is_refused_with_4004() {
    let sim = Sim::start("").await;
    interrupt(
        &sim,
        json!({ "moment": "identify", "shards": [1], "then": "close", "code": 4004 }),
    )
    .await;
    let mut client = Client::hello(sim.address, "").await;
    client.identify((1, 2)).await;
    assert_eq!(client.hear().await, Heard::Closed(Some(4004)));
    Client::ready(sim.address, "", (0, 2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_is_never_answered_and_the_session_lives_on() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.close(4000).await;
    interrupt(&sim, json!({ "moment": "resume", "count": 1 })).await;
    let mut hung = client.resume(sim.address, "").await;
    only_beats(&mut hung).await;
    let mut other = client.resume(sim.address, "").await;
    other.until("RESUMED").await;
    only_beats(&mut hung).await;
    for (then, reset) in [("fin", false), ("rst", true)] {
        other.close(4000).await;
        interrupt(
            &sim,
            json!({ "moment": "resume", "then": then, "count": 1 }),
        )
        .await;
        let mut cut = other.resume(sim.address, "").await;
        assert_eq!((cut.hear().await, cut.reset), (Heard::Cut, reset), "{then}");
        other = other.resume(sim.address, "").await;
        other.until("RESUMED").await;
    }
    assert_eq!(
        (
            &sim.verdict().await["ok"],
            &sim.verdict().await["identifies"]
        ),
        (&json!(true), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_is_answered_by_events_but_never_by_resumed() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.read(20).await;
    client.close(4000).await;
    interrupt(&sim, json!({ "moment": "replayed", "count": 1 })).await;
    let mut other = client.resume(sim.address, "").await;
    for _ in 0..500 {
        let heard = other.payload().await;
        assert!(heard["op"] == 0 && heard["t"] != "RESUMED", "{heard}");
    }
    assert_eq!(other.got[0].0, client.seq + 1);
    other.close(4000).await;
    other.resume(sim.address, "").await.until("RESUMED").await;
    assert_eq!(sim.verdict().await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_after_ready_or_resumed_was_sent() {
    let sim = Sim::start("").await;
    interrupt(
        &sim,
        json!({ "moment": "ready", "then": "rst", "count": 1 }),
    )
    .await;
    let mut client = Client::hello(sim.address, "").await;
    client.identify((0, 1)).await;
    client.until("READY").await;
    assert_eq!(client.end().await, Heard::Cut);
    for (fault, heard) in [
        (
            json!({ "moment": "resumed", "then": "rst", "count": 1 }),
            Heard::Cut,
        ),
        (
            json!({ "moment": "resumed", "then": "close", "code": 4000, "count": 1 }),
            Heard::Closed(Some(4000)),
        ),
        (
            json!({ "moment": "replayed", "then": "close", "count": 1 }),
            Heard::Closed(None),
        ),
    ] {
        let resumed = fault["moment"] == "resumed";
        interrupt(&sim, fault).await;
        client = client.resume(sim.address, "").await;
        if resumed {
            client.until("RESUMED").await;
        }
        assert_eq!(client.end().await, heard);
    }
    client.resume(sim.address, "").await.until("RESUMED").await;
    let verdict = sim.verdict().await;
    assert_eq!(
        (&verdict["ok"], &verdict["identifies"]),
        (&json!(true), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn op_9_says_anything_in_answer_to_resume() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.close(4000).await;
    for say in [
        r#"{"t":null,"s":null,"op":9}"#,
        r#"{"op":9,"d":null}"#,
        r#"{"op":9,"d":0}"#,
        r#"{"op":9,"d":"false"}"#,
        r#"{"op":9,"d":true}"#,
    ] {
        for then in ["wait", "close"] {
            interrupt(
                &sim,
                json!({ "moment": "resume", "say": say, "then": then, "count": 2 }),
            )
            .await;
            for _ in 0..2 {
                let mut refused = client.resume(sim.address, "").await;
                assert_eq!(
                    refused.payload().await,
                    serde_json::from_str::<Value>(say).unwrap()
                );
                if then == "close" {
                    assert_eq!(refused.end().await, Heard::Closed(None));
                } else {
                    only_beats(&mut refused).await;
                }
            }
        }
    }
    client.resume(sim.address, "").await.until("RESUMED").await;
    assert_eq!(sim.verdict().await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn op_9_says_anything_to_a_session_that_lives_or_ends() {
    let sim = Sim::start("--events-per-second 0").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    for (resumable, say, close) in [
        (true, Some(r#"{"op":9,"d":null}"#), true),
        (true, None, true),
        (false, Some(r#"{"t":null,"s":null,"op":9}"#), false),
    ] {
        let fault =
            json!({ "fault": "invalidate", "resumable": resumable, "say": say, "close": close });
        assert_eq!(sim.fault(&fault.to_string()).await, 1);
        let usual = format!(r#"{{"t":null,"s":null,"op":9,"d":{resumable}}}"#);
        let said: Value = serde_json::from_str(say.unwrap_or(&usual)).unwrap();
        assert_eq!(client.op().await, said);
        if close {
            assert_eq!(client.end().await, Heard::Closed(Some(4000)));
        } else {
            only_beats(&mut client).await;
        }
        client = client.resume(sim.address, "").await;
        if resumable {
            client.until("RESUMED").await;
        } else {
            assert_eq!(client.op().await["d"], false);
        }
    }
    assert_eq!(
        sim.verdict().await["sessions"][0]["end_reason"],
        "invalidated"
    );
    assert_eq!(sim.verdict().await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_explained() {
    let sim = Sim::start("").await;
    for (fault, word) in [
        (json!({ "moment": "connect", "shards": [0] }), "shards"),
        (
            json!({ "moment": "resume", "then": "fin", "code": 4000 }),
            "code",
        ),
        (
            json!({ "moment": "resume", "then": "close", "code": 1006 }),
            "code",
        ),
        (json!({ "moment": "noon" }), "replayed"),
    ] {
        let mut body = json!({ "fault": "interrupt" });
        body.as_object_mut()
            .unwrap()
            .extend(fault.as_object().unwrap().clone());
        let (status, answer) = sim.post("/sim/fault", &body.to_string()).await;
        assert_eq!(status, 400);
        assert!(answer["error"].as_str().unwrap().contains(word), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn identify_belongs_to_the_main_url() {
    let sim = Sim::start("").await;
    let path = "/resume/?v=10&encoding=json";
    let mut client = Client::try_connect(sim.address, path).await.unwrap();
    client.payload().await;
    client.identify((0, 1)).await;
    client.until("READY").await;
    assert_eq!(sim.broken().await, ["identify_at_resume_url"]);
    // After op 9 the same socket will do.
    let mut client = Client::try_connect(sim.address, path).await.unwrap();
    client.payload().await;
    client.send_resume("simulated", "unknown", 1).await;
    assert_eq!(client.op().await["op"], 9);
    client.identify((1, 2)).await;
    client.until("READY").await;
    assert_eq!(sim.broken().await.len(), 1);
}
