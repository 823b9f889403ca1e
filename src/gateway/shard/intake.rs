//! What a shard takes in: numbers checked, choice of events applied, handed to the publisher.

use std::sync::Arc;

use ::metrics::counter;
use bytes::Bytes;

use super::super::{
    buffer::{Admission, Budget, Share},
    forward::{Body, Collision, Handover, Message},
    gauge::Gauge,
    kind::{Kind, Kinds},
    metrics as table,
    peek::Head,
    session::{self, Ready},
    sessions::Sessions,
    track::{Began, Dispatch, Lost, Session, Track},
};
use crate::{
    clock::{self, Instant},
    fleet::ShardId,
    subject::UNNAMED_EVENT,
    telemetry::seldom::Seldom,
    wire::{
        event::{GapReason, made_up_name, session_name},
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
    /// Names of sessions that are taken.
    pub sessions: Sessions,
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

/// What is known of a dispatch before it is taken.
pub struct Known {
    seq: Option<u64>,
    kind: Arc<Kind>,
}

/// The intake of one shard.
pub struct Intake {
    id: ShardId,
    track: Track,
    /// The session as message ids name it.
    session: Arc<str>,
    kinds: Kinds,
    sink: Sink,
    share: Share,
    queued: u64,
    /// Something came since it was shown last.
    heard: bool,
    strange: Seldom,
}

impl Intake {
    /// An intake that begins at a resume point, or without one.
    pub fn new(id: ShardId, track: Track, kinds: Kinds, sink: Sink) -> Self {
        let name = track.session().map(|session| session_name(&session.id));
        let name: Arc<str> = name.unwrap_or_default().as_ref().into();
        sink.sessions.begins(&name);
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
            strange: Seldom::default(),
        }
    }

    /// What is to be known of a dispatch: it has a kind whatever its name, and may lack a sequence.
    pub fn known(&mut self, head: &Head<'_>) -> Known {
        let kind = self.kinds.of(head.t.as_deref());
        Known { seq: head.s, kind }
    }

    /// Takes a dispatch.
    pub fn dispatch(&mut self, known: Known, payload: Bytes, now: Instant) -> Take {
        self.heard = true;
        let Known { seq, kind } = known;
        let is_ready = &*kind.name == "READY";
        if is_ready && let Some(unnumbered) = self.begin(seq, &payload) {
            return match self.store(kind, unnumbered, payload, now) {
                Take::Queued => Take::Began,
                dropped => dropped,
            };
        }
        if let Some(collision) = self.sink.gauge.progress.collision() {
            self.rename(&collision);
        }
        let mut unnumbered = 0;
        match self.track.dispatch(seq, &payload) {
            Dispatch::Next => {}
            Dispatch::Hole(lost) => self.announce(Some(lost)),
            Dispatch::Unnumbered(count) => {
                unnumbered = count;
                self.say_strange("a sequence that can be right", now);
            }
            Dispatch::Seen => return dropped("seen"),
            Dispatch::Stray(first) => {
                if first {
                    let name = self.made_up().into();
                    self.tell(name, 0, None, GapReason::BeforeReady);
                }
                return dropped("stray");
            }
        }
        if &*kind.name == "RESUMED" {
            let shard = self.id;
            count_session("resumed");
            tracing::info!(%shard, seq, "shard {shard} has resumed");
        }
        if &*kind.name == UNNAMED_EVENT {
            self.say_strange("a name that a subject can hold", now);
        }
        self.store(kind, unnumbered, payload, now)
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
        let lost = match self.track.dispatch(Some(seq), &[]) {
            Dispatch::Next => None,
            Dispatch::Hole(lost) => Some(lost),
            _ => return,
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
        let seq = self.sink.gauge.progress.last()?.seq_in(&self.session)?;
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

    /// A READY begins a session. Returns its place among events without a number, 0 where it has one; none
    /// where it is of the session in progress.
    fn begin(&mut self, seq: Option<u64>, payload: &[u8]) -> Option<u32> {
        let shard = self.id;
        let ready = session::ready(payload).unwrap_or_else(|| {
            tracing::error!(
                %shard,
                "Discord's READY for shard {shard} names no session. Its events are stored under a name of \
                 the fleet's own; Discord will refuse to resume it, and the shard will identify again"
            );
            Ready {
                session_id: self.made_up(),
                resume_gateway_url: String::new(),
            }
        });
        let (id, url) = (&ready.session_id, &ready.resume_gateway_url);
        let Began { lost, seq } = self.track.ready(id, url, seq, payload)?;
        self.announce(lost);
        self.session = session_name(id).as_ref().into();
        if !self.sink.sessions.begins(&self.session) {
            self.say_taken();
            self.session = self.made_up().into();
        }
        count_session("ready");
        tracing::info!(%shard, "shard {shard} is ready with a new session");
        Some(u32::from(seq.is_none()))
    }

    /// The stream took messages of the session for another's.
    fn rename(&mut self, Collision { session, lost }: &Collision) {
        if *session != self.session {
            return;
        }
        self.say_taken();
        self.session = self.made_up().into();
        if *lost && let Some(session) = self.track.session() {
            let (name, last_seq) = (Arc::clone(&self.session), session.seq);
            self.tell(name, last_seq, None, GapReason::Hole);
        }
    }

    fn say_taken(&self) {
        let (shard, session) = (self.id, &self.session);
        tracing::warn!(
            %shard,
            %session,
            "Discord gave shard {shard} a session_id that it has given before. Its events are stored under a \
             name of the fleet's own; whoever takes the shard over has to identify"
        );
    }

    /// A name that no session has, for what Discord gave none.
    fn made_up(&self) -> String {
        made_up_name(self.id, clock::unix_ms(), self.queued)
    }

    fn say_strange(&self, lacks: &str, now: Instant) {
        let shard = self.id;
        if let Some(more) = self.strange.one_more(now) {
            tracing::warn!(%shard, more, "Discord sent shard {shard} an event without {lacks}: it is stored all the same");
        }
    }

    fn announce(&mut self, lost: Option<Lost>) {
        if let Some(lost) = lost {
            let session = Arc::clone(&self.session);
            self.tell(session, lost.last_seq, lost.missing, lost.reason);
        }
    }

    fn tell(&mut self, session: Arc<str>, last_seq: u64, missing: Option<u64>, reason: GapReason) {
        let shard = self.id;
        tracing::warn!(%shard, %session, last_seq, reason = reason.as_str(), "shard {shard} has a gap");
        table::gap(reason);
        self.sink.gauge.gap();
        self.send(Message::of_gap(session, last_seq, missing, reason));
    }

    /// Hands an event on that the track has accepted, unless nobody wants it.
    fn store(&mut self, kind: Arc<Kind>, unnumbered: u32, payload: Bytes, now: Instant) -> Take {
        if !kind.forwarded {
            return dropped("denied");
        }
        if self.sink.budget.admit(kind.sheddable, clock::unix_ms) == Admission::Shed {
            return dropped("shed");
        }
        self.send(Message {
            session: Arc::clone(&self.session),
            seq: self.track.session().map_or(0, |session| session.seq),
            unnumbered,
            body: Body::Event { kind, payload },
            read_at: now,
        });
        Take::Queued
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
