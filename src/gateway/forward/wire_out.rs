//! The way of one shard to its stream: subjects, headers, answers.

use std::{collections::HashMap, sync::Arc};

use anyhow::Result;
use async_nats::{
    HeaderMap, Subject, Subscriber,
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
    flight::{Answer, Last},
    message::{Body, Message},
};
use crate::{
    broker::Broker,
    clock,
    fleet::ShardId,
    subject::GAP_EVENT,
    wire::{
        self,
        event::{CONTENT_ENCODING, Gap, GapReason, ZSTD},
    },
};

/// The subjects that an expected sequence counts over; server 2.11, no constant in the library.
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";
/// Room for headers beside a payload, in bytes.
const HEADER_ROOM: usize = 1024;
/// No event name is longer; what is comes from nowhere good.
const MAX_SUBJECTS: usize = 256;

/// One shard's subjects and its own inbox for answers.
pub struct Outlet {
    broker: Broker,
    stream: Stream<()>,
    shard: ShardId,
    filter: String,
    inbox: String,
    subjects: HashMap<Arc<str>, Subject>,
    /// Answers to publishes; the last token of their subject is the attempt.
    pub answers: Subscriber,
}

/// A message as it goes out, whatever the attempt.
pub struct Outgoing {
    /// Its id for deduplication.
    pub id: String,
    subject: Subject,
    payload: Bytes,
    zstd: bool,
}

impl Outlet {
    /// Opens the way of a shard to the stream called `stream`.
    ///
    /// # Errors
    /// Where NATS refuses the subscription.
    pub async fn open(broker: &Broker, shard: ShardId, stream: &str) -> Result<Self> {
        let inbox = broker.client.new_inbox();
        let answers = broker.client.subscribe(format!("{inbox}.*")).await?;
        let stream = broker.jetstream.get_stream_no_info(stream).await?;
        let filter = broker.names.shard(shard);
        let (broker, subjects) = (broker.clone(), HashMap::new());
        Ok(Self {
            broker,
            stream,
            shard,
            filter,
            inbox,
            subjects,
            answers,
        })
    }

    /// The shard's last stored message, from the stream's leader.
    pub async fn last(&self) -> Last {
        match self
            .stream
            .get_last_raw_message_by_subject(&self.filter)
            .await
        {
            Ok(message) => {
                let id = message
                    .headers
                    .get(NATS_MESSAGE_ID)
                    .map(ToString::to_string);
                Last::Message(message.sequence, id.unwrap_or_default())
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Last::Nothing,
            Err(_) => Last::Unknown,
        }
    }

    /// The message as it fits the server: as it is, compressed, or else the word that it is lost.
    pub fn fit(&mut self, message: &Message) -> Outgoing {
        let limit = self
            .broker
            .client
            .server_info()
            .max_payload
            .saturating_sub(HEADER_ROOM);
        let (id, payload) = (message.id(), message.payload());
        let event = match &message.body {
            Body::Event { name, .. } => Arc::clone(name),
            Body::Gap(_) => Arc::from(GAP_EVENT),
        };
        let subject = self.subject(&event);
        // Not connected yet: nothing is known of a limit, and the publish waits anyway.
        if payload.len() <= limit || limit == 0 {
            return Outgoing {
                id,
                subject,
                payload,
                zstd: false,
            };
        }
        match zstd::bulk::compress(&payload, 3) {
            Ok(small) if small.len() <= limit => Outgoing {
                id,
                subject,
                payload: small.into(),
                zstd: true,
            },
            _ => {
                tracing::error!(
                    shard = %self.shard,
                    event = %event,
                    bytes = payload.len(),
                    limit,
                    "an event of shard {} is too large for NATS: raise max_payload",
                    self.shard
                );
                let mut gap = Gap::new(
                    GapReason::Oversize,
                    &message.session,
                    message.seq,
                    clock::unix_ms(),
                );
                gap.missing = Some(1);
                let subject = self.subject(&Arc::from(GAP_EVENT));
                Outgoing {
                    id,
                    subject,
                    payload: wire::encode(&gap),
                    zstd: false,
                }
            }
        }
    }

    /// Sends it. Nothing is known of the outcome before an answer.
    pub async fn publish(&self, message: &Outgoing, attempt: u64, expected: u64) {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, message.id.as_str());
        headers.insert(
            NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            expected.to_string().as_str(),
        );
        headers.insert(EXPECTED_SUBJECT, self.filter.as_str());
        if message.zstd {
            headers.insert(CONTENT_ENCODING, ZSTD);
        }
        let (subject, reply) = (message.subject.clone(), format!("{}.{attempt}", self.inbox));
        let payload = message.payload.clone();
        let sent = self
            .broker
            .client
            .publish_with_reply_and_headers(subject, reply, headers, payload);
        if let Err(error) = sent.await {
            tracing::warn!(shard = %self.shard, "a publish of shard {} failed: {error}", self.shard);
        }
    }

    fn subject(&mut self, event: &Arc<str>) -> Subject {
        if let Some(subject) = self.subjects.get(event) {
            return subject.clone();
        }
        let subject = Subject::from(self.broker.names.event(self.shard, event));
        if self.subjects.len() < MAX_SUBJECTS {
            self.subjects.insert(Arc::clone(event), subject.clone());
        }
        subject
    }
}

/// The attempt and what the stream said to it.
pub(super) fn parse(message: &async_nats::Message) -> Option<(u64, Answer)> {
    let attempt = message.subject.rsplit('.').next()?.parse().ok()?;
    // A status without a body: nobody serves the stream just now.
    if message.status.is_some() || message.payload.is_empty() {
        return Some((attempt, Answer::Later));
    }
    let answer = match serde_json::from_slice::<Response<PublishAck>>(&message.payload) {
        Ok(Response::Ok(ack)) => Answer::Stored(ack.sequence),
        Ok(Response::Err { error }) => match error.error_code() {
            ErrorCode::STREAM_WRONG_LAST_SEQUENCE => Answer::Fenced,
            code => {
                tracing::warn!(?code, "the stream refuses for now: {error}");
                Answer::Later
            }
        },
        Err(error) => {
            tracing::warn!("an answer of the stream was not understood: {error}");
            Answer::Later
        }
    };
    Some((attempt, answer))
}
