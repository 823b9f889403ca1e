//! One shard: polls twilight, peeks, hands events on; reconnects at a measured pace.
//!
//! Heartbeats go out only while twilight is polled, so that nothing slow stands in this loop. Before
//! every poll it looks at its lease: one poll of a process that slept would steal the session from
//! its successor.

mod connection;
mod frames;
pub mod intake;
mod news;
mod upstream;

use std::{pin::pin, sync::Arc, time::Duration};

use rand::{SeedableRng, rngs::SmallRng};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use twilight_gateway::Config;

use self::{
    intake::Intake,
    news::{News, Word},
};
use super::{
    ask::Asking,
    command::{Asks, Commands},
    keep::KeepClock,
    kind::Kinds,
    pace::Pace,
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
    /// twilight's configuration, shared for its TLS.
    pub config: Arc<Config>,
    /// Where a session is begun; none before it is known.
    pub gateway_url: watch::Receiver<Option<Arc<str>>>,
    /// How the fleet is cut, and which events it wants.
    pub topology: watch::Receiver<Arc<Topology>>,
    /// Under which it may poll.
    pub held: watch::Receiver<Option<Held>>,
    /// Counts leaders.
    pub leader: watch::Receiver<u64>,
    /// Its leave to IDENTIFY.
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
        let news = News::new(asks, self.stop.clone())
            .changes(&self.leader, || Word::Leader)
            .changes(&self.topology, || Word::Topology)
            .changes(&self.held, || Word::Changed)
            .changes(&self.gateway_url, || Word::Changed);
        let mut run = Run {
            news,
            alarm: Alarm::new(now),
            pace: Pace::new(now),
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
    alarm: Alarm,
    pace: Pace,
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
            if let Some(end) = self.limits(now) {
                return end;
            }
            if let Some(end) = self.hear(now) {
                return end;
            }
            self.make_room(now);
            self.connect(now);
            if let Some(end) = self.upstream(now).await {
                return end;
            }
            self.shard.asking.ask();
            self.show();
            self.keep_point(now);
            let mut wake = self.wait(now).await;
            if matches!(wake, Wake::Leave) {
                wake = self.identify().await;
            }
            let end = match wake {
                Wake::Polled(polled) => self.burst(polled).await,
                Wake::Word(word) => self.word(word, clock::now()),
                Wake::Leave | Wake::Other => None,
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Takes the words that are there.
    fn hear(&mut self, now: Instant) -> Option<End> {
        for _ in 0..WORDS {
            let word = self.news.take()?;
            if let Some(end) = self.word(word, now) {
                return Some(end);
            }
        }
        None
    }

    fn word(&mut self, word: Word, now: Instant) -> Option<End> {
        match word {
            Word::Stop => {
                // What a parking shard left unread must not be followed by what comes later.
                let parking = self.mode == Mode::Parking;
                if parking || self.socket.as_ref().is_none_or(Socket::is_disconnected) {
                    return Some(End::Stopped);
                }
                self.close(Mode::Stopping, now);
            }
            Word::Command(message) => self.shard.commands.take(message),
            Word::Leader => self.shard.asking.on_leader(),
            Word::Topology => {
                let topology = self.shard.topology.borrow_and_update().clone();
                self.intake.choose(topology);
            }
            Word::Changed => {}
        }
        None
    }

    /// Waits for whatever comes first.
    async fn wait(&mut self, now: Instant) -> Wake {
        let wake = self.next_wakeup(now);
        self.alarm.set(wake);
        let open = now >= self.pace.open_from().max(self.poll_from);
        let Shard { asking, held, .. } = &mut self.shard;
        if let (false, Some(socket)) = (open, &mut self.socket) {
            socket.unpolled();
        }
        let socket = self.socket.as_mut().filter(|_| open);
        let polled = pin!(async {
            match socket {
                Some(socket) => socket.next(held).await,
                None => std::future::pending().await,
            }
        });
        tokio::select! {
            biased;
            polled = polled => {
                asking.after_poll();
                Wake::Polled(polled)
            }
            word = self.news.next() => Wake::Word(word),
            answer = asking.answer() => {
                if asking.on_answer(&answer) { Wake::Leave } else { Wake::Other }
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
            if let Some(end) = self.polled(polled) {
                return Some(end);
            }
            let goes_on = self.mode == Mode::Running
                && !self.shard.stop.is_cancelled()
                && clock::now() >= self.pace.open_from()
                && !self.intake.budget().is_full()
                && !self.intake.has_backlog(false);
            let socket = self.socket.as_mut().filter(|_| goes_on)?;
            polled = socket.poll_once(&self.shard.held).await?;
            self.shard.asking.after_poll();
        }
        self.polled(polled)
    }

    /// Leave came: check its age, fire, poll, with no await that waits between; then confirm.
    async fn identify(&mut self) -> Wake {
        let Some(socket) = self.socket.as_mut() else {
            return Wake::Other;
        };
        if !valid(&self.shard.held) {
            return Wake::Other;
        }
        let Some(confirm) = self.shard.asking.fire() else {
            return Wake::Other;
        };
        let polled = socket.poll_to_send(&self.shard.held).await;
        self.shard.asking.confirm(&confirm);
        self.shard.asking.after_poll();
        polled.map_or(Wake::Other, Wake::Polled)
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
        let gate = (self.pace.open_from() > now).then(|| self.pace.open_from());
        // Those that wait go on with the next look around.
        let commands = (!self.shard.commands.is_empty()).then_some(now);
        let poll = Some(self.poll_from).filter(|from| *from > now);
        // Others' messages fill the buffer too: no one says when there is room in it.
        let full = poll.is_some() && !self.intake.has_backlog(true);
        let room = full.then(|| now + LOOK_FOR_ROOM);
        // Without a socket it looks for room, or for a URL; with one, at its limits.
        let soon = now + LOOK_AGAIN;
        let limit = if self.socket.is_some() {
            self.pace.next_wakeup()
        } else {
            Some(soon)
        };
        // A resume point that is due waits until everything is stored.
        let keep = Some(self.keep.next(now)).filter(|next| *next > now);
        let keep = keep.or(Some(soon));
        let wakes = [asking, until, gate, commands, room, poll, limit, keep];
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
    Leave,
    Other,
}
