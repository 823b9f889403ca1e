//! Writes one shard's session beside its polling: nothing slow stands in the poll loop.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{
    forward::{Body, Message},
    session::{self, SessionKey},
    track::Session,
};
use crate::clock::Instant;

/// Writes READYs once they are stored, and resume points as they move, until both senders are gone.
pub async fn keep(
    mut key: SessionKey,
    mut ready: mpsc::UnboundedReceiver<Message>,
    mut points: mpsc::UnboundedReceiver<Session>,
) {
    let (mut readies, mut moves) = (true, true);
    while readies || moves {
        tokio::select! {
            biased;
            message = ready.recv(), if readies => match message {
                Some(message) => if let Some(session) = begun(&message) { key.keep(&session).await },
                None => readies = false,
            },
            point = points.recv(), if moves => match point {
                Some(session) => key.keep(&session).await,
                None => moves = false,
            },
        }
    }
}

/// The session that a READY begins.
fn begun(message: &Message) -> Option<Session> {
    let Body::Event { payload, .. } = &message.body else {
        return None;
    };
    let ready = session::ready(payload)?;
    Some(Session {
        id: ready.session_id,
        resume_url: ready.resume_gateway_url,
        seq: message.seq,
    })
}

/// A session key is rewritten this often if its sequence moved.
pub const KEEP_EVERY: Duration = Duration::from_secs(30);
/// … and whenever so many events were dropped on purpose since: they are not in the stream.
pub const KEEP_AFTER_DROPS: u32 = 500;

/// When to rewrite the key.
#[derive(Debug)]
pub struct KeepClock {
    next: Instant,
    drops: u32,
}

impl KeepClock {
    /// From now.
    pub fn new(now: Instant) -> Self {
        Self {
            next: now + KEEP_EVERY,
            drops: 0,
        }
    }

    /// An event was dropped on purpose.
    pub fn dropped(&mut self) {
        self.drops += 1;
    }

    /// True if it is time; then the clock starts over.
    pub fn due(&mut self, now: Instant) -> bool {
        let due = now >= self.next || self.drops >= KEEP_AFTER_DROPS;
        if due {
            *self = Self::new(now);
        }
        due
    }

    /// When it will be time at the latest.
    pub fn next(&self) -> Instant {
        self.next
    }
}
