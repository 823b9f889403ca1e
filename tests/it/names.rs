//! What Discord calls its events, sessions and numbers: nothing that came is lost for it. From a payload as
//! it is read from the socket to a real stream, and back to where the shard's next owner begins.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use shardfleet::{
    clock,
    fleet::{Layout, ShardId},
    gateway::{
        forward::{End, Last, Outlet, Publisher},
        gauge::Gauges,
        inbox::Inbox,
        kind::Kinds,
        peek::peek,
        session::{self, ResumePoint},
        sessions::Sessions,
        shard::{Sink, intake::Intake},
        track::Track,
    },
    subject::Names,
    telemetry::seldom::Seldom,
    wire::{
        event::{EVENT_NAME, GapReason, MESSAGE_ID},
        topology::Topology,
    },
};

use crate::support::{
    LIMIT,
    nats::Nats,
    publisher::{Group, STREAM, Stored, begin, connect, create_stream, lease, publisher, stored},
};

const SHARD: ShardId = ShardId(5);

/// A shard's intake and a publisher behind it, without a socket.
struct Shard {
    intake: Intake,
    publisher: Box<Publisher>,
}

impl Shard {
    async fn open(nats: &Nats, group: Option<&Group>, track: Track, allow: &[&str]) -> Self {
        let broker = connect(&nats.url).await;
        let (lease, held) = lease();
        // It outlasts the test.
        std::mem::forget(lease);
        let (handover, publisher) = publisher(&broker, group, SHARD.0, held).await;
        let layout = Layout {
            generation: 1,
            shards: 8,
            group_size: 8,
        };
        let topology = Arc::new(Topology {
            application: None,
            v: 1,
            layout,
            allow: allow.iter().map(ToString::to_string).collect(),
            deny: Vec::new(),
        });
        let kinds = Kinds::new(Names::new("discord"), SHARD, Arc::from([]), topology);
        let sink = Sink {
            handover,
            budget: publisher.budget.clone(),
            gauge: Gauges::default().add(SHARD),
            sessions: Sessions::default(),
        };
        let intake = Intake::new(SHARD, track, kinds, sink);
        Self { intake, publisher }
    }

    fn reads(&mut self, text: &str) {
        let head = peek(text).unwrap_or_else(|| panic!("no payload: {text}"));
        let known = self.intake.known(&head);
        _ = self
            .intake
            .dispatch(known, text.to_owned().into(), clock::now());
    }

    /// Everything taken is stored. `last`: of the stream, when it began.
    async fn ends(self, last: u64) {
        let Self { intake, publisher } = self;
        drop(intake);
        let end = tokio::time::timeout(LIMIT, publisher.run(last)).await;
        assert_eq!(end.expect("not stored in time"), End::Flushed);
    }
}

fn ready(id: &Value) -> String {
    let d = json!({ "session_id": id, "resume_gateway_url": 7 });
    format!(r#"{{"t":"READY","s":1,"op":0,"d":{d}}}"#)
}

/// Where the next owner of the shard begins, without a key.
async fn resumes(nats: &Nats) -> ResumePoint {
    let broker = connect(&nats.url).await;
    let (inbox, hearing) = Inbox::open(&broker).await.unwrap();
    tokio::spawn(hearing);
    let answers = inbox.part();
    let outlet = Outlet::open(&broker, SHARD, STREAM, answers, Seldom::default()).await;
    let (last, gap) = outlet.unwrap().last_and_gap().await;
    assert_ne!(last, Last::Unknown);
    let ready = session::last_ready(&broker, STREAM, SHARD).await.unwrap();
    session::resume_point(None, &last, gap.as_ref(), ready)
}

async fn server() -> Nats {
    let nats = Nats::start(-1).await;
    create_stream(&connect(&nats.url).await).await;
    nats
}

async fn all(nats: &Nats) -> Vec<Stored> {
    stored(&connect(&nats.url).await).await
}

fn ids(stored: &[Stored]) -> Vec<&str> {
    let ids = stored.iter().map(|message| message.header(MESSAGE_ID));
    ids.flatten().collect()
}

/// By a batch and message by message.
#[tokio::test]
async fn an_event_of_any_name_is_stored_as_it_came() {
    let long = format!("{:?}", "Y".repeat(5_000));
    let cut = "Y".repeat(256) + "*";
    let names: &[(&str, Option<&str>)] = &[
        (r#""a.b *>""#, Some("a.b%20%2A%3E")),
        (r#""with space""#, Some("with%20space")),
        ("\"\u{e9}\u{1f600}\"", Some("%C3%A9%F0%9F%98%80")),
        (r#""""#, None),
        (r#"">""#, Some("%3E")),
        (
            r#""a\r\nNats-Msg-Id: x""#,
            Some("a%0D%0ANats-Msg-Id%3A%20x"),
        ),
        (r#""a\u0000b""#, Some("a%00b")),
        (r#""\ud800""#, None),
        ("7", None),
        ("null", None),
        (r#"["X"]"#, None),
        (r#""FLEET_GAP""#, Some("FLEET_GAP")),
        (r#""FLEET_END""#, Some("FLEET_END")),
        (r#""FLEET_UNNAMED""#, Some("FLEET_UNNAMED")),
        (&long, Some(&cut)),
    ];
    for batched in [false, true] {
        let nats = server().await;
        let (_lease, held) = lease();
        let broker = connect(&nats.url).await;
        let group = if batched {
            Some(begin(&broker, held).await)
        } else {
            None
        };
        let mut shard = Shard::open(&nats, group.as_ref(), Track::default(), &[]).await;
        let mut sent = vec![ready(&json!("abc"))];
        for (seq, (name, _)) in (2..).zip(names) {
            sent.push(format!(
                r#"{{"t":{name},"s":{seq},"op":0,"d":{{"id":"1"}}}}"#
            ));
        }
        let seq = sent.len() + 1;
        sent.push(format!(r#"{{"s":{seq},"op":0,"d":{{}}}}"#));
        let seq = seq + 1;
        sent.push(format!(
            r#"{{"t":"\u004dESSAGE_CREATE","s":{seq},"op":0,"d":{{}}}}"#
        ));
        for text in &sent {
            shard.reads(text);
        }
        shard.ends(0).await;

        let stored = all(&nats).await;
        let bodies = stored.iter().map(|message| &message.payload[..]);
        assert!(bodies.eq(sent.iter().map(String::as_bytes)), "{batched}");
        let wanted = (1..=sent.len()).map(|seq| format!("abc:{seq}"));
        assert_eq!(ids(&stored), wanted.collect::<Vec<_>>());
        let (first, rest) = stored.split_first().unwrap();
        let (last, strange) = rest.split_last().unwrap();
        assert_eq!(first.subject, "discord.5.READY");
        assert_eq!(last.subject, "discord.5.MESSAGE_CREATE");
        let headers = names.iter().map(|(_, header)| *header).chain([None]);
        for (message, header) in strange.iter().zip(headers) {
            assert_eq!(message.subject, "discord.5.FLEET_UNNAMED");
            assert_eq!(message.header(EVENT_NAME), header);
        }
        assert!(first.header(EVENT_NAME).is_none() && last.header(EVENT_NAME).is_none());
    }
}

#[tokio::test]
async fn who_allows_one_event_gets_no_strange_ones() {
    let nats = server().await;
    let mut shard = Shard::open(&nats, None, Track::default(), &["MESSAGE_CREATE"]).await;
    shard.reads(&ready(&json!("abc")));
    shard.reads(r#"{"t":"a.b","s":2,"op":0,"d":{}}"#);
    shard.reads(r#"{"t":"MESSAGE_CREATE","s":3,"op":0,"d":{}}"#);
    shard.ends(0).await;
    assert_eq!(ids(&all(&nats).await), ["abc:1", "abc:3"]);
}

/// The session goes on behind each, also at its next owner.
#[tokio::test]
async fn a_number_that_cannot_be_right_silences_nothing() {
    let nats = server().await;
    let mut shard = Shard::open(&nats, None, Track::default(), &[]).await;
    shard.reads(&ready(&json!("abc")));
    let absurd = ["18446744073709551615", "18446744073709551616"];
    let none = ["null", "-1", r#""5""#, "0"];
    for (seq, number) in (2..).zip(absurd.into_iter().chain(none)) {
        shard.reads(&format!(r#"{{"t":"X","s":{number},"op":0,"d":{{}}}}"#));
        shard.reads(&format!(r#"{{"t":"X","s":{seq},"op":0,"d":{{}}}}"#));
    }
    shard.reads(r#"{"t":"X","op":0,"d":{"last":true}}"#);
    shard.ends(0).await;
    let stored = all(&nats).await;
    let mut wanted = vec!["abc:1".to_owned()];
    for seq in 1..=6 {
        wanted.extend([format!("abc:{seq}:+1"), format!("abc:{}", seq + 1)]);
    }
    wanted.push("abc:7:+1".to_owned());
    assert_eq!(ids(&stored), wanted);

    let point = resumes(&nats).await;
    let session = point.session.as_ref().unwrap();
    assert_eq!((&*session.id, session.seq, point.unnumbered), ("abc", 7, 1));
    let last = point.last;
    let mut next = Shard::open(&nats, None, point.track(), &[]).await;
    next.reads(r#"{"t":"X","s":null,"op":0,"d":{"another":true}}"#);
    next.reads(r#"{"t":"X","s":8,"op":0,"d":{}}"#);
    next.ends(last).await;
    let stored = all(&nats).await;
    assert_eq!(ids(&stored)[wanted.len()..], ["abc:7:+2", "abc:8"]);
    assert_eq!(resumes(&nats).await.session.unwrap().seq, 8);
}

/// RESUME names it as Discord did; no header breaks, and nothing panics.
#[tokio::test]
async fn a_session_of_any_name_is_stored_and_resumed() {
    let long = "\u{1f600}".repeat(100);
    for (id, name) in [
        ("cr\r\nlf", "cr%0D%0Alf"),
        ("a:7:gap", "a:7:gap"),
        (" 50% ", "%2050%25%20"),
        (&long, ""),
    ] {
        let nats = server().await;
        let mut shard = Shard::open(&nats, None, Track::default(), &[]).await;
        shard.reads(&ready(&json!(id)));
        shard.reads(r#"{"t":"X","s":2,"op":0,"d":{}}"#);
        assert_eq!(shard.intake.session().unwrap().id, id);
        shard.ends(0).await;
        let stored = all(&nats).await;
        if !name.is_empty() {
            assert_eq!(ids(&stored), [format!("{name}:1"), format!("{name}:2")]);
        }
        let session = resumes(&nats).await.session.unwrap();
        let url = &*session.resume_url;
        assert_eq!((&*session.id, session.seq, url), (id, 2, ""));
    }
}

/// Its events are stored under a name of the fleet's, and its end is said like any other's.
#[tokio::test]
async fn a_ready_that_names_no_session_begins_one_all_the_same() {
    let nats = server().await;
    let mut shard = Shard::open(&nats, None, Track::default(), &[]).await;
    for id in [json!(null), json!(7), json!(""), json!("x".repeat(513))] {
        shard.reads(&ready(&id));
        shard.reads(r#"{"t":"X","s":2,"op":0,"d":{}}"#);
    }
    shard.ends(0).await;
    let stored = all(&nats).await;
    let subjects: Vec<_> = stored.iter().map(|message| &*message.subject).collect();
    let one = ["discord.5.READY", "discord.5.X", "discord.5.FLEET_GAP"];
    assert_eq!(subjects, [one; 4].concat()[..11]);
    let ids = ids(&stored);
    let names: BTreeSet<_> = ids.iter().filter_map(|id| id.split(':').next()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("unnamed-5-")));
}

/// Discord gives an id a second time: its events are not those of the first.
#[tokio::test]
async fn a_session_id_that_comes_again_is_another_session() {
    let nats = server().await;
    let mut shard = Shard::open(&nats, None, Track::default(), &[]).await;
    for _ in 0..2 {
        shard.intake.lose(GapReason::SessionInvalidated);
        // The second time within a session it is a replay.
        for _ in 0..2 {
            shard.reads(&ready(&json!("abc")));
            shard.reads(r#"{"t":"X","s":2,"op":0,"d":{}}"#);
        }
    }
    shard.ends(0).await;
    let stored = all(&nats).await;
    let ids = ids(&stored);
    assert_eq!(ids[..3], ["abc:1", "abc:2", "abc:2:gap"]);
    assert!(
        ids.len() == 5 && ids[3].starts_with("unnamed-5-"),
        "{ids:?}"
    );
}

/// One that the session outlives, and the session's end: workers hear of both.
#[tokio::test]
async fn two_losses_behind_one_event_are_both_stored() {
    let nats = server().await;
    let mut shard = Shard::open(&nats, None, Track::default(), &[]).await;
    shard.reads(&ready(&json!("abc")));
    shard.intake.too_large(2);
    shard.intake.lose(GapReason::SessionInvalidated);
    shard.ends(0).await;
    let stored = all(&nats).await;
    assert_eq!(ids(&stored), ["abc:1", "abc:2:oversize:gap", "abc:2:gap"]);
    assert_eq!(resumes(&nats).await.session, None);
}

#[tokio::test]
async fn what_comes_before_a_ready_is_said() {
    let nats = server().await;
    let mut shard = Shard::open(&nats, None, Track::default(), &[]).await;
    shard.reads(r#"{"t":"X","s":1,"op":0,"d":{}}"#);
    shard.reads(r#"{"t":"X","s":null,"op":0,"d":{}}"#);
    shard.ends(0).await;
    let gaps = all(&nats).await;
    let gap: Value = serde_json::from_slice(&gaps[0].payload).unwrap();
    assert_eq!((gaps.len(), &*gaps[0].subject), (1, "discord.5.FLEET_GAP"));
    assert_eq!(gap["reason"], "before_ready");
    let id = format!("{}:0:gap", gap["session"].as_str().unwrap());
    assert_eq!(ids(&gaps), [id]);

    // It is no session to resume, and no other is hidden by it.
    let point = resumes(&nats).await;
    assert_eq!((point.session.as_ref(), point.last), (None, 1));
    let mut next = Shard::open(&nats, None, point.track(), &[]).await;
    next.reads(&ready(&json!("abc")));
    next.ends(1).await;
    let stored = all(&nats).await;
    assert_eq!((stored.len(), ids(&stored)[1]), (2, "abc:1"));
}
