//! What goes to the stream: an event as Discord sent it, or the fleet's own word for a loss.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    clock::Instant,
    subject::GAP_EVENT,
    wire::{
        self,
        event::{Gap, gap_id, message_id},
    },
};

/// Bytes that a waiting message takes beside its payload: measured, 240 with small events.
const BESIDE: usize = 256;

/// One message for the stream.
#[derive(Clone, Debug)]
pub struct Message {
    /// The session that it belongs to.
    pub session: Arc<str>,
    /// Its sequence; of a gap the last one before the loss.
    pub seq: u64,
    /// What it is.
    pub body: Body,
    /// When it was read from the socket.
    pub read_at: Instant,
}

/// What a message holds.
#[derive(Clone, Debug)]
pub enum Body {
    /// Discord's bytes and the name of the event.
    Event {
        /// The name.
        name: Arc<str>,
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
    /// The last token of its subject.
    pub fn event(&self) -> &str {
        match &self.body {
            Body::Event { name, .. } => name,
            Body::Gap(_) => GAP_EVENT,
        }
    }

    /// Its id for deduplication.
    pub fn id(&self) -> String {
        match &self.body {
            Body::Event { .. } => message_id(&self.session, self.seq),
            Body::Gap(_) => gap_id(&self.session, self.seq),
        }
    }

    /// Its bytes.
    pub fn payload(&self) -> Bytes {
        match &self.body {
            Body::Event { payload, .. } => payload.clone(),
            Body::Gap(gap) => wire::encode(gap),
        }
    }

    /// True for the READY that begins a session.
    pub fn is_ready(&self) -> bool {
        matches!(&self.body, Body::Event { name, .. } if &**name == "READY")
    }
}
