//! What goes to the stream: an event as Discord sent it, or the fleet's own word for a loss.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    clock::{self, Instant},
    gateway::kind::Kind,
    wire::{
        self,
        event::{Gap, GapReason, gap_id, message_id, unnumbered_id},
    },
};

/// Bytes that a waiting message takes beside its payload: measured, 240 with small events.
const BESIDE: usize = 256;

/// One message for the stream.
#[derive(Clone, Debug)]
pub struct Message {
    /// The session that it belongs to, as message ids name it.
    pub session: Arc<str>,
    /// Its sequence; of a gap the last one before the loss, of what has no number the last one before it.
    pub seq: u64,
    /// The so many-th behind that sequence that has no number; 0: it is its own.
    pub unnumbered: u32,
    /// What it is.
    pub body: Body,
    /// When it was read from the socket.
    pub read_at: Instant,
}

/// What a message holds.
#[derive(Clone, Debug)]
pub enum Body {
    /// Discord's bytes.
    Event {
        /// What is known of its kind.
        kind: Arc<Kind>,
        /// The bytes.
        payload: Bytes,
    },
    /// A loss.
    Gap(Gap),
}

impl Body {
    /// Bytes that it keeps in memory, its place in the queue included.
    pub fn size(&self) -> usize {
        let payload = match self {
            Self::Event { payload, .. } => payload.len(),
            Self::Gap(_) => 0,
        };
        BESIDE + payload
    }
}

impl Message {
    /// The word of a loss behind `last_seq` of a session.
    pub fn of_gap(
        session: Arc<str>,
        last_seq: u64,
        missing: Option<u64>,
        reason: GapReason,
    ) -> Self {
        let mut gap = Gap::new(reason, &session, last_seq, clock::unix_ms());
        gap.missing = missing;
        Self {
            session,
            seq: last_seq,
            unnumbered: 0,
            body: Body::Gap(gap),
            read_at: clock::now(),
        }
    }

    /// Its id for deduplication.
    pub fn id(&self) -> String {
        self.tag().id()
    }

    /// What makes its id.
    pub fn tag(&self) -> Tag {
        Tag {
            session: Arc::clone(&self.session),
            seq: self.seq,
            unnumbered: self.unnumbered,
            gap: match &self.body {
                Body::Gap(gap) => Some(gap.reason),
                Body::Event { .. } => None,
            },
        }
    }

    /// Its bytes.
    pub fn payload(&self) -> Bytes {
        match &self.body {
            Body::Event { payload, .. } => payload.clone(),
            Body::Gap(gap) => wire::encode(gap),
        }
    }

    /// True for the word that the stream was lost.
    pub fn is_of_stream(&self) -> bool {
        matches!(&self.body, Body::Gap(gap) if gap.is_of_stream())
    }

    /// True for the READY that begins a session.
    pub fn is_ready(&self) -> bool {
        matches!(&self.body, Body::Event { kind, .. } if &*kind.name == "READY")
    }
}

/// The id of a message, unwritten: most are asked for once, when the message leaves.
#[derive(Clone, Debug)]
pub struct Tag {
    session: Arc<str>,
    seq: u64,
    unnumbered: u32,
    gap: Option<GapReason>,
}

impl Tag {
    /// Session and sequence; of a gap the last one before the loss.
    pub fn place(&self) -> (Arc<str>, u64) {
        (Arc::clone(&self.session), self.seq)
    }

    /// Its sequence, if it is of the session of this name; of a gap the last one before the loss.
    pub fn seq_in(&self, session: &str) -> Option<u64> {
        (*self.session == *session).then_some(self.seq)
    }

    /// As it is written.
    pub fn id(&self) -> String {
        match (self.gap, self.unnumbered) {
            (Some(reason), _) => gap_id(&self.session, self.seq, reason),
            (None, 0) => message_id(&self.session, self.seq),
            (None, count) => unnumbered_id(&self.session, self.seq, count),
        }
    }
}
