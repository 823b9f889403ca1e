//! What a shard takes in: numbers checked, choice of events applied, handed to the publisher.

use std::{collections::HashSet, sync::Arc};

use ::metrics::counter;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::{
    buffer::{Admission, Budget},
    forward::{Body, Message},
    gauge::Gauge,
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

/// More distinct names than Discord has; what goes beyond is not remembered.
const MAX_NAMES: usize = 256;

/// Where a shard's messages go.
#[derive(Clone)]
pub struct Sink {
    /// To its publisher.
    pub queue: mpsc::UnboundedSender<Message>,
    /// The process's bytes.
    pub budget: Budget,
    /// Dropped first when NATS is away and the buffer is nearly full.
    pub shed: Arc<[String]>,
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
    topology: Arc<Topology>,
    sink: Sink,
    names: HashSet<Arc<str>>,
    queued: u64,
}

impl Intake {
    /// An intake that begins at a resume point, or without one.
    pub fn new(id: ShardId, track: Track, topology: Arc<Topology>, sink: Sink) -> Self {
        let name = track.session().map_or("", |session| &session.id).into();
        Self {
            id,
            track,
            session: name,
            topology,
            sink,
            names: HashSet::new(),
            queued: 0,
        }
    }

    /// The sequence and the name of a dispatch; none of one that cannot be stored.
    pub fn named(&mut self, head: &Head<'_>) -> Option<(u64, Arc<str>)> {
        let named = head.s.zip(head.t.as_deref().filter(|name| is_name(name)));
        let Some((seq, name)) = named else {
            let shard = self.id;
            tracing::warn!(%shard, "a dispatch of shard {shard} has no sequence or no name");
            return None;
        };
        Some((seq, self.name(name)))
    }

    /// Takes a dispatch.
    pub fn dispatch(&mut self, (seq, name): (u64, Arc<str>), text: String, now: Instant) -> Take {
        let shard = self.id;
        self.sink.gauge.event();
        let mut take = Take::Queued;
        if &*name == "READY" {
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
            if &*name == "RESUMED" {
                count_session("resumed");
                tracing::info!(%shard, seq, "shard {shard} has resumed");
            }
        }
        if !self.topology.forwards(&name) {
            return dropped("denied");
        }
        let sheddable = self.sink.shed.iter().any(|shed| **shed == *name);
        if self.sink.budget.admit(sheddable, clock::unix_ms) == Admission::Shed {
            return dropped("shed");
        }
        self.queue(
            seq,
            Body::Event {
                name,
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
        self.topology = topology;
    }

    /// The session at the last sequence accepted.
    pub fn session(&self) -> Option<Session> {
        self.track.session().cloned()
    }

    /// True if everything accepted is stored or was dropped on purpose.
    pub fn settled(&self) -> bool {
        self.sink.gauge.progress.stored() == self.queued
    }

    /// True if the publisher has ended.
    pub fn closed(&self) -> bool {
        self.sink.queue.is_closed()
    }

    /// The process's bytes.
    pub fn budget(&self) -> &Budget {
        &self.sink.budget
    }

    /// Shows where the shard stands.
    pub fn show(&self, state: ShardState) {
        self.sink.gauge.state(state);
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
        if self.sink.queue.send(message).is_err() {
            self.sink.budget.remove(bytes);
        }
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        if self.names.len() < MAX_NAMES {
            self.names.insert(Arc::clone(&name));
        }
        name
    }
}

/// True for what can stand in a subject: anything else would be refused for ever.
fn is_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(word)
}

fn dropped(reason: &'static str) -> Take {
    counter!(table::DROPPED.name, "reason" => reason).increment(1);
    Take::Dropped
}

fn count_session(kind: &'static str) {
    counter!(table::SESSIONS.name, "kind" => kind).increment(1);
}
