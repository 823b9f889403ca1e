//! Pure: the states of a shard's connection: what ends each, its time limit, and the pause that follows.
//!
//! docs/ARCHITECTURE.md holds the same as a table, and a test compares the two. Whatever Discord does, or
//! leaves undone, no state outlives its limit, and a shard that fails again and again connects ever more
//! seldom. The only close code that a shard sends is 4000: 1000 and 1001 would end the session, so that
//! 1000 is sent where an operator gives it up, and nowhere else.

mod action;
mod state;

use std::time::Duration;

use rand::Rng;

pub use self::{
    action::{Action, Event, Reason, SessionFate, Target},
    state::State,
};
use super::heartbeat::{Due, Heartbeats, LONGEST, SHORTEST};
use crate::{backoff::Backoff, clock::Instant};

/// A RESUME must be answered, or its replay go on, within this time.
pub const REPLAY_LIMIT: Duration = Duration::from_secs(20);
/// Tries to RESUME in a row, all without an event, before the session is given up.
///
/// With the pauses between them they take longer than Discord keeps a session ("a few minutes").
pub const MAX_RESUMES: u32 = 12;
/// A session that was live this long shows that Discord is well: the next pause is short.
pub const GOOD: Duration = Duration::from_secs(10);
/// The pause after a good connection, at most: long enough for shards not to return in step.
const SHORT_PAUSE: Duration = Duration::from_millis(250);
/// The pause after the first connection that failed lies between half of this and this; it doubles …
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// … up to this …
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// … or this, where each was live for a moment: Discord is there.
const LONGEST_SHORT_LIVED: Duration = Duration::from_secs(16);
/// The pause after an INVALID SESSION, in milliseconds.
///
/// <https://github.com/discord/discord-api-docs/issues/234>
const INVALID_PAUSE: (u64, u64) = (1_000, 5_000);
/// The pause after the gateway has moved, at most.
const MOVED_PAUSE: Duration = Duration::from_secs(2);

/// The connection of one shard, and those that follow it.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    state: State,
    since: Instant,
    /// The last dispatch of a replay.
    progress: Instant,
    target: Target,
    beats: Option<Heartbeats>,
    /// Of connections that never were live …
    backoff: Backoff,
    /// … and of those that were, but not for long.
    short_lived: Backoff,
    pause: Option<Duration>,
    open_from: Instant,
    /// A place among the process's openings is kept for this shard.
    reserved: bool,
    /// Since when the session is live on this connection.
    live_since: Option<Instant>,
    /// The last connection ended at the main URL before HELLO.
    unreachable: bool,
    /// The next RESUME goes to the main URL: the session's own has failed last.
    main_next: bool,
    resumes: u32,
}

impl Lifecycle {
    /// A shard that has not connected yet.
    pub fn new(now: Instant) -> Self {
        Self {
            state: State::Waiting,
            since: now,
            progress: now,
            target: Target::Identify,
            beats: None,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            short_lived: Backoff::new(FIRST_PAUSE, LONGEST_SHORT_LIVED),
            pause: None,
            open_from: now,
            reserved: false,
            live_since: None,
            unreachable: false,
            main_next: false,
            resumes: 0,
        }
    }

    /// Something happened.
    pub fn on(&mut self, event: Event, now: Instant, rng: &mut impl Rng) -> Action {
        use State::{Closing, Identifying, Live, Permit, Resuming, Waiting};
        match (event, self.state) {
            (Event::Ended(_), Waiting) => {}
            (Event::Ended(code), state) => {
                self.wait(now, rng);
                // Discord does not know the sequence that it was to resume from, and never will.
                if (code, state) == (Some(INVALID_SEQ), Resuming) {
                    return Action::Lose;
                }
            }
            // What still comes is nobody's.
            (_, Waiting | Closing) => {}
            (Event::Step(state), _) => self.enter(state, now),
            (Event::Close, _) => self.enter(Closing, now),
            (Event::Hello(interval), state) => return self.hello(interval, state, now, rng),
            (Event::HeartbeatAsked, _) => {
                let beats = self.beats.as_mut();
                if beats.is_some_and(|beats| beats.asked(now)) {
                    return Action::Beat;
                }
            }
            (Event::Identified, Permit) => self.enter(Identifying, now),
            // A READY for a RESUME is nowhere documented; what follows it is a session like any other.
            (Event::Ready, Identifying | Resuming) | (Event::Resumed, Resuming) => {
                (self.resumes, self.main_next) = (0, false);
                self.live_since = Some(now);
                self.enter(Live, now);
            }
            (Event::Dispatch, Resuming) => (self.progress, self.resumes) = (now, 0),
            (Event::Reconnect, _) => {
                let text = "Discord asked for a reconnect (op 7)";
                return self.close(Reason::lives(text), now);
            }
            (Event::Asked { new_session }, state) => {
                let text = "an operator has it connect anew";
                let has_one = state == Live || self.target != Target::Identify;
                let session = if new_session && has_one {
                    SessionFate::GivenUp
                } else {
                    SessionFate::Lives
                };
                return self.close(Reason { text, session }, now);
            }
            (Event::Invalid { resumable }, state) => {
                return self.invalid(resumable, state, now, rng);
            }
            (Event::Identified | Event::Ready | Event::Resumed | Event::Dispatch, _) => {}
        }
        Action::Nothing
    }

    /// What time alone has made due. `slow`: the connection is not read freely just now.
    pub fn tick(&mut self, now: Instant, slow: bool) -> Action {
        if slow {
            self.progress = now;
        }
        if self.limit().is_some_and(|at| now >= at) {
            return Action::Drop(Reason::lives(self.state.overdue()));
        }
        if self.state == State::Closing {
            return Action::Nothing;
        }
        match self.beats.as_mut().map(|beats| beats.due(now, slow)) {
            Some(Due::Beat) => Action::Beat,
            Some(Due::Dead) => Action::Drop(Reason::lives(
                "no heartbeat was acknowledged for an interval",
            )),
            Some(Due::Nothing) | None => Action::Nothing,
        }
    }

    /// Discord acknowledged a heartbeat; how long it took.
    pub fn acknowledged(&mut self, now: Instant) -> Option<Duration> {
        self.beats.as_mut()?.acknowledged(now)
    }

    /// Where to connect now; none where it is too soon, or where nothing is known to connect to.
    /// `resume_url`: the session's own can be used; none: there is no session. `main`: REST has named one.
    pub fn target(&self, now: Instant, resume_url: Option<bool>, main: bool) -> Option<Target> {
        if self.state != State::Waiting || now < self.open_from {
            return None;
        }
        match resume_url {
            None => main.then_some(Target::Identify),
            Some(true) if !(self.main_next && main) => Some(Target::ResumeUrl),
            Some(_) => main.then_some(Target::MainUrl),
        }
    }

    /// True once so many tries to RESUME have failed that the session is to be given up.
    pub fn is_exhausted(&self) -> bool {
        self.state == State::Waiting && self.resumes >= MAX_RESUMES
    }

    /// The session is gone: tries count from zero.
    pub fn session_lost(&mut self) {
        (self.resumes, self.main_next) = (0, false);
    }

    /// The process lets this shard open its connection at `at`. True: that is now.
    pub fn admitted(&mut self, at: Instant, now: Instant) -> bool {
        self.reserved = true;
        self.open_from = at;
        at <= now
    }

    /// True if a place among the process's openings is kept for it.
    pub fn is_admitted(&self) -> bool {
        self.reserved
    }

    /// A connection is being opened.
    pub fn opening(&mut self, target: Target, now: Instant) {
        (self.target, self.reserved) = (target, false);
        self.beats = None;
        self.enter(State::Resolving, now);
    }

    /// REST names another URL: what failed at the old one need not wait long.
    pub fn moved(&mut self, now: Instant, rng: &mut impl Rng) {
        let soon = now + MOVED_PAUSE.mul_f64(rng.random_range(0.0..1.0));
        self.open_from = self.open_from.min(soon);
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// True once, if the last connection ended at the main URL before HELLO: Discord may have moved.
    pub fn was_unreachable(&mut self) -> bool {
        std::mem::take(&mut self.unreachable)
    }

    /// When [`Lifecycle::tick`] or [`Lifecycle::target`] may say something new.
    pub fn next_wakeup(&self) -> Option<Instant> {
        let beats = self.beats.as_ref().map(Heartbeats::next_wakeup);
        let beats = beats.filter(|_| self.state != State::Closing);
        let open = (self.state == State::Waiting).then_some(self.open_from);
        [self.limit(), beats, open].into_iter().flatten().min()
    }

    fn limit(&self) -> Option<Instant> {
        let limit = self.since + self.state.limit()?;
        if self.state == State::Resuming {
            return Some(limit.min(self.progress + REPLAY_LIMIT));
        }
        Some(limit)
    }

    fn enter(&mut self, state: State, now: Instant) {
        if state != self.state {
            (self.state, self.since, self.progress) = (state, now, now);
        }
    }

    fn hello(
        &mut self,
        interval: Option<Duration>,
        state: State,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Action {
        let interval = interval.filter(|interval| (SHORTEST..=LONGEST).contains(interval));
        if state != State::Hello {
            // A second one: its interval holds, if it makes sense.
            if let (Some(interval), Some(beats)) = (interval, &mut self.beats) {
                *beats = Heartbeats::new(interval, now, rng);
            }
            return Action::Nothing;
        }
        let Some(interval) = interval else {
            return Action::Drop(Reason::lives("HELLO names no usable heartbeat_interval"));
        };
        self.beats = Some(Heartbeats::new(interval, now, rng));
        if self.target == Target::Identify {
            self.enter(State::Permit, now);
            return Action::AskPermit;
        }
        self.resumes += 1;
        self.enter(State::Resuming, now);
        Action::Resume
    }

    fn invalid(
        &mut self,
        resumable: bool,
        state: State,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Action {
        let (min, max) = INVALID_PAUSE;
        self.pause = Some(Duration::from_millis(rng.random_range(min..=max)));
        let session = match state {
            State::Identifying => SessionFate::Refused,
            State::Resuming | State::Live if !resumable => SessionFate::Invalidated,
            _ => SessionFate::Lives,
        };
        let text = "Discord invalidated the session (op 9)";
        self.close(Reason { text, session }, now)
    }

    fn close(&mut self, reason: Reason, now: Instant) -> Action {
        self.enter(State::Closing, now);
        Action::Close(reason)
    }

    /// The connection is over.
    fn wait(&mut self, now: Instant, rng: &mut impl Rng) {
        // A close that Discord answers late is no part of the session's life.
        let until = if self.state == State::Closing {
            self.since
        } else {
            now
        };
        let good = self.live_since.is_some_and(|since| until >= since + GOOD);
        let was_live = self.live_since.is_some();
        if was_live {
            self.backoff.reset();
        }
        let mut delay = if good {
            self.short_lived.reset();
            SHORT_PAUSE.mul_f64(rng.random_range(0.0..1.0))
        } else if was_live {
            self.short_lived.next(rng)
        } else {
            self.backoff.next(rng)
        };
        if let Some(pause) = self.pause.take() {
            delay = delay.max(pause);
        }
        if !was_live {
            self.main_next = self.target == Target::ResumeUrl;
        }
        self.unreachable = self.target != Target::ResumeUrl && self.beats.is_none();
        self.open_from = now + delay;
        (self.beats, self.reserved, self.live_since) = (None, false, None);
        self.enter(State::Waiting, now);
    }
}

/// <https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes>
const INVALID_SEQ: u16 = 4007;

#[cfg(test)]
mod tests;
