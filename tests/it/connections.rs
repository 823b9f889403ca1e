//! Connections that Discord ends, answers oddly, or leaves without an answer: each is left in its time, tried
//! again ever more seldom, and costs no session that Discord still keeps.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fleet::{Fleet, judge::living, wait::LIMIT};

/// The fault `interrupt` with these fields.
fn interrupt(moment: &str, fields: &Value) -> Value {
    let mut fault = json!({ "fault": "interrupt", "moment": moment });
    let fields = fields.as_object().unwrap().clone();
    fault.as_object_mut().unwrap().extend(fields);
    fault
}

/// Some milliseconds of a fault, and what four shards may try meanwhile: at once, then after a pause that
/// doubles from a second.
const OUTAGE_MS: u64 = 6_000;
const MOST_TRIES: u64 = 4 * 5;

/// Every way to end a connection in place of HELLO. 4 shards once made 3,348 connections in 15 s.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_before_hello_is_tried_again_ever_more_seldom() {
    let mut fleet = Fleet::start().events_per_second(200).await;
    let op_7 = r#"{"op":7,"d":null}"#;
    for how in [
        json!({ "then": "close" }),
        json!({ "then": "rst" }),
        json!({ "then": "fin" }),
        json!({ "then": "close", "code": 1001 }),
        json!({ "then": "close", "code": 4000 }),
        json!({ "then": "wait", "say": op_7 }),
        json!({ "then": "close", "say": op_7 }),
    ] {
        // What was live for ten seconds may be tried again soon.
        fleet.flow_for(11).await;
        let before = fleet.sim_verdict().await.attempts;
        let figures = fleet.discord.figures().await;
        let mut fault = interrupt("connect", &how);
        fault["for_ms"] = json!(OUTAGE_MS);
        assert_eq!(fleet.fault(fault).await, 1);
        assert_eq!(fleet.fault(json!({ "fault": "drop" })).await, 4);
        fleet.resumed_since(&figures, 4).await;
        let tries = fleet.sim_verdict().await.attempts - before;
        // The last four are those that came back.
        assert!((8..=MOST_TRIES + 4).contains(&tries), "{tries} after {how}");
    }
    let worst = fleet.sim_verdict().await.worst_second;
    assert!(worst <= 16, "{worst} connections in a second");
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// IDENTIFY and RESUME that are never answered, and a RESUME that is answered by events but never by RESUMED.
/// Heartbeats are acknowledged all the while.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_is_waited_for_a_while_and_asked_for_again() {
    /// A replay may take 90 s, READY 60 s; then comes another try.
    const UNTIL: Duration = Duration::from_secs(180);
    let mut fleet = Fleet::start().events_per_second(200).await;
    fleet.flow(200).await;
    let before = fleet.discord.figures().await;
    for (moment, shard) in [("resume", 0), ("replayed", 1), ("identify", 2)] {
        let fields = json!({ "count": 1, "shards": [shard] });
        assert_eq!(fleet.fault(interrupt(moment, &fields)).await, 1);
    }
    let invalidate = json!({ "fault": "invalidate", "resumable": false, "shards": [2] });
    assert_eq!(fleet.fault(invalidate).await, 1);
    let drop = json!({ "fault": "drop", "shards": [0, 1] });
    assert_eq!(fleet.fault(drop).await, 2);
    fleet
        .wait_until("every shard is back", UNTIL, |state| {
            let now = &state.discord;
            now.ready == 4 && now.identifies == before.identifies + 1
        })
        .await;
    // The simulator counts a shard whose RESUMED it withholds as ready. The fleet does not.
    fleet
        .wait_until("every shard says so", UNTIL, |state| {
            state.fleet.shards.ready == 4
        })
        .await;
    let log = fleet.log("gateway-0");
    for said in ["RESUME was not answered", "IDENTIFY was not answered"] {
        assert!(log.contains(said), "it is not said: {said}: {log}");
    }
    fleet.flow(200).await;
    let report = fleet.audit().await;
    assert_eq!(report.gaps, 1, "{report:?}");
    assert_eq!(living(&fleet.sim_verdict().await).count(), 4);
}

/// A HELLO whose interval is no interval ends its connection; nothing panics, and the next try is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_hello_that_makes_no_sense_ends_its_connection_alone() {
    let mut fleet = Fleet::start().events_per_second(200).await;
    for interval in [
        r#"{"heartbeat_interval":0}"#,
        r#"{"heartbeat_interval":1}"#,
        r#"{"heartbeat_interval":-41250}"#,
        r#"{"heartbeat_interval":1e300}"#,
        r#"{"heartbeat_interval":"41250"}"#,
        "{}",
        "null",
    ] {
        fleet.flow_for(11).await;
        let before = fleet.discord.figures().await;
        let say = format!(r#"{{"op":10,"d":{interval},"s":null,"t":null}}"#);
        let fault = interrupt("connect", &json!({ "say": say, "count": 4 }));
        assert_eq!(fleet.fault(fault).await, 1);
        assert_eq!(fleet.fault(json!({ "fault": "drop" })).await, 4);
        fleet.resumed_since(&before, 4).await;
        let tries = fleet.discord.figures().await.connections - before.connections;
        assert_eq!(tries, 8, "{interval}");
    }
    assert!(
        fleet
            .log("gateway-0")
            .contains("no usable heartbeat_interval")
    );
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// Only `"d":true` says that a session lives: after every other op 9 the shard begins anew, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn an_op_9_of_any_shape_is_understood() {
    let shapes = [
        r#"{"op":9}"#,
        r#"{"op":9,"d":null}"#,
        r#"{"op":9,"d":0}"#,
        r#"{"op":9,"d":1}"#,
        r#"{"op":9,"d":"true"}"#,
        r#"{"op":9,"d":[true]}"#,
        r#"{"d":{"op":0,"d":true},"op":9}"#,
        r#"{"d":false,"s":null,"op":9,"t":null}"#,
        r#"{"d":true,"s":null,"op":9,"t":null}"#,
    ];
    let shards = u32::try_from(shapes.len()).unwrap();
    // The simulator does not know that it said so: it keeps the old sessions a while.
    let start = Fleet::start().discord("--session-ttl=20s");
    let start = start.shards(shards).group_size(3);
    let mut fleet = start.events_per_second(300).await;
    fleet.flow(300).await;
    let before = fleet.discord.figures().await;
    for (shard, text) in shapes.iter().enumerate() {
        let raw = json!({ "fault": "raw", "text": text, "shards": [shard] });
        assert_eq!(fleet.fault(raw).await, 1, "{text}");
    }
    fleet
        .wait_until("new sessions, and one resumed", LIMIT, |state| {
            let now = &state.discord;
            let back = now.connected == shards && now.ready == shards;
            back && now.identifies == before.identifies + 8 && now.resumes == before.resumes + 1
        })
        .await;
    fleet.flow(300).await;
    assert_eq!(fleet.audit().await.gaps, 8);
}

/// An opcode inside `d` is data, wherever `d` stands; what is no payload at all is passed over.
#[tokio::test(flavor = "multi_thread")]
async fn an_opcode_inside_d_moves_nothing() {
    let mut fleet = Fleet::start().events_per_second(200).await;
    let before = fleet.discord.figures().await;
    for text in [
        r#"{"d":{"op":7},"op":11,"s":null,"t":null}"#,
        r#"{"d":{"op":9,"d":false},"s":null,"t":null,"op":11}"#,
        r#"{"d":{"op":10,"d":{"heartbeat_interval":1}},"op":11}"#,
        r#"{"d":{"heartbeat_interval":0},"op":10}"#,
        r#"{"d":{"x":"{\"op\":7}"},"op":6,"t":"\"op\":7"}"#,
        r#"{"t":"MESSAGE_CREATE","d":{"op":7,"x":[{"op":9}]},"s":"next","op":0}"#,
        r#"{"op":"7"}"#,
        r#"{"op":256,"d":null}"#,
        r#"{"op":-7}"#,
        r"[7]",
        "op 7",
        "",
    ] {
        let raw = json!({ "fault": "raw", "text": text });
        assert_eq!(fleet.fault(raw).await, 4, "{text}");
        fleet.flow(50).await;
    }
    let now = fleet.discord.figures().await;
    assert_eq!((now.connections, now.ready), (before.connections, 4));
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// The gateway moves: its old URL and every resume URL refuse, REST names a new one. Sessions are resumed there.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_moves_is_found_again() {
    let mut fleet = Fleet::start().events_per_second(200).await;
    for (to, old) in [("b", "refuse"), ("c", "hang"), ("d", "503")] {
        fleet.flow_for(11).await;
        let before = fleet.discord.figures().await;
        let moved = json!({ "fault": "move_gateway", "to": to, "old": old });
        assert_eq!(fleet.fault(moved).await, 1);
        assert_eq!(fleet.fault(json!({ "fault": "drop" })).await, 4);
        fleet.resumed_since(&before, 4).await;
    }
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// While REST cannot be read nobody knows where to IDENTIFY: never at a session's own URL. The simulator holds
/// that against a client (`identify_at_resume_url`).
#[tokio::test(flavor = "multi_thread")]
async fn no_identify_goes_to_a_resume_url_while_rest_is_away() {
    let mut fleet = Fleet::start().events_per_second(200).await;
    fleet.flow(200).await;
    let before = fleet.discord.figures().await;
    let moved = json!({ "fault": "move_gateway", "to": "b", "old": "refuse" });
    assert_eq!(fleet.fault(moved).await, 1);
    let away = json!({ "fault": "rest", "route": "/gateway", "status": 503, "for_ms": 15_000 });
    assert_eq!(fleet.fault(away).await, 1);
    let invalidate = json!({ "fault": "invalidate", "resumable": false });
    assert_eq!(fleet.fault(invalidate).await, 4);
    fleet
        .wait_until("new sessions", LIMIT * 2, |state| {
            let now = &state.discord;
            now.ready == 4 && now.identifies == before.identifies + 4
        })
        .await;
    fleet.flow(200).await;
    assert_eq!(fleet.audit().await.gaps, 4);
}
