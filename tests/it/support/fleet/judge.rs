//! The judge: the simulator's record beside the stream, message by message. Neither is the fleet's word.

use std::collections::HashMap;

use async_nats::{
    HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{self, consumer::pull::OrderedConfig, stream::Stream},
};
use bytes::Bytes;
use futures_util::StreamExt;
use shardfleet::{
    audit::{
        Audit, Report,
        evidence::{SentLine, Sessions, StoredLine},
    },
    clock,
    fleet::ShardId,
    subject::GAP_EVENT,
    wire::{
        self,
        event::{CONTENT_ENCODING, Gap, GapReason, MESSAGE_ID, gap_id, parse_message_id},
    },
};

use super::{
    Fleet,
    discord::{Session, Verdict},
    silence::Silence,
    wait::{LIMIT, eventually},
};

/// A message of the stream.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) seq: u64,
    /// When the server stored it, in milliseconds since the epoch.
    pub(crate) at_ms: u64,
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

impl Stored {
    /// A message as a consumer was given it.
    pub(super) fn of(message: jetstream::Message) -> Self {
        let info = message.info().unwrap();
        let at_ms = info.published.unix_timestamp_nanos() / 1_000_000;
        Self {
            seq: info.stream_sequence,
            at_ms: u64::try_from(at_ms).unwrap(),
            subject: message.subject.to_string(),
            headers: message.message.headers.unwrap_or_default(),
            payload: message.message.payload,
        }
    }

    /// The event in its subject.
    pub(crate) fn event(&self) -> &str {
        self.subject.rsplit('.').next().unwrap_or_default()
    }

    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }
}

impl Fleet {
    /// Ends the traffic, and waits until all that Discord sent to sessions that live is stored.
    pub(crate) async fn quiet(&mut self) {
        self.discord.traffic(0).await;
        let shards = self.plan.shards;
        loop {
            self.wait_until("everything sent is delivered", LIMIT, |state| {
                state.discord.connected == shards && state.discord.ready == shards
            })
            .await;
            let verdict = eventually("everything sent is delivered", LIMIT, async || {
                let verdict = self.sim_verdict().await;
                let delivered = |session: &Session| session.delivered_seq == session.last_seq;
                let all = living(&verdict).all(delivered);
                all.then_some(verdict)
            })
            .await;
            let last = self.last_forwarded(&verdict).await;
            for session in living(&verdict) {
                self.stored(session, last[&session.id]).await;
            }
            // What came meanwhile, such as a guild still loading, is waited for too.
            let now = self.sim_verdict().await;
            let sent = |verdict: &Verdict| -> u64 {
                living(verdict).map(|session| session.last_seq).sum()
            };
            if sent(&now) == sent(&verdict) {
                return;
            }
        }
    }

    /// Compares every message of the stream with the simulator's record: nothing lost, nothing twice,
    /// in order, byte for byte, and every loss said. And Discord saw no rule broken.
    pub(crate) async fn audit(&mut self) -> Report {
        self.audit_but_for("").await
    }

    /// The same, where what the test does cannot but break one rule.
    pub(crate) async fn audit_but_for(&mut self, rule: &str) -> Report {
        self.quiet().await;
        let (report, silence) = self.compare().await;
        self.keep_row(&report, &silence).await;
        assert!(report.clean(), "{report:#?}");
        let broken = self.sim_verdict().await.violations;
        let broken = broken.iter().filter(|violation| violation["rule"] != rule);
        assert_eq!(broken.collect::<Vec<_>>(), [] as [&serde_json::Value; 0]);
        report
    }

    /// The longest time that a shard's stream stood still; [`Silence`] says what that is.
    pub(crate) async fn silence(&self) -> Silence {
        self.compare().await.1
    }

    /// The comparison alone. Events that the fleet is told not to forward must not be there.
    async fn compare(&self) -> (Report, Silence) {
        let mut audit = Audit::default();
        let mut silence = Silence::default();
        let sessions: Sessions = self.discord.verdict().await;
        audit.read_sessions(&sessions);
        for line in self.discord.record().await.lines() {
            let sent = sent(line);
            if self.forwards(&sent.event) {
                audit.read_sent(line).unwrap();
                silence.sent(&sent.session, sent.seq, line);
            }
        }
        self.each_message(|message| {
            let Stored {
                seq,
                subject,
                payload,
                ..
            } = &message;
            let id = message.header(MESSAGE_ID).unwrap_or_default();
            let encoding = message.header(CONTENT_ENCODING);
            let line = StoredLine::new(*seq, subject, id, encoding, payload).unwrap();
            audit.read_stored(&line).unwrap();
            silence.stored(&line, message.at_ms);
        })
        .await;
        (audit.report(), silence)
    }

    /// Every message of the stream, in its order.
    pub(crate) async fn messages(&self) -> Vec<Stored> {
        let mut messages = Vec::new();
        self.each_message(|message| messages.push(message)).await;
        messages
    }

    /// The same one by one: gigabytes would not fit. What a witness read before it was evicted counts.
    async fn each_message(&self, take: impl FnMut(Stored)) {
        if let Some(witness) = &self.witness {
            return witness.read_up_to(self.last_stored().await, take).await;
        }
        each_message_of(&self.stream().await, take).await;
    }

    /// Every message of the stream of this name, in its order.
    pub(crate) async fn messages_of(&self, name: &str) -> Vec<Stored> {
        let stream = self.broker.jetstream.get_stream(name).await.unwrap();
        let mut messages = Vec::new();
        each_message_of(&stream, |message| messages.push(message)).await;
        messages
    }

    /// The bytes that the stream holds, as the server counts them.
    pub(crate) async fn stored_bytes(&self) -> u64 {
        self.stream().await.cached_info().state.bytes
    }

    /// Stores what a gateway says of a hole before the event behind it, for every session.
    pub(crate) async fn announce_holes(&self) {
        for session in living(&self.sim_verdict().await) {
            let Session { id, last_seq, .. } = session;
            let gap = Gap::new(GapReason::Hole, id, *last_seq, clock::unix_ms());
            let subject = self.broker.names.event(ShardId(session.shard), GAP_EVENT);
            let mut headers = HeaderMap::new();
            headers.insert(MESSAGE_ID, gap_id(id, *last_seq, gap.reason));
            let client = &self.broker.client;
            let stored = client.request_with_headers(subject, headers, wire::encode(&gap));
            stored.await.unwrap();
        }
    }

    /// The last sequence of the stream.
    pub(crate) async fn last_stored(&self) -> u64 {
        self.stream().await.cached_info().state.last_sequence
    }

    /// Of every session, the last sequence that the fleet forwards.
    async fn last_forwarded(&self, verdict: &Verdict) -> HashMap<String, u64> {
        if self.plan.denied.is_empty() && self.plan.allowed.is_empty() {
            let last = |session: &Session| (session.id.clone(), session.last_seq);
            return verdict.sessions.iter().map(last).collect();
        }
        let mut last = HashMap::new();
        for line in self.discord.record().await.lines() {
            let sent = sent(line);
            if self.forwards(&sent.event) {
                last.insert(sent.session.into_owned(), sent.seq);
            }
        }
        last
    }

    /// Waits until the shard's last message in the stream is this one.
    async fn stored(&self, session: &Session, seq: u64) {
        let stream = self.stream().await;
        let subject = self.broker.names.shard(ShardId(session.shard));
        let what = format!("{}:{seq} of shard {} is stored", session.id, session.shard);
        eventually(&what, LIMIT, async || {
            // There is none yet, or the server is silent for now.
            let last = stream.get_last_raw_message_by_subject(&subject).await;
            let message = last.ok()?;
            let id = message.headers.get(NATS_MESSAGE_ID)?.as_str();
            (parse_message_id(id)? == (session.id.as_str(), seq)).then_some(())
        })
        .await;
    }

    /// The stream, with what it holds now. A server under load, or without a leader, may be silent for
    /// longer than a request waits.
    pub(crate) async fn stream(&self) -> Stream {
        let name = self.broker.names.stream(0, 1);
        eventually("the stream answers", LIMIT, async || {
            self.broker.jetstream.get_stream(&name).await.ok()
        })
        .await
    }

    /// READY and RESUMED are always forwarded: they carry the resume point.
    fn forwards(&self, event: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|named| named == event);
        let allowed = self.plan.allowed.is_empty() || named(&self.plan.allowed);
        matches!(event, "READY" | "RESUMED") || (allowed && !named(&self.plan.denied))
    }
}

async fn each_message_of(stream: &Stream, mut take: impl FnMut(Stored)) {
    let last = stream.cached_info().state.last_sequence;
    let consumer = eventually("the stream takes a consumer", LIMIT, async || {
        stream.create_consumer(OrderedConfig::default()).await.ok()
    })
    .await;
    let mut incoming = consumer.messages().await.unwrap();
    let mut seq = 0;
    while seq < last {
        let next = tokio::time::timeout(LIMIT, incoming.next()).await;
        let message = next.expect("the stream stopped short").unwrap().unwrap();
        let stored = Stored::of(message);
        seq = stored.seq;
        take(stored);
    }
}

/// Sessions that can be resumed, or need not be.
pub(crate) fn living(verdict: &Verdict) -> impl Iterator<Item = &Session> {
    let lives = |session: &&Session| session.end_reason.is_none();
    verdict.sessions.iter().filter(lives)
}

fn sent(line: &str) -> SentLine<'_> {
    serde_json::from_str(line).unwrap()
}
