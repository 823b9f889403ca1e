//! One shard: polls its connection, peeks, hands events on; [`super::lifecycle`] says when it connects and
//! when it has waited long enough.
//!
//! Heartbeats go out between polls, so that nothing slow stands in this loop. Before every poll it looks
//! at its lease: one poll of a process that slept would steal the session from its successor.

mod connection;
mod frames;
pub mod intake;
mod news;
mod upstream;

use std::{pin::pin, sync::Arc, time::Duration};

use rand::{SeedableRng, rngs::SmallRng};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::{
    intake::Intake,
    news::{News, Word},
};
use super::{
    ask::Asking,
    command::{Asks, Commands},
    discord::Discord,
    gauge::Reconnects,
    keep::KeepClock,
    kind::Kinds,
    lifecycle::Lifecycle,
    socket::{Polled, Socket, valid},
    track::{Session, Track},
};
use crate::{
    alarm::Alarm,
    clock::{self, Instant},
    fleet::ShardId,
    lease::Held,
    subject::Names,
    wire::topology::Topology,
};

pub use self::intake::{Sink, Take};

/// Frames taken before the shard looks around.
const BURST: usize = 64;
/// Words heard before the shard polls again.
const WORDS: usize = 32;
/// How soon a shard looks for room in a full buffer.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(20);
/// How soon a shard that waits for something without a sound looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What a shard runs with.
pub struct Shard {
    /// Its number.
    pub id: ShardId,
    /// As whom it identifies, and where.
    pub discord: Arc<Discord>,
    /// How the fleet is cut, and which events it wants.
    pub topology: watch::Receiver<Arc<Topology>>,
    /// Under which it may poll.
    pub held: watch::Receiver<Option<Held>>,
    /// Counts leaders.
    pub leader: watch::Receiver<u64>,
    /// Its permits to IDENTIFY.
    pub asking: Asking,
    /// What workers want sent.
    pub commands: Commands,
    /// Where events go.
    pub sink: Sink,
    /// Under which subjects.
    pub names: Names,
    /// Events dropped first when NATS is away and the buffer is nearly full.
    pub shed: Arc<[String]>,
    /// Resume points for its key.
    pub points: mpsc::UnboundedSender<Session>,
    /// Cancelled: close resumably and end.
    pub stop: CancellationToken,
}

/// Why a shard ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to; its socket is closed, its session lives.
    Stopped,
    /// The lease ended.
    LeaseLost,
    /// The publisher ended.
    PublisherGone,
    /// The stream has lost what it had acknowledged: the shard is to resume from what is left.
    Behind,
    /// Discord refuses this bot until somebody mends the reason.
    Fatal(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Running,
    /// Closing for good; what still comes is taken.
    Stopping,
    /// Closing until there is room; what still comes is left for the replay.
    Parking,
    /// Closed until there is room.
    Parked,
}

impl Shard {
    /// Runs until it is stopped, or may not go on. `asks` is where workers ask, `track` the resume point.
    /// Returns the next one too: it holds once everything taken is stored.
    pub async fn run(self, asks: Asks, track: Track) -> (End, Option<Session>) {
        let now = clock::now();
        let topology = self.topology.borrow().clone();
        let kinds = Kinds::new(
            self.names.clone(),
            self.id,
            Arc::clone(&self.shed),
            topology,
        );
        let intake = Intake::new(self.id, track, kinds, self.sink.clone());
        let reconnects = self.sink.gauge.reconnects();
        let news = News::new(asks, self.stop.clone())
            .changes(&reconnects, || Word::Reconnect)
            .changes(&self.leader, || Word::Leader)
            .changes(&self.topology, || Word::Topology)
            .changes(&self.held, || Word::Changed)
            .changes(self.discord.address.changes(), || Word::Address);
        let mut run = Run {
            news,
            reconnects,
            alarm: Alarm::new(now),
            lifecycle: Lifecycle::new(now),
            keep: KeepClock::new(now),
            intake,
            socket: None,
            mode: Mode::Running,
            poll_from: now,
            polled: false,
            rng: SmallRng::from_rng(&mut rand::rng()),
            shard: self,
        };
        let end = run.run().await;
        run.shard.asking.withdraw();
        (end, run.intake.session())
    }
}

struct Run {
    shard: Shard,
    news: News,
    reconnects: watch::Receiver<Reconnects>,
    alarm: Alarm,
    lifecycle: Lifecycle,
    keep: KeepClock,
    intake: Intake,
    socket: Option<Socket>,
    mode: Mode,
    /// Polling before this moment would fill a full buffer.
    poll_from: Instant,
    /// Something was read since the buffer was looked at.
    polled: bool,
    rng: SmallRng,
}

impl Run {
    async fn run(&mut self) -> End {
        loop {
            if !valid(&self.shard.held) {
                return End::LeaseLost;
            }
            if self.intake.closed() {
                return End::PublisherGone;
            }
            let now = clock::now();
            if let Some(end) = self.limits(now).await {
                return end;
            }
            if let Some(end) = self.hear(now).await {
                return end;
            }
            self.make_room(now).await;
            self.connect(now);
            if let Some(end) = self.upstream(now).await {
                return end;
            }
            self.shard.asking.ask();
            self.show();
            self.keep_point(now);
            let mut wake = self.wait(now).await;
            if matches!(wake, Wake::Permit) {
                self.identify().await;
                wake = Wake::Other;
            }
            let end = match wake {
                Wake::Polled(polled) => self.burst(polled).await,
                Wake::Word(word) => self.word(word, clock::now()).await,
                Wake::Permit | Wake::Other => None,
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Takes the words that are there.
    async fn hear(&mut self, now: Instant) -> Option<End> {
        for _ in 0..WORDS {
            let word = self.news.take()?;
            if let Some(end) = self.word(word, now).await {
                return Some(end);
            }
        }
        None
    }

    async fn word(&mut self, word: Word, now: Instant) -> Option<End> {
        match word {
            Word::Stop => {
                // What a parking shard left unread must not be followed by what comes later.
                let parking = self.mode == Mode::Parking;
                if parking || !self.socket.as_ref().is_some_and(Socket::is_open) {
                    return Some(End::Stopped);
                }
                self.close(Mode::Stopping, now).await;
            }
            Word::Command(message) => self.shard.commands.take(message),
            Word::Leader => self.shard.asking.on_leader(),
            Word::Topology => {
                let topology = self.shard.topology.borrow_and_update().clone();
                self.intake.choose(topology);
            }
            Word::Address => self.lifecycle.moved(now, &mut self.rng),
            Word::Reconnect => {
                let new_session = self.reconnects.borrow_and_update().new_session;
                self.reconnect(new_session, now).await;
            }
            Word::Changed => {}
        }
        None
    }

    /// Waits for whatever comes first.
    async fn wait(&mut self, now: Instant) -> Wake {
        let wake = self.next_wakeup(now);
        self.alarm.set(wake);
        let open = now >= self.poll_from;
        let Shard { asking, held, .. } = &mut self.shard;
        if let (false, Some(socket)) = (open, &mut self.socket) {
            socket.unpolled();
        }
        let socket = self.socket.as_mut().filter(|_| open);
        let budget = self.intake.budget();
        // One that reads slowly, for its heartbeats, needs room too.
        let slow = budget.is_full();
        let room = || !(budget.is_overfull() || (!slow && budget.is_full()));
        let polled = pin!(async {
            match socket {
                Some(socket) => socket.next(held, room).await,
                None => std::future::pending().await,
            }
        });
        tokio::select! {
            biased;
            polled = polled => Wake::Polled(polled),
            word = self.news.next() => Wake::Word(word),
            answer = asking.answer() => {
                if asking.on_answer(&answer) { Wake::Permit } else { Wake::Other }
            }
            () = self.intake.room(), if !open => Wake::Other,
            () = self.alarm.ring() => Wake::Other,
        }
    }

    /// Takes what was polled, and what stands behind it: to look around after every frame would
    /// cost more than the frame.
    async fn burst(&mut self, first: Polled) -> Option<End> {
        let mut polled = first;
        for _ in 0..BURST {
            if let Some(end) = self.polled(polled).await {
                return Some(end);
            }
            let goes_on = self.mode == Mode::Running
                && !self.shard.stop.is_cancelled()
                && !self.intake.budget().is_full()
                && !self.intake.has_backlog(false);
            let socket = self.socket.as_mut().filter(|_| goes_on)?;
            polled = socket.poll_once(&self.shard.held).await?;
        }
        self.polled(polled).await
    }

    fn keep_point(&mut self, now: Instant) {
        if self.keep.next(now) <= now
            && let Some(session) = self.intake.point()
        {
            self.keep.kept(now);
            // Where its keeper is gone, the stream alone serves.
            _ = self.shard.points.send(session);
        }
    }

    fn next_wakeup(&self, now: Instant) -> Instant {
        let boottime = clock::boottime();
        let asking = self
            .shard
            .asking
            .next_wakeup()
            .map(|next| now + next.since(boottime));
        let until = self
            .shard
            .held
            .borrow()
            .map(|held| now + held.until.since(boottime));
        // Those that wait go on with the next look around, or when Discord takes more frames.
        let commands = !self.shard.commands.is_empty();
        let commands = commands.then(|| {
            if self.may_send(now) {
                now
            } else {
                now + LOOK_AGAIN
            }
        });
        let poll = Some(self.poll_from).filter(|from| *from > now);
        // Others' messages fill the buffer too: no one says when there is room in it.
        let full = poll.is_some() && !self.intake.has_backlog(true);
        let room = full.then(|| now + LOOK_FOR_ROOM);
        // Without a connection it looks for room, or for a URL; with one, at its limits.
        let soon = now + LOOK_AGAIN;
        let limit = self.lifecycle.next_wakeup().filter(|limit| *limit > now);
        let limit = limit.or_else(|| self.socket.is_none().then_some(soon));
        // A resume point that is due waits until everything is stored.
        let keep = Some(self.keep.next(now)).filter(|next| *next > now);
        let keep = keep.or(Some(soon));
        let wakes = [asking, until, commands, room, poll, limit, keep];
        wakes
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(soon)
            .max(now + Duration::from_millis(1))
    }
}

/// Why the loop woke.
enum Wake {
    Polled(Polled),
    Word(Word),
    /// To IDENTIFY, if it is still fresh.
    Permit,
    Other,
}
