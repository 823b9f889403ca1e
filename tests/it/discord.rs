//! Discord is not well: late, half away, or never letting a session go on.

use std::time::Duration;

use async_nats::HeaderMap;
use serde_json::json;
use shardfleet::wire::event::{MESSAGE_ID, parse_message_id};

use crate::support::fleet::{
    Fleet,
    judge::living,
    wait::{LIMIT, SOON, eventually},
};

/// The host that READY named answers 503 from now on: after one try there the generic one is resumed at.
#[tokio::test(flavor = "multi_thread")]
async fn a_resume_host_that_is_away_for_ever_is_done_without() {
    let start = Fleet::start().shards(8).group_size(4);
    let mut fleet = start.events_per_second(400).await;
    fleet.flow(300).await;
    let away = json!({ "fault": "resume_host", "mode": "503" });
    assert_eq!(fleet.fault(away).await, 1);
    for (round, fault) in (1..).zip(["reconnect", "drop"]) {
        let before = fleet.discord.figures().await;
        assert_eq!(fleet.fault(json!({ "fault": fault })).await, 8, "{round}");
        fleet.resumed_since(&before, 8).await;
        fleet.flow(300).await;
    }
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// Every socket ends at once, without a close frame; several times in a row.
#[tokio::test(flavor = "multi_thread")]
async fn all_sockets_dropped_at_once_are_resumed() {
    let start = Fleet::start().shards(8).group_size(4);
    let mut fleet = start.events_per_second(400).await;
    for _ in 0..3 {
        let before = fleet.discord.figures().await;
        fleet.flow(200).await;
        assert_eq!(fleet.fault(json!({ "fault": "drop" })).await, 8);
        fleet.resumed_since(&before, 8).await;
    }
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// Heartbeats that are answered late, but before the next one is due, cost nothing. Silence does, and so do
/// heartbeats that are never answered while events flow: both connections pass for dead, and are resumed.
#[tokio::test(flavor = "multi_thread")]
async fn late_heartbeat_answers_cost_nothing_and_missing_ones_a_connection() {
    let start = Fleet::start().discord("--heartbeat-interval-ms=6000");
    let mut fleet = start.events_per_second(400).await;
    let before = fleet.discord.figures().await;
    let slow = |ms: u32| json!({ "fault": "slow_ack", "ms": ms });
    assert_eq!(fleet.fault(slow(2_000)).await, 1);
    fleet.flow_for(13).await;
    let now = fleet.discord.figures().await;
    assert_eq!((now.connections, now.connected), (before.connections, 4));
    assert_eq!(fleet.fault(slow(600_000)).await, 1);
    fleet.resumed_since(&before, 4).await;
    assert_eq!(fleet.fault(slow(0)).await, 1);
    fleet.flow_for(13).await;
    let before = fleet.discord.figures().await;
    let silence = json!({ "fault": "silence", "for_ms": 60_000 });
    assert_eq!(fleet.fault(silence).await, 4);
    fleet.resumed_since(&before, 4).await;
    fleet.flow(400).await;
    assert_eq!(fleet.audit().await.gaps, 0);
    assert_eq!(fleet.discord.figures().await.identifies, 4);
}

/// A session whose every RESUME is answered with op 9 is given up after twelve tries: one gap, one
/// IDENTIFY, and the other shards are not touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_never_resumes_is_given_up_aloud() {
    /// Twelve pauses that double from two seconds to thirty.
    const TRIES: Duration = Duration::from_secs(420);
    // Discord keeps the session longer than the shard tries.
    let start = Fleet::start().discord("--session-ttl=300s");
    let mut fleet = start.events_per_second(200).await;
    fleet.flow(200).await;
    let refuse = json!({ "fault": "refuse_resume", "shards": [1] });
    assert_eq!(fleet.fault(refuse).await, 1);
    let drop = json!({ "fault": "drop", "shards": [1] });
    assert_eq!(fleet.fault(drop).await, 1);
    let before = fleet.discord.figures().await;
    let after = fleet
        .wait_until("a new session", TRIES, |state| {
            state.discord.identifies == 5 && state.discord.ready == 4
        })
        .await;
    let tries = after.discord.connections - before.connections;
    assert!((12..=14).contains(&tries), "{tries} connections");
    let log = fleet.log("gateway-0");
    assert!(
        log.contains("gives up its session"),
        "it is not said: {log}"
    );
    fleet
        .wait_until("the old session is forgotten", LIMIT * 4, |state| {
            state.discord.sessions_live == 4
        })
        .await;
    let report = fleet.audit().await;
    assert_eq!(report.gaps, 1, "{report:?}");
}

/// What is no UTF-8 in a string, and a field that stands twice: the event is stored as it came, and neither its
/// connection nor what follows is lost for it.
#[tokio::test(flavor = "multi_thread")]
async fn payloads_that_a_strict_reader_refuses_are_stored_as_they_came() {
    let mut fleet = Fleet::start().events_per_second(400).await;
    fleet.flow(200).await;
    let before = fleet.discord.figures().await;
    for text in [
        "{\"t\":\"A\",\"s\":\"next\",\"op\":0,\"d\":{\"name\":\"\u{ff}\u{fe}\"}}",
        "{\"op\":0,\"d\":{\"name\":\"\u{e9}\"},\"t\":\"B\",\"s\":\"next\"}",
        r#"{"t":"C","s":"next","op":7,"d":{},"op":0}"#,
        r#"{"t":"D","s":999999,"op":0,"d":{},"s":"next"}"#,
        r#"{"t":"E","op":9,"s":"next","op":0,"d":{}}"#,
    ] {
        let raw = json!({ "fault": "raw", "text": text, "latin1": true });
        assert_eq!(fleet.fault(raw).await, 4);
        fleet.flow(100).await;
    }
    let now = fleet.discord.figures().await;
    assert_eq!(now.connections, before.connections, "a connection was lost");
    assert_eq!(fleet.audit().await.gaps, 0);
    let stored = fleet.messages().await;
    for name in ["A", "B", "C", "D", "E"] {
        let count = stored
            .iter()
            .filter(|message| message.event() == name)
            .count();
        assert_eq!(count, 4, "{name}");
    }
}

/// An event claims the number of a later one. What follows it is stored all the same: those whose numbers were
/// leapt over, and those behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_leaps_silences_nothing_that_follows() {
    let fleet = Fleet::start().await;
    for (leap, after) in [(3_000, "NEAR"), (900_000, "FAR")] {
        let say = |name: &str, seq: String| {
            let text = format!(r#"{{"t":"{name}","s":{seq},"op":0,"d":{{}}}}"#);
            json!({ "fault": "raw", "text": text })
        };
        assert_eq!(fleet.fault(say("LEAP", leap.to_string())).await, 4);
        for _ in 0..30 {
            assert_eq!(fleet.fault(say(after, r#""next""#.to_owned())).await, 4);
        }
        eventually("what follows is stored", SOON, async || {
            let stored = fleet.messages().await;
            let of = |name| {
                stored
                    .iter()
                    .filter(|message| message.event() == name)
                    .count()
            };
            (of(after) == 120).then_some(())
        })
        .await;
    }
    let stored = fleet.messages().await;
    let leaps = stored.iter().filter(|message| message.event() == "LEAP");
    assert_eq!(leaps.count(), 8);
}

/// A session id that somebody else's messages have already: whatever flows in batches by then, nothing of the new
/// session is taken for theirs unsaid.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_id_that_others_have_costs_a_told_hole_at_most() {
    let mut fleet = Fleet::start().at_exactly(800).await;
    fleet.flow(500).await;
    for seq in 1..=2_000 {
        let mut headers = HeaderMap::new();
        headers.insert(MESSAGE_ID, format!("same:{seq}"));
        let client = &fleet.broker.client;
        let sent = client.publish_with_headers("discord.900.X", headers, "{}".into());
        sent.await.unwrap();
    }
    let ready = json!({ "fault": "ready", "session_id": r#""same""#, "count": 1 });
    assert_eq!(fleet.fault(ready).await, 1);
    let ended = json!({ "fault": "invalidate", "resumable": false, "shards": [0] });
    let before = fleet.discord.figures().await;
    assert_eq!(fleet.fault(ended).await, 1);
    fleet
        .discord_sees("a new session", |now| now.identifies > before.identifies)
        .await;
    fleet.flow(2_000).await;
    fleet.discord.traffic(0).await;
    let of_session = eventually("its last event is stored", SOON, async || {
        let messages = fleet.messages().await;
        let of_session = messages.iter().filter_map(|message| {
            let (session, seq) = parse_message_id(message.header(MESSAGE_ID)?)?;
            let is_of = session.starts_with("unnamed-0-");
            is_of.then(|| (message.event().to_owned(), seq))
        });
        let of_session: Vec<_> = of_session.collect();
        let verdict = fleet.sim_verdict().await;
        let session = living(&verdict).find(|session| session.id == "same")?;
        (of_session.last()?.1 == session.last_seq).then_some(of_session)
    })
    .await;
    let (first, rest) = of_session.split_first().unwrap();
    assert!(matches!(&*first.0, "READY" | "FLEET_GAP"), "{first:?}");
    let mut last = first.1;
    for (event, seq) in rest {
        assert_eq!(*seq, last + 1, "{event} stands behind {last}");
        last = *seq;
    }
}
