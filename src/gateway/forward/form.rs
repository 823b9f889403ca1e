//! The form that a message has on the wire: subject, headers, and bytes that fit the server.

use std::sync::Arc;

use async_nats::{
    HeaderMap, HeaderValue, Subject,
    header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID},
};
use bytes::Bytes;

use super::message::{Body, Message};
use crate::{
    broker::Broker,
    clock,
    fleet::ShardId,
    subject::GAP_EVENT,
    wire::{
        self,
        event::{CONTENT_ENCODING, EVENT_NAME, Gap, GapReason, ZSTD},
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

/// What forms the messages of one shard.
#[derive(Clone)]
pub struct Form {
    /// Its connection.
    pub broker: Broker,
    /// Whose they are.
    pub shard: ShardId,
}

/// A message on the wire, whatever the attempt.
pub struct Outgoing {
    pub(super) subject: Subject,
    pub(super) payload: Bytes,
    zstd: bool,
}

impl Form {
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
        if let Body::Event { kind, .. } = &message.body
            && let Some(name) = kind.original.as_deref()
            && self.subject == kind.subject
        {
            headers.insert(EVENT_NAME, name);
        }
        headers
    }
}
