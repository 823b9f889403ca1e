//! What goes to the stream together.

use std::time::Duration;

use super::{
    message::Message,
    outlet::{Outgoing, Outlet},
};
use crate::clock::Instant;

/// Bytes that one batch gathers at most: what the server stages for it in memory.
const MAX_BYTES: usize = 1 << 20;

/// Messages on their way, oldest first, each with its form for the wire.
#[derive(Default)]
pub struct Batch {
    messages: Vec<Message>,
    out: Vec<Outgoing>,
    bytes: usize,
}

impl Batch {
    /// One more at the end.
    pub fn push(&mut self, outlet: &mut Outlet, message: Message) {
        self.bytes += message.body.size();
        self.out.push(outlet.fit(&message));
        self.messages.push(message);
    }

    /// Takes so many from the front: they are stored, or given up.
    pub fn pop(&mut self, count: usize) -> Vec<Message> {
        let count = count.min(self.messages.len());
        self.out.drain(..count);
        let rest = self.messages.split_off(count);
        self.bytes = rest.iter().map(|message| message.body.size()).sum();
        std::mem::replace(&mut self.messages, rest)
    }

    /// How long its oldest message has waited.
    pub fn waited(&self, now: Instant) -> Duration {
        let oldest = self.messages.first();
        oldest.map_or(Duration::ZERO, |message| now - message.read_at)
    }

    /// True if one more may join.
    pub fn has_room(&self, limit: usize) -> bool {
        self.out.len() < limit && self.bytes < MAX_BYTES
    }

    /// True if nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The messages as they go out.
    pub fn out(&self) -> &[Outgoing] {
        &self.out
    }
}
