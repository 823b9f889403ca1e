//! The group's fast-ingest batch as its shards share it: each sends, one task hears what is stored.

use std::{collections::VecDeque, pin::pin, sync::Arc};

use async_nats::{Client, client::PublishError};
use futures_util::FutureExt;
use tokio::sync::{Mutex, MutexGuard, Notify, mpsc, watch};

use super::{
    Progress,
    ingest::{ANSWER_LIMIT, Ingest},
    message::{Message, Tag},
    outlet::{Fence, Outgoing},
    said::Replies,
    waiting::Waiting,
};
use crate::{
    clock::{self, Instant},
    gateway::{buffer::Budget, metrics::Meters},
};

/// The batch of one group; clones share it.
#[derive(Clone)]
pub struct GroupBatch(Arc<Inner>);

struct Inner {
    client: Client,
    state: Mutex<State>,
    /// Moves when there is room in the batch.
    room: watch::Sender<()>,
    /// Moves when a batch is over, or its lease has changed.
    over: watch::Sender<()>,
    /// Wakes who tends the batch.
    kick: Notify,
}

/// What its lock guards. It is held while messages go out: the server takes them by their numbers.
pub(super) struct State {
    pub(super) ingest: Ingest,
    /// Of the batch under way, or prepared.
    pub(super) replies: Replies,
    /// Sent and not acknowledged, in the order of their numbers.
    flying: VecDeque<Flying>,
    /// Messages of the batch that are not in `flying` any more.
    landed: u64,
    /// Up to which number messages left when.
    departures: VecDeque<(u64, Instant)>,
    lines: Vec<Line>,
}

struct Flying {
    line: usize,
    message: Message,
    out: Outgoing,
}

/// A shard as the batch knows it.
struct Line {
    /// None once its publisher has ended.
    told: Option<Told>,
    /// Messages under way.
    flying: usize,
    /// Something of it was acknowledged in this batch.
    acked: bool,
    /// What it had in a batch that is over.
    back: VecDeque<(Message, Outgoing)>,
}

impl Line {
    fn is_free(&self) -> bool {
        self.told.is_none() && self.flying == 0 && self.back.is_empty()
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
        self.progress.one_more(message.tag());
        meters.stored(&message, now);
        if message.is_ready() {
            // The owner of the session's key may be gone already; then the stream alone tells.
            _ = self.ready.send(Box::new(message));
        }
    }
}

/// A shard's place in a batch.
pub(super) struct Ride {
    pub(super) line: usize,
    pub(super) number: u64,
    /// For its first message.
    pub(super) fence: Option<Fence>,
}

impl GroupBatch {
    /// Without a batch.
    pub(super) fn new(client: Client, replies: Replies) -> Self {
        let state = State {
            ingest: Ingest::new(clock::now()),
            replies,
            flying: VecDeque::new(),
            landed: 0,
            departures: VecDeque::new(),
            lines: Vec::new(),
        };
        Self(Arc::new(Inner {
            client,
            state: Mutex::new(state),
            room: watch::Sender::new(()),
            over: watch::Sender::new(()),
            kick: Notify::new(),
        }))
    }

    /// One more shard: its line.
    pub async fn join(&self, told: Told) -> usize {
        let lines = &mut self.lock().await.lines;
        let line = Line {
            told: Some(told),
            flying: 0,
            acked: false,
            back: VecDeque::new(),
        };
        // A shard that was opened anew left one.
        if let Some(free) = lines.iter().position(Line::is_free) {
            lines[free] = line;
            return free;
        }
        lines.push(line);
        lines.len() - 1
    }

    /// A shard's publisher has ended.
    pub(super) async fn quit(&self, line: usize) {
        self.lock().await.lines[line].told = None;
    }

    /// A message was published by itself.
    pub(super) async fn passed(&self, now: Instant) {
        if self.lock().await.ingest.passed(now) {
            self.0.kick.notify_one();
        }
    }

    /// The number of the batch that a shard may join.
    pub(super) async fn joins(&self) -> Option<u64> {
        self.lock().await.ingest.joins()
    }

    /// Sends what waits, as far as there is room: true unless the batch of the ride is over.
    pub(super) async fn send(
        &self,
        ride: &mut Ride,
        waiting: &mut Waiting,
        budget: &Budget,
    ) -> bool {
        let mut state = self.lock().await;
        if state.ingest.is_over(ride.number) {
            return false;
        }
        let now = clock::now();
        let (mut sent, mut first) = (0, false);
        while state.ingest.room() > 0
            && let Some((message, out)) = waiting.pop()
        {
            let number = state.ingest.send(now);
            let headers = out.headers(&message, ride.fence.take().as_ref());
            let (subject, payload) = (out.subject.clone(), out.payload.clone());
            let reply = state.replies.message(number);
            let client = &self.0.client;
            let published = client.publish_with_reply_and_headers(subject, reply, headers, payload);
            if let Err(why) = in_time(published, now).await {
                tracing::warn!("a publish of {} failed: {why}", out.subject);
                state.ingest.broke(now);
            }
            let line = ride.line;
            state.lines[line].flying += 1;
            state.flying.push_back(Flying { line, message, out });
            sent += 1;
            first |= number == 1;
        }
        if sent > 0 {
            let upto = state.landed + state.flying.len() as u64;
            state.departures.push_back((upto, now));
            budget.left(sent);
        }
        // Who tends it has waited for nothing until now, or waits for the end of a lull.
        if first || state.ingest.is_broken() {
            self.0.kick.notify_one();
        }
        true
    }

    /// A batch is over: what the shard had in it that was not acknowledged, and its last message that
    /// was.
    pub(super) async fn leave(&self, line: usize) -> (VecDeque<(Message, Outgoing)>, Option<Tag>) {
        let line = &mut self.lock().await.lines[line];
        let acked = std::mem::take(&mut line.acked);
        let told = line.told.as_ref().filter(|_| acked);
        let last = told.and_then(|told| told.progress.last());
        (std::mem::take(&mut line.back), last)
    }

    /// The shard waits for its last acks: true if it has them all.
    pub(super) async fn finish(&self, line: usize) -> bool {
        let mut state = self.lock().await;
        if state.lines[line].flying == 0 {
            return true;
        }
        state.ingest.finish();
        self.0.kick.notify_one();
        false
    }

    /// Everything that is not acknowledged, given up: it is the next owner's to fetch.
    pub async fn give_up(&self, budget: &Budget) {
        self.lock().await.give_up(budget);
    }

    /// Moves when there is room in the batch.
    pub(super) fn room(&self) -> watch::Receiver<()> {
        self.0.room.subscribe()
    }

    /// Moves when a batch is over, or its lease has changed.
    pub(super) fn over(&self) -> watch::Receiver<()> {
        self.0.over.subscribe()
    }

    pub(super) async fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().await
    }

    pub(super) async fn kicked(&self) {
        self.0.kick.notified().await;
    }

    /// Lets shards know what came of an answer.
    pub(super) fn tell(&self, over: bool) {
        let moved = if over { &self.0.over } else { &self.0.room };
        _ = moved.send(());
    }
}

/// Awaits a publish that begins now; most are over at once, and need no timer.
async fn in_time(
    published: impl Future<Output = Result<(), PublishError>>,
    now: Instant,
) -> Result<(), String> {
    let mut published = pin!(published);
    // Nobody else of the group gets on while this waits.
    let sent = match published.as_mut().now_or_never() {
        Some(sent) => Ok(sent),
        None => tokio::time::timeout_at(now + ANSWER_LIMIT, published).await,
    };
    match sent {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(late) => Err(late.to_string()),
    }
}

impl State {
    /// Counts what was acknowledged since the last time.
    pub(super) fn settle(&mut self, budget: &Budget, meters: &Meters, now: Instant) {
        while self.landed < self.ingest.acked()
            && let Some(Flying { line, message, .. }) = self.flying.pop_front()
        {
            self.landed += 1;
            if let Some(line) = self.lines.get_mut(line) {
                line.flying -= 1;
                line.acked = true;
                match &line.told {
                    Some(told) => told.stored(message, budget, meters, now),
                    None => budget.remove(message.body.size()),
                }
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

    /// The batch is over: what is not acknowledged goes back to its shards.
    pub(super) fn part(&mut self, budget: &Budget) {
        self.landed = 0;
        self.departures.clear();
        budget.came_back(self.flying.len() as u64);
        for Flying { line, message, out } in self.flying.drain(..) {
            if let Some(line) = self.lines.get_mut(line) {
                line.flying -= 1;
                line.back.push_back((message, out));
            }
        }
    }

    fn give_up(&mut self, budget: &Budget) {
        self.part(budget);
        for (message, _) in self.lines.iter_mut().flat_map(|line| line.back.drain(..)) {
            budget.drop_one(message.body.size());
        }
    }
}
