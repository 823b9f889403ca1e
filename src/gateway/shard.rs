//! One shard: polls twilight, peeks, hands events on; reconnects at a measured pace.
//!
//! Heartbeats go out only while twilight is polled, so that nothing slow stands in this loop. Before
//! every poll it looks at its lease: one poll of a process that slept would steal the session from
//! its successor.

pub mod intake;

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt;
use rand::{SeedableRng, rngs::SmallRng};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use twilight_gateway::{Config, Message as Frame, ShardState as TwilightState};

use self::intake::Intake;
use super::{
    ask::Asking,
    buffer::Reading,
    metrics,
    pace::{Overdue, Pace},
    peek,
    session::KeepClock,
    socket::{Polled, Socket, valid},
    track::Session,
};
use crate::{
    clock::{self, Instant},
    fleet::ShardId,
    lease::Held,
    wire::{event::GapReason, status::ShardState, topology::Topology},
};

pub use self::intake::{Sink, Take};

/// Between two polls of a shard that reads slowly because the buffer is full.
const SLOW_POLL: Duration = Duration::from_millis(50);
/// How soon a shard that waits for something without a sound looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Acks younger than this show that NATS is there.
const ACKS_COUNT_FOR_MS: u64 = 3_000;

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
    /// Where events go.
    pub sink: Sink,
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
    /// Runs until it is stopped, or may not go on. `session` is the resume point. Returns the next
    /// one too: it holds once everything taken is stored.
    pub async fn run(self, session: Option<Session>) -> (End, Option<Session>) {
        let now = clock::now();
        let intake = Intake::new(
            self.id,
            session,
            self.topology.borrow().clone(),
            self.sink.clone(),
        );
        let mut run = Run {
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
            self.make_room(now);
            self.polled = false;
            self.connect(now);
            self.shard.asking.ask();
            self.show();
            self.keep_point(now);
            let mut wake = self.wait(now).await;
            if matches!(wake, Wake::Leave) {
                wake = self.identify().await;
            }
            match wake {
                Wake::Polled(polled) => {
                    if let Some(end) = self.polled(polled) {
                        return end;
                    }
                }
                Wake::Stop => {
                    // What a parking shard left unread must not be followed by what comes later.
                    let parking = self.mode == Mode::Parking;
                    if parking || self.socket.as_ref().is_none_or(Socket::is_disconnected) {
                        return End::Stopped;
                    }
                    self.close(Mode::Stopping, now);
                }
                Wake::Leave | Wake::Other => {}
            }
        }
    }

    /// Waits for whatever comes first.
    async fn wait(&mut self, now: Instant) -> Wake {
        let wake = self.next_wakeup(now);
        let open = now >= self.pace.open_from().max(self.poll_from);
        let Shard {
            asking,
            leader,
            held,
            topology,
            stop,
            gateway_url,
            ..
        } = &mut self.shard;
        let connected = self.socket.is_some();
        let watched = held.clone();
        let socket = self.socket.as_mut().filter(|_| open);
        let polled = pin!(async {
            match socket {
                Some(socket) => socket.next(&watched).await,
                None => std::future::pending().await,
            }
        });
        tokio::select! {
            biased;
            () = stop.cancelled(), if self.mode != Mode::Stopping => Wake::Stop,
            polled = polled => {
                asking.after_poll();
                Wake::Polled(polled)
            }
            Some(answer) = asking.answers.next() => {
                if asking.on_answer(&answer) { Wake::Leave } else { Wake::Other }
            }
            Ok(()) = leader.changed() => {
                asking.on_leader();
                Wake::Other
            }
            Ok(()) = topology.changed() => {
                self.intake.choose(topology.borrow_and_update().clone());
                Wake::Other
            }
            Ok(()) = held.changed() => Wake::Other,
            Ok(()) = gateway_url.changed(), if !connected => Wake::Other,
            () = tokio::time::sleep_until(wake) => Wake::Other,
        }
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
        let polled = socket.poll_once().await;
        self.shard.asking.confirm(&confirm);
        self.shard.asking.after_poll();
        polled.map_or(Wake::Other, Wake::Polled)
    }

    fn polled(&mut self, polled: Polled) -> Option<End> {
        let now = clock::now();
        self.polled = true;
        let mut end = None;
        match polled {
            Polled::Item(Ok(Frame::Text(text))) => self.text(text, now),
            Polled::Item(Ok(Frame::Close(_))) if self.mode == Mode::Parking => {
                self.drop_socket(Mode::Parked, now);
            }
            Polled::Item(Ok(Frame::Close(frame))) => {
                let code = frame.as_ref().map(|frame| frame.code);
                end = self.closed(code);
            }
            Polled::Item(Err(error)) => self.failed(error, now),
            Polled::State => {}
            Polled::Unleased => return Some(End::LeaseLost),
            Polled::End => end = Some(End::Fatal(0)),
        }
        if let Some(socket) = &self.socket {
            self.pace.observe(socket.state(), now, &mut self.rng);
        }
        end
    }

    fn text(&mut self, text: String, now: Instant) {
        self.pace.heard(now);
        // What comes while it parks is replayed later: taking it would fill a full buffer.
        if self.mode == Mode::Parking {
            return;
        }
        let Some(head) = peek::peek(&text) else {
            let shard = self.shard.id;
            tracing::warn!(%shard, bytes = text.len(), "shard {shard} received what is no payload");
            return;
        };
        match head.op {
            peek::DISPATCH => match self.intake.dispatch(text, now) {
                Take::Began => self.pace.new_session(),
                Take::Dropped => self.keep.dropped(),
                Take::Queued => {}
            },
            peek::INVALID_SESSION if peek::resumable(&text) => self.pace.invalid(&mut self.rng),
            peek::INVALID_SESSION => {
                self.intake.lose(GapReason::SessionInvalidated);
                self.pace.new_session();
                self.pace.invalid(&mut self.rng);
            }
            peek::HEARTBEAT_ACK => {
                let rtt = self.socket.as_ref().and_then(Socket::heartbeat_rtt);
                if let Some(rtt) = rtt {
                    ::metrics::histogram!(metrics::HEARTBEAT.name).record(rtt.as_secs_f64());
                }
            }
            _ => {}
        }
    }

    fn failed(&mut self, error: twilight_gateway::error::ReceiveMessageError, now: Instant) {
        use twilight_gateway::error::ReceiveMessageErrorType::Deserializing;
        let shard = self.shard.id;
        // Its words may hold a payload, which no log shows.
        let (kind, _) = error.into_parts();
        if let Deserializing { event } = kind {
            tracing::warn!(%shard, "twilight did not understand an event of shard {shard}; it is forwarded");
            self.text(event, now);
        } else {
            tracing::warn!(%shard, ?kind, "the connection of shard {shard} failed");
            metrics::disconnected(None);
        }
    }

    fn closed(&mut self, code: Option<u16>) -> Option<End> {
        let shard = self.shard.id;
        if self.mode == Mode::Stopping {
            return Some(End::Stopped);
        }
        metrics::disconnected(code);
        if let Some(code @ (4004 | 4010..=4014)) = code {
            return Some(End::Fatal(code));
        }
        tracing::info!(%shard, code, "the connection of shard {shard} ended");
        None
    }

    /// Steps that take too long.
    fn limits(&mut self, now: Instant) -> Option<End> {
        let shard = self.shard.id;
        self.socket.as_ref()?;
        match self.pace.overdue(now)? {
            Overdue::Rebuild(_) if self.mode == Mode::Stopping => return Some(End::Stopped),
            Overdue::Rebuild(_) if self.mode == Mode::Parking => {
                self.drop_socket(Mode::Parked, now);
            }
            Overdue::Rebuild(why) => {
                tracing::warn!(%shard, "shard {shard} connects anew: {why}");
                self.drop_socket(Mode::Running, now);
            }
            Overdue::GiveUpSession => {
                tracing::warn!(%shard, "shard {shard} gives up its session: it never resumes");
                self.intake.lose(GapReason::ResumeFailed);
                self.pace.new_session();
                self.drop_socket(Mode::Running, now);
            }
        }
        None
    }

    /// A full buffer: read slowly while NATS answers, park while it does not.
    fn make_room(&mut self, now: Instant) {
        let acks = clock::unix_ms().saturating_sub(self.intake.last_ack_ms()) < ACKS_COUNT_FOR_MS;
        match (self.mode, self.intake.budget().reading(acks)) {
            // One frame was read: the next one waits.
            (Mode::Running, Reading::Slowly) if self.polled => self.poll_from = now + SLOW_POLL,
            (Mode::Running, Reading::Park) => {
                let shard = self.shard.id;
                tracing::warn!(%shard, "the buffer is full and NATS is away: shard {shard} parks");
                self.close(Mode::Parking, now);
            }
            (Mode::Parked, _) if self.intake.budget().has_room() => self.mode = Mode::Running,
            _ => {}
        }
    }

    fn close(&mut self, mode: Mode, now: Instant) {
        self.mode = mode;
        match &self.socket {
            Some(socket) if !socket.is_disconnected() => {
                socket.close();
                self.pace.closing(now);
            }
            _ if mode == Mode::Parking => self.drop_socket(Mode::Parked, now),
            _ => {}
        }
    }

    fn drop_socket(&mut self, mode: Mode, now: Instant) {
        self.socket = None;
        self.mode = mode;
        self.shard.asking.withdraw();
        self.pace.rebuilt(now, &mut self.rng);
    }

    /// Builds the connection, with the session at the last sequence accepted.
    fn connect(&mut self, now: Instant) {
        if self.socket.is_some() || self.mode != Mode::Running || now < self.pace.open_from() {
            return;
        }
        let session = self.intake.session();
        let known = self.shard.gateway_url.borrow_and_update().clone();
        // RESUME needs nobody: not even the generic URL.
        let fallback = session
            .as_ref()
            .map(|session| Arc::from(session.resume_url.as_str()));
        let Some(url) = known.or(fallback).filter(|url| super::socket::is_url(url)) else {
            return;
        };
        let shards = self.shard.topology.borrow().layout.shards;
        let Some(id) = twilight_gateway::ShardId::new_checked(self.shard.id.0, shards) else {
            return;
        };
        let slot = self.shard.asking.slot();
        self.socket = Some(Socket::new(
            &self.shard.config,
            id,
            slot,
            &url,
            session.as_ref(),
        ));
    }

    fn keep_point(&mut self, now: Instant) {
        if self.intake.settled()
            && self.keep.due(now)
            && let Some(session) = self.intake.session()
        {
            // Where its keeper is gone, the stream alone serves.
            _ = self.shard.points.send(session);
        }
    }

    fn show(&self) {
        let state = match (self.mode, self.socket.as_ref().map(Socket::state)) {
            (Mode::Parking | Mode::Parked, _) => ShardState::Parked,
            (_, Some(TwilightState::Active)) => ShardState::Ready,
            (_, Some(TwilightState::Identifying)) => ShardState::Identifying,
            (_, Some(TwilightState::Resuming)) => ShardState::Resuming,
            (_, Some(_)) if clock::now() >= self.pace.open_from() => ShardState::Connecting,
            _ => ShardState::Waiting,
        };
        self.intake.show(state);
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
        let gate = self.pace.open_from().max(self.poll_from);
        let gate = (gate > now).then_some(gate);
        // Without a socket it looks for room, or for a URL; with one, at its limits.
        let soon = now + LOOK_AGAIN;
        let limit = if self.socket.is_some() {
            self.pace.next_wakeup()
        } else {
            Some(soon)
        };
        // A resume point that is due waits until everything is stored.
        let keep = Some(if self.keep.next() > now {
            self.keep.next()
        } else {
            soon
        });
        let wakes = [asking, until, gate, limit, keep];
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
    /// To IDENTIFY, if it is still fresh.
    Leave,
    Stop,
    Other,
}
