//! The way of one shard to its stream: subjects, headers, answers.

use std::sync::Arc;

use anyhow::Result;
use async_nats::{
    HeaderMap, HeaderValue, Subject,
    header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID},
    jetstream::{
        ErrorCode,
        publish::PublishAck,
        response::Response,
        stream::{LastRawMessageErrorKind, Stream},
    },
};
use bytes::Bytes;

use super::{
    flight::{ANSWER_LIMIT, Answer, Last},
    message::{Body, Message},
};
use crate::{
    broker::Broker,
    clock,
    fleet::ShardId,
    gateway::inbox::Answers,
    subject::GAP_EVENT,
    telemetry::seldom::Seldom,
    wire::{
        self,
        event::{CONTENT_ENCODING, Gap, GapReason, ZSTD},
    },
};

/// The subjects that an expected sequence counts over; server 2.11, no constant in the library.
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
/// Room for headers beside a payload, in bytes.
const HEADER_ROOM: usize = 1024;

/// The last message that must be stored of a shard when the next one comes in.
pub struct Fence {
    /// Its stream sequence; 0: none.
    pub sequence: u64,
    /// All that is stored of the shard.
    pub filter: Arc<str>,
}

/// One shard's subjects, and where it hears answers.
pub struct Outlet {
    broker: Broker,
    stream: Stream<()>,
    shard: ShardId,
    filter: Arc<str>,
    /// What the lane's streams refuse.
    pub refusals: Seldom,
    /// Answers to publishes; the last token of their subject is the attempt.
    pub answers: Answers,
}

/// The form of a message for the wire, whatever the attempt.
pub struct Outgoing {
    pub(super) subject: Subject,
    pub(super) payload: Bytes,
    zstd: bool,
}

impl Outlet {
    /// Opens the way of a shard to the stream called `stream`.
    ///
    /// # Errors
    /// Where the stream can have no such name.
    pub async fn open(
        broker: &Broker,
        shard: ShardId,
        stream: &str,
        answers: Answers,
        refusals: Seldom,
    ) -> Result<Self> {
        let stream = broker.jetstream.get_stream_no_info(stream).await?;
        let filter = broker.names.shard(shard).into();
        let broker = broker.clone();
        Ok(Self {
            broker,
            stream,
            shard,
            filter,
            refusals,
            answers,
        })
    }

    /// The shard's last stored message, from the stream's leader.
    pub async fn last(&self) -> Last {
        self.last_and_gap().await.0
    }

    /// The same, and what it says if it is a gap.
    pub async fn last_and_gap(&self) -> (Last, Option<Gap>) {
        match self
            .stream
            .get_last_raw_message_by_subject(&self.filter)
            .await
        {
            Ok(message) => {
                let id = message.headers.get(NATS_MESSAGE_ID);
                let id = id.map(ToString::to_string).unwrap_or_default();
                let is_gap = message.subject.ends_with(GAP_EVENT);
                let gap = is_gap.then(|| wire::decode(&message.payload).ok());
                (Last::Message(message.sequence, id), gap.flatten())
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                (Last::Nothing, None)
            }
            Err(_) => (Last::Unknown, None),
        }
    }

    /// The message as it fits the server: as it is, compressed, or else the word that it is lost.
    pub fn fit(&self, message: &Message) -> Outgoing {
        // The client's own figure: a copy of all that the server said would be made for each event.
        let limit = self.broker.client.max_payload().saturating_sub(HEADER_ROOM);
        let payload = message.payload();
        let subject = match &message.body {
            Body::Event { kind, .. } => kind.subject.clone(),
            Body::Gap(_) => self.gaps(),
        };
        let zstd = false;
        // A server that takes hardly more than headers says so itself.
        if payload.len() <= limit || limit == 0 {
            return Outgoing {
                subject,
                payload,
                zstd,
            };
        }
        match zstd::bulk::compress(&payload, 3) {
            Ok(small) if small.len() <= limit => Outgoing {
                subject,
                payload: small.into(),
                zstd: true,
            },
            _ => {
                tracing::error!(
                    shard = %self.shard,
                    %subject,
                    bytes = payload.len(),
                    limit,
                    "an event of shard {} is too large for NATS: raise max_payload",
                    self.shard
                );
                let reason = GapReason::Oversize;
                let (session, seq) = (&message.session, message.seq);
                let mut gap = Gap::new(reason, session, seq, clock::unix_ms());
                gap.missing = Some(1);
                Outgoing {
                    subject: self.gaps(),
                    payload: wire::encode(&gap),
                    zstd,
                }
            }
        }
    }

    fn gaps(&self) -> Subject {
        self.broker.names.event(self.shard, GAP_EVENT).into()
    }

    /// Whose way it is.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// What the next message expects, if the shard's last one stands there.
    pub fn fence(&self, sequence: u64) -> Fence {
        let filter = Arc::clone(&self.filter);
        Fence { sequence, filter }
    }

    /// Sends a message by itself. Nothing is known of the outcome before its answer.
    pub async fn publish(&self, (message, out): &(Message, Outgoing), attempt: u64, expected: u64) {
        let headers = out.headers(message, Some(&self.fence(expected)));
        let (subject, payload) = (out.subject.clone(), out.payload.clone());
        let reply = self.answers.reply(attempt);
        let client = &self.broker.client;
        let sent = client.publish_with_reply_and_headers(subject, reply, headers, payload);
        // What does not leave in time is tried again like what is not answered.
        if let Ok(Err(error)) = tokio::time::timeout(ANSWER_LIMIT, sent).await {
            let shard = self.shard;
            tracing::warn!(%shard, "a publish of shard {shard} failed: {error}");
        }
    }

    /// Said before the shard resumes from what the stream still has.
    pub fn tell_of_loss(&self) {
        tracing::error!(
            shard = %self.shard,
            "the stream has lost messages of shard {} that it had acknowledged: did a NATS node lose its \
             power, or was the stream restored? The shard resumes from what is left. See sync_interval in \
             the operator's manual",
            self.shard
        );
    }
}

impl Outgoing {
    pub(super) fn headers(&self, message: &Message, fence: Option<&Fence>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, message.id());
        if let Some(Fence { sequence, filter }) = fence {
            let expected = HeaderValue::from(*sequence);
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected);
            headers.insert(EXPECTED_SUBJECT, &**filter);
        }
        if self.zstd {
            headers.insert(CONTENT_ENCODING, ZSTD);
        }
        headers
    }
}

/// What the stream said to an attempt.
pub(super) enum Heard {
    /// What to do about it is plain.
    Answer(Answer),
    /// The id is known: it was stored, and may be evicted by now.
    Duplicate,
    /// Not now, for this reason: it is full, say.
    Refusal(String),
}

/// The attempt and what the stream said to it.
pub(super) fn parse(message: &async_nats::Message) -> Option<(u64, Heard)> {
    let attempt = message.subject.rsplit('.').next()?.parse().ok()?;
    // A status without a body: nobody serves the stream just now.
    if message.status.is_some() || message.payload.is_empty() {
        return Some((attempt, Heard::Answer(Answer::Later)));
    }
    let heard = match serde_json::from_slice::<Response<PublishAck>>(&message.payload) {
        Ok(Response::Ok(ack)) if ack.duplicate => Heard::Duplicate,
        Ok(Response::Ok(ack)) => Heard::Answer(Answer::Stored(ack.sequence)),
        Ok(Response::Err { error }) => match error.error_code() {
            ErrorCode::STREAM_WRONG_LAST_SEQUENCE => Heard::Answer(Answer::Fenced),
            _ => Heard::Refusal(error.to_string()),
        },
        Err(error) => Heard::Refusal(format!("its answer was not understood: {error}")),
    };
    Some((attempt, heard))
}
