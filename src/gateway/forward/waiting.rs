//! What waits for its way to the stream.

use std::{collections::VecDeque, time::Duration};

use super::message::Message;
use crate::{clock::Instant, gateway::buffer::Budget};

/// Messages whose ids are looked for in the stream when one is in doubt; more stay in the queue.
const MOST: usize = 64;
/// The same in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Messages, oldest first. What is left when it is dropped, as by a panic, waits no more.
pub struct Waiting {
    messages: VecDeque<Message>,
    bytes: usize,
    budget: Budget,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for message in &self.messages {
            self.budget.drop_one(message.body.size());
        }
    }
}

impl Waiting {
    /// Nothing waits yet of what this budget counts.
    pub fn new(budget: Budget) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            budget,
        }
    }

    /// One more at the end.
    pub fn push(&mut self, message: Message) {
        self.bytes += message.body.size();
        self.messages.push_back(message);
    }

    /// Takes the first.
    pub fn pop(&mut self) -> Option<Message> {
        let first = self.messages.pop_front()?;
        self.bytes -= first.body.size();
        Some(first)
    }

    /// Puts back what had left, in front of all that has not.
    pub fn put_back(&mut self, back: impl DoubleEndedIterator<Item = Message>) {
        for message in back.rev() {
            self.bytes += message.body.size();
            self.messages.push_front(message);
        }
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Message> {
        self.messages.iter_mut()
    }

    /// The oldest.
    pub fn first(&self) -> Option<&Message> {
        self.messages.front()
    }

    /// The ids, oldest first.
    pub fn ids(&self) -> impl Iterator<Item = String> {
        self.messages.iter().map(Message::id)
    }

    /// How long the oldest message has waited.
    pub fn waited(&self, now: Instant) -> Duration {
        let oldest = self.messages.front();
        oldest.map_or(Duration::ZERO, |message| now - message.read_at)
    }

    /// True if one more may join.
    pub fn has_room(&self) -> bool {
        self.messages.len() < MOST && self.bytes < MAX_BYTES
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}
