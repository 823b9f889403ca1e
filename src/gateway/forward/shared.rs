//! The group's fast-ingest batch as its shards share it: they hand their messages over, one task sends
//! them and hears what is stored.
//!
//! One queue for the group, and one task that empties it: an ack wakes that one, not every shard that
//! waits for room, and events that came together leave together.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use super::{
    form::{Fence, Form},
    ingest::Ingest,
    message::Message,
    progress::Progress,
    said::Replies,
    seat::Seat,
};
use crate::{
    clock::{self, Instant},
    gateway::{buffer::Budget, metrics::Meters},
};

/// The batch of one group; clones share it.
#[derive(Clone)]
pub struct GroupBatch(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Moves when a batch is over, its lease has changed, or a shard that leaves has one ack less to wait for.
    moved: watch::Sender<()>,
    /// Wakes who tends the batch.
    kick: Notify,
}

pub(super) struct State {
    pub(super) ingest: Ingest,
    /// Of the batch under way, or prepared.
    pub(super) replies: Replies,
    /// Handed over, and not sent.
    queue: VecDeque<Aboard>,
    /// Sent and not acknowledged, in the order of their numbers.
    flying: VecDeque<Aboard>,
    /// Messages of the batch that are not in `flying` any more.
    landed: u64,
    /// Up to which number messages left when.
    departures: VecDeque<(u64, Instant)>,
    pub(super) lines: Vec<Line>,
    /// Its tender has been woken and has not looked yet.
    kicked: bool,
}

struct Aboard {
    line: usize,
    message: Message,
}

/// A shard as the batch knows it.
pub(super) struct Line {
    /// None once its publisher has ended.
    pub(super) told: Option<Told>,
    form: Form,
    /// It hands its messages over to the batch.
    pub(super) rides: bool,
    /// For its first message in the batch.
    pub(super) fence: Option<Fence>,
    /// Messages handed over and not acknowledged.
    pub(super) aboard: usize,
    /// Something of it was acknowledged in this batch.
    pub(super) acked: bool,
    /// What it had in a batch that is over.
    pub(super) back: VecDeque<Message>,
}

impl Line {
    fn is_free(&self) -> bool {
        self.told.is_none() && self.aboard == 0 && self.back.is_empty()
    }
}

/// Who is told what a shard has stored.
#[derive(Clone)]
pub struct Told {
    /// How far it is.
    pub progress: Arc<Progress>,
    /// READYs that are stored, for the session's key; in boxes, as a channel has 32 places from the start.
    pub ready: mpsc::UnboundedSender<Box<Message>>,
}

impl Told {
    /// A message is in the stream.
    pub(super) fn stored(&self, message: Message, budget: &Budget, meters: &Meters, now: Instant) {
        budget.remove(message.body.size());
        if message.is_of_stream() {
            self.progress.goes_on(message.tag());
        } else {
            self.progress.one_more(message.tag());
        }
        meters.stored(&message, now);
        if message.is_ready() {
            // The owner of the session's key may be gone already; then the stream alone tells.
            _ = self.ready.send(Box::new(message));
        }
    }
}

/// A message of the batch on its way out.
pub(super) struct Leaving {
    pub(super) subject: Subject,
    pub(super) reply: String,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
    pub(super) read_at: Instant,
}

impl GroupBatch {
    /// Without a batch.
    pub(super) fn new(replies: Replies) -> Self {
        let state = State {
            ingest: Ingest::new(clock::now()),
            replies,
            queue: VecDeque::new(),
            flying: VecDeque::new(),
            landed: 0,
            departures: VecDeque::new(),
            lines: Vec::new(),
            kicked: false,
        };
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            moved: watch::Sender::new(()),
            kick: Notify::new(),
        }))
    }

    /// One more shard: its seat.
    pub fn join(&self, told: Told, form: Form) -> Seat {
        let lines = &mut self.lock().lines;
        let line = Line {
            told: Some(told),
            form,
            rides: false,
            fence: None,
            aboard: 0,
            acked: false,
            back: VecDeque::new(),
        };
        // A shard that was opened anew left one.
        let number = if let Some(free) = lines.iter().position(Line::is_free) {
            lines[free] = line;
            free
        } else {
            lines.push(line);
            lines.len() - 1
        };
        Seat::new(self.clone(), number)
    }

    /// Everything that is not acknowledged, given up: it is the next owner's to fetch.
    pub fn give_up(&self, budget: &Budget) {
        let mut state = self.lock();
        state.part(budget);
        let back = state.lines.iter_mut().flat_map(|line| line.back.drain(..));
        for message in back {
            budget.drop_one(message.body.size());
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything in it may panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves when a shard of the batch has to look where it is.
    pub(super) fn moved(&self) -> watch::Receiver<()> {
        self.0.moved.subscribe()
    }

    /// Has its shards look where they are.
    pub(super) fn tell(&self) {
        _ = self.0.moved.send(());
    }

    /// Has its tender look what there is to do.
    pub(super) fn kick(&self) {
        self.0.kick.notify_one();
    }

    pub(super) async fn kicked(&self) {
        self.0.kick.notified().await;
    }
}

impl State {
    /// A message of this line, behind all others. True: its tender sleeps, and could send it.
    pub(super) fn hand_over(&mut self, line: usize, message: Message) -> bool {
        self.lines[line].aboard += 1;
        self.queue.push_back(Aboard { line, message });
        let wake = !self.kicked && self.ingest.room() > 0;
        self.kicked |= wake;
        wake
    }

    /// The next message, if there is one and room for it.
    pub(super) fn next(&mut self, now: Instant) -> Option<Leaving> {
        self.kicked = false;
        if self.ingest.room() == 0 {
            return None;
        }
        let aboard = self.queue.pop_front()?;
        let (line, message) = (&mut self.lines[aboard.line], &aboard.message);
        let number = self.ingest.send(now);
        let out = line.form.fit(message);
        let headers = out.headers(message, line.fence.take().as_ref());
        if let Some(told) = &line.told {
            told.progress.left();
        }
        let leaving = Leaving {
            subject: out.subject,
            reply: self.replies.message(number),
            headers,
            payload: out.payload,
            read_at: message.read_at,
        };
        self.flying.push_back(aboard);
        Some(leaving)
    }

    /// So many messages have left.
    pub(super) fn departed(&mut self, now: Instant) {
        let upto = self.landed + self.flying.len() as u64;
        self.departures.push_back((upto, now));
    }

    /// Counts what was acknowledged since the last time.
    pub(super) fn settle(&mut self, budget: &Budget, meters: &Meters, now: Instant) {
        while self.landed < self.ingest.acked()
            && let Some(Aboard { line, message }) = self.flying.pop_front()
        {
            self.landed += 1;
            let line = &mut self.lines[line];
            line.aboard -= 1;
            line.acked = true;
            match &line.told {
                Some(told) => told.stored(message, budget, meters, now),
                None => budget.remove(message.body.size()),
            }
        }
        while let Some((_, at)) = self
            .departures
            .front()
            .filter(|(upto, _)| *upto <= self.landed)
        {
            meters.acked(now - *at);
            self.departures.pop_front();
        }
    }

    /// The batch is over: what is not acknowledged goes back to its shards. True if somebody rode in it.
    pub(super) fn part(&mut self, budget: &Budget) -> bool {
        self.landed = 0;
        self.departures.clear();
        budget.came_back(self.flying.len() as u64);
        for Aboard { line, .. } in &self.flying {
            if let Some(told) = &self.lines[*line].told {
                told.progress.waits();
            }
        }
        for Aboard { line, message } in self.flying.drain(..).chain(self.queue.drain(..)) {
            let line = &mut self.lines[line];
            line.aboard -= 1;
            if line.told.is_some() {
                line.back.push_back(message);
            } else {
                budget.drop_one(message.body.size());
            }
        }
        let riders = self.lines.iter_mut().filter(|line| line.rides);
        riders.fold(false, |_, line| {
            line.rides = false;
            true
        })
    }
}
