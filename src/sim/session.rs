//! One gateway session: its sequence, its replay buffer, who listens, and when it is forgotten.
//!
//! A session lives on without a socket: its traffic is numbered, recorded and kept for replay until the
//! buffer is full or its time is over. The buffer is also all that a slow client can make us hold.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::event::Event;
use super::mailbox::{Mailbox, Order};
use super::object::put;
use super::payload::Payload;
use super::record::Rows;
use super::stencil::{Stencil, Stencils};
use super::traffic::Traffic;
use super::world::Guild;

/// What identifies a session and never changes.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) id: String,
    /// The bot that it is of.
    pub(super) bot: u64,
    pub(super) shard: u32,
    pub(super) shards: u32,
    pub(super) intents: u64,
    pub(super) large_threshold: u32,
    pub(super) guilds: Vec<Guild>,
    /// Unix milliseconds.
    pub(super) started_ms: u64,
}

/// How much is kept for replay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) events: usize,
    pub(super) bytes: usize,
    pub(super) trim_at_heartbeat: bool,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) identity: Identity,
    /// What happens by itself.
    pub(super) traffic: Traffic,
    /// What happens because somebody asked for it: the other one does not notice.
    pub(super) asked: Traffic,
    pub(super) stencils: Stencils,
    pub(super) rows: Rows,
    /// Guilds whose `GUILD_CREATE` was sent: they load one after the other, as the client reads.
    pub(super) loaded: usize,
    /// Why and when (Unix milliseconds) it ended.
    pub(super) ended: Option<(&'static str, u64)>,
    bounds: Bounds,
    last: u64,
    claimed: u64,
    delivered: u64,
    kept: VecDeque<(u64, Payload)>,
    kept_bytes: usize,
    forgotten: u64,
    attached: Option<(u64, Arc<Mailbox>)>,
    expires: Option<Instant>,
}

/// Why a RESUME is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoReplay {
    /// The sequence was never sent.
    Ahead,
    /// What follows it is no longer kept.
    Forgotten,
}

/// The next dispatches of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Batch {
    /// In order; empty: nothing new.
    Next(Vec<(u64, Payload)>),
    /// The client read so slowly that its next event is no longer kept.
    TooSlow,
    /// The session has another connection, or has ended.
    NotYours,
}

impl Session {
    pub(super) fn new(identity: Identity, bounds: Bounds, traffic: Traffic, rows: Rows) -> Self {
        Self {
            identity,
            asked: traffic.apart(),
            traffic,
            stencils: Stencils::default(),
            rows,
            loaded: 0,
            ended: None,
            bounds,
            last: 0,
            claimed: 0,
            delivered: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
            forgotten: 0,
            attached: None,
            expires: None,
        }
    }

    /// Numbers, records and keeps a dispatch, `write` writes its data. `at` is ms since the start.
    /// `scratch` is any buffer of the caller: its capacity is what makes this cheap.
    pub(super) fn dispatch(
        &mut self,
        event: Event,
        at: u64,
        scratch: &mut String,
        write: impl FnOnce(&mut Self, &mut String),
    ) -> u64 {
        self.last += 1;
        scratch.clear();
        // Clients take the first match of a key: this is Discord's order.
        put!(
            scratch,
            r#"{{"t":"{}","s":{},"op":0,"d":"#,
            event.name(),
            self.last
        );
        write(self, scratch);
        scratch.push('}');
        let text = Bytes::copy_from_slice(scratch.as_bytes());
        self.rows.push(Some(event), self.last, &text, at);
        self.keep(Payload::plain(text));
        self.last
    }

    /// Numbers, records and keeps a script's text that [`wants_sequence`]. `latin1`: each letter is one byte.
    pub(super) fn raw(&mut self, text: &str, latin1: bool, at: u64) {
        self.last += 1;
        let text = text.replacen(NEXT, &format!(r#""s":{}"#, self.last), 1);
        let said: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let name = said["t"].as_str().unwrap_or_default();
        let payload: Bytes = if latin1 {
            let bytes = text.chars().map(u8::try_from);
            bytes.filter_map(Result::ok).collect()
        } else {
            text.clone().into()
        };
        self.rows.push_named(name, self.last, &payload, at);
        self.keep(Payload::plain(payload));
    }

    /// A script's text claimed this sequence: the client may believe it.
    pub(super) fn claim(&mut self, seq: u64) {
        self.claimed = self.claimed.max(seq);
    }

    /// The next event of the traffic; none: nothing can happen. Arguments as of [`Self::dispatch`].
    pub(super) fn flow(&mut self, at: u64, scratch: &mut String) -> Option<u64> {
        if self.stencils.ready() {
            let id = self.traffic.next_id();
            let stencil = self.stencils.next(self.traffic.dark())?;
            self.last += 1;
            let (event, payload) = (stencil.event(), stencil.payload(self.last, id, scratch));
            self.rows.push(Some(event), self.last, &payload.text, at);
            self.keep(payload);
            return Some(self.last);
        }
        let event = self.traffic.choose()?;
        let seq = self.dispatch(event, at, scratch, |session, out| {
            session.traffic.write(event, out);
        });
        if self.stencils.want()
            && let Some(stencil) = Stencil::cut(event, scratch, self.traffic.made())
        {
            self.stencils.add(stencil);
        }
        Some(seq)
    }

    /// Keeps the payload of the last sequence for replay.
    fn keep(&mut self, payload: Payload) {
        self.kept_bytes += payload.len();
        self.kept.push_back((self.last, payload));
        while self.kept.len() > self.bounds.events.max(1)
            || (self.kept_bytes > self.bounds.bytes && self.kept.len() > 1)
        {
            self.forget_oldest();
        }
        if let Some((_, mailbox)) = &self.attached {
            mailbox.ring();
        }
    }

    /// The next dispatches after `cursor` for `connection`, at most about `bytes`. They count as
    /// delivered from here on: how far the kernel gets with them nobody can tell.
    pub(super) fn after(&mut self, connection: u64, cursor: u64, bytes: usize) -> Batch {
        if self.listener() != Some(connection) {
            return Batch::NotYours;
        }
        if cursor < self.forgotten {
            return Batch::TooSlow;
        }
        let from = self.kept.partition_point(|(seq, _)| *seq <= cursor);
        let mut room = bytes;
        let next: Vec<_> = self
            .kept
            .range(from..)
            .take_while(|(_, payload)| {
                let fits = room > 0;
                room = room.saturating_sub(payload.len());
                fits
            })
            .cloned()
            .collect();
        self.delivered = self.delivered.max(next.last().map_or(0, |(seq, _)| *seq));
        Batch::Next(next)
    }

    /// Whether everything after `seq` can still be sent.
    pub(super) fn can_replay(&self, seq: u64) -> Result<(), NoReplay> {
        if seq > self.last {
            Err(NoReplay::Ahead)
        } else if seq < self.forgotten {
            Err(NoReplay::Forgotten)
        } else {
            Ok(())
        }
    }

    /// From now on `connection` listens.
    pub(super) fn attach(&mut self, connection: u64, mailbox: Arc<Mailbox>) {
        self.attached = Some((connection, mailbox));
        self.expires = None;
    }

    /// `connection` is gone: the session lives on for `ttl`. Nothing happens if another one listens.
    pub(super) fn detach(&mut self, connection: u64, now: Instant, ttl: Duration) {
        if self.listener() == Some(connection) {
            self.attached = None;
            self.expires = Some(now + ttl);
        }
    }

    /// The session is over; what it kept is freed, its record stays.
    pub(super) fn end(&mut self, reason: &'static str, at_ms: u64) {
        if self.ended.is_none() {
            self.ended = Some((reason, at_ms));
            self.attached = None;
            self.kept = VecDeque::new();
            self.kept_bytes = 0;
        }
    }

    /// Ends it if its time without a socket is over.
    pub(super) fn expire(&mut self, now: Instant, at_ms: u64) -> bool {
        let over = self.ended.is_none() && self.expires.is_some_and(|at| at <= now);
        if over {
            self.end("expired", at_ms);
        }
        over
    }

    /// The client says that it has everything up to `seq`.
    pub(super) fn acknowledged(&mut self, seq: u64) {
        while self.bounds.trim_at_heartbeat
            && self.kept.front().is_some_and(|(first, _)| *first <= seq)
        {
            self.forget_oldest();
        }
    }

    /// Skips one sequence number, as Discord does when it loses an event.
    pub(super) fn skip(&mut self) {
        self.last += 1;
    }

    /// Sends an order to the connection that listens.
    pub(super) fn order(&self, order: Order) -> bool {
        let Some((_, mailbox)) = &self.attached else {
            return false;
        };
        mailbox.post(order);
        true
    }

    /// Nothing happens in this guild from now on: it is unavailable.
    pub(super) fn darken(&mut self, guild: u64) {
        self.traffic.darken(guild);
        self.asked.darken(guild);
    }

    /// It is available again.
    pub(super) fn light(&mut self, guild: u64) {
        self.traffic.light(guild);
        self.asked.light(guild);
    }

    /// The sequence of the last dispatch.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The highest sequence that its client can have heard of.
    pub(super) fn claimed(&self) -> u64 {
        self.claimed.max(self.last)
    }

    /// The highest sequence ever handed to a socket.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The connection that listens.
    pub(super) fn listener(&self) -> Option<u64> {
        self.attached.as_ref().map(|(connection, _)| *connection)
    }

    /// READY and every guild were sent, and it has not ended: traffic flows.
    pub(super) fn flows(&self) -> bool {
        self.ended.is_none() && self.last > 0 && self.loaded >= self.identity.guilds.len()
    }

    fn forget_oldest(&mut self) {
        if let Some((seq, payload)) = self.kept.pop_front() {
            self.forgotten = seq;
            self.kept_bytes -= payload.len();
        }
    }
}

/// In place of a sequence: the session's next one.
const NEXT: &str = r#""s":"next""#;

/// Whether a script's text is a dispatch of the session: one that leaves its sequence open.
pub(super) fn wants_sequence(text: &str) -> bool {
    text.contains(NEXT)
}

#[cfg(test)]
mod tests;
