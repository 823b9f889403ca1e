//! What a shard takes in: numbers checked, choice of events applied, handed to the publisher.

use std::sync::Arc;

use ::metrics::counter;
use bytes::Bytes;

use super::super::{
    buffer::{Admission, Budget, Share},
    forward::{Body, Handover, Message},
    gauge::Gauge,
    kind::{Kind, Kinds},
    metrics as table,
    peek::Head,
    session,
    track::{Dispatch, Lost, Session, Track},
};
use crate::{
    clock::{self, Instant},
    fleet::ShardId,
    wire::{
        event::{Gap, GapReason},
        status::ShardState,
        topology::Topology,
    },
};

/// Where a shard's messages go.
#[derive(Clone)]
pub struct Sink {
    /// The way to the stream.
    pub handover: Handover,
    /// The process's bytes.
    pub budget: Budget,
    /// What the shard shows.
    pub gauge: Arc<Gauge>,
}

/// What became of a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Handed on.
    Queued,
    /// Handed on, and a session began.
    Began,
    /// Dropped on purpose.
    Dropped,
}

/// The intake of one shard.
pub struct Intake {
    id: ShardId,
    track: Track,
    session: Arc<str>,
    kinds: Kinds,
    sink: Sink,
    share: Share,
    queued: u64,
    /// Something came since it was shown last.
    heard: bool,
}

impl Intake {
    /// An intake that begins at a resume point, or without one.
    pub fn new(id: ShardId, track: Track, kinds: Kinds, sink: Sink) -> Self {
        let name = track.session().map_or("", |session| &session.id).into();
        let share = sink.budget.share();
        Self {
            id,
            track,
            session: name,
            kinds,
            sink,
            share,
            queued: 0,
            heard: false,
        }
    }

    /// The sequence and the kind of a dispatch; none of one that cannot be stored.
    pub fn known(&mut self, head: &Head<'_>) -> Option<(u64, Arc<Kind>)> {
        let kind = head.t.as_deref().and_then(|name| self.kinds.of(name));
        let known = head.s.zip(kind);
        if known.is_none() {
            let shard = self.id;
            tracing::warn!(%shard, "a dispatch of shard {shard} has no sequence or no name");
        }
        known
    }

    /// Takes a dispatch.
    pub fn dispatch(&mut self, (seq, kind): (u64, Arc<Kind>), text: String, now: Instant) -> Take {
        let shard = self.id;
        self.heard = true;
        let mut take = Take::Queued;
        if &*kind.name == "READY" {
            let Some(ready) = session::ready(text.as_bytes()) else {
                tracing::error!(%shard, "a READY of shard {shard} names no session");
                return Take::Dropped;
            };
            let lost = self
                .track
                .ready(&ready.session_id, &ready.resume_gateway_url, seq);
            self.announce(lost);
            self.session = ready.session_id.as_str().into();
            count_session("ready");
            tracing::info!(%shard, "shard {shard} is ready with a new session");
            take = Take::Began;
        } else {
            match self.track.dispatch(seq) {
                Dispatch::Next => {}
                Dispatch::Hole(lost) => self.announce(Some(lost)),
                Dispatch::Seen => return dropped("seen"),
                Dispatch::Stray => return dropped("stray"),
            }
            if &*kind.name == "RESUMED" {
                count_session("resumed");
                tracing::info!(%shard, seq, "shard {shard} has resumed");
            }
        }
        if !kind.forwarded {
            return dropped("denied");
        }
        if self.sink.budget.admit(kind.sheddable, clock::unix_ms) == Admission::Shed {
            return dropped("shed");
        }
        self.queue(
            seq,
            Body::Event {
                kind,
                payload: Bytes::from(text),
            },
            now,
        );
        take
    }

    /// The session is over: says so at once.
    pub fn lose(&mut self, reason: GapReason) {
        let lost = self.track.invalidated(reason);
        self.announce(lost);
    }

    /// Another choice of events.
    pub fn choose(&mut self, topology: Arc<Topology>) {
        self.kinds.choose(topology);
    }

    /// The session at the last sequence accepted.
    pub fn session(&self) -> Option<Session> {
        self.track.session().cloned()
    }

    /// The last sequence accepted, for heartbeats; none without a session.
    pub fn seq(&self) -> Option<u64> {
        self.track.session().map(|session| session.seq)
    }

    /// A dispatch that was too large to be kept: a gap stands in its place.
    pub fn too_large(&mut self, seq: u64) {
        let lost = match self.track.dispatch(seq) {
            Dispatch::Next => None,
            Dispatch::Hole(lost) => Some(lost),
            Dispatch::Seen | Dispatch::Stray => return,
        };
        self.announce(lost);
        let session = self.session.to_string();
        self.announce(Some(Lost {
            session,
            last_seq: seq,
            missing: Some(1),
            reason: GapReason::Oversize,
        }));
    }

    /// The session at a sequence up to which everything is stored or was dropped on purpose.
    pub fn point(&self) -> Option<Session> {
        let session = self.session()?;
        if self.waiting() == 0 {
            return Some(session);
        }
        let seq = self.sink.gauge.progress.last()?.seq_in(&session.id)?;
        Some(Session { seq, ..session })
    }

    /// True if the publisher has ended.
    pub fn closed(&self) -> bool {
        self.sink.handover.is_closed()
    }

    /// Messages handed on that are not stored.
    pub fn waiting(&self) -> u64 {
        self.queued
            .saturating_sub(self.sink.gauge.progress.stored())
    }

    /// True if more waits than the shard's share; `stopped`: than lets it go on again.
    pub fn has_backlog(&self, stopped: bool) -> bool {
        let most = if stopped {
            self.share.room()
        } else {
            self.share.most()
        };
        self.sink.gauge.progress.waiting() > most
    }

    /// Has [`Intake::room`] return once a shard that has stopped may go on.
    pub fn awaits_room(&self) {
        self.sink.gauge.progress.awaits_room(self.share.room());
    }

    /// Waits until there is room again, where that was asked for.
    pub async fn room(&self) {
        self.sink.gauge.progress.room().await;
    }

    /// The process's bytes.
    pub fn budget(&self) -> &Budget {
        &self.sink.budget
    }

    /// Shows where the shard stands.
    pub fn show(&mut self, state: ShardState) {
        self.sink.gauge.state(state);
        if std::mem::take(&mut self.heard) {
            self.sink.gauge.event();
        }
    }

    fn announce(&mut self, lost: Option<Lost>) {
        let Some(Lost {
            session,
            last_seq,
            missing,
            reason,
        }) = lost
        else {
            return;
        };
        let shard = self.id;
        tracing::warn!(%shard, session, last_seq, reason = reason.as_str(), "shard {shard} has a gap");
        counter!(table::GAPS.name, "reason" => reason.as_str()).increment(1);
        self.sink.gauge.gap();
        let mut gap = Gap::new(reason, &session, last_seq, clock::unix_ms());
        gap.missing = missing;
        let message = Message {
            session: session.into(),
            seq: last_seq,
            body: Body::Gap(gap),
            read_at: clock::now(),
        };
        self.send(message);
    }

    fn queue(&mut self, seq: u64, body: Body, read_at: Instant) {
        let session = Arc::clone(&self.session);
        self.send(Message {
            session,
            seq,
            body,
            read_at,
        });
    }

    fn send(&mut self, message: Message) {
        let bytes = message.body.size();
        self.sink.budget.add(bytes);
        self.queued += 1;
        // A publisher that has ended stores nothing any more; the loop sees it and stops.
        if !self.sink.handover.send(message) {
            self.sink.budget.drop_one(bytes);
        }
    }
}

fn dropped(reason: &'static str) -> Take {
    counter!(table::DROPPED.name, "reason" => reason).increment(1);
    Take::Dropped
}

fn count_session(kind: &'static str) {
    counter!(table::SESSIONS.name, "kind" => kind).increment(1);
}
