//! Pure: how fast a shard may reconnect, and how long each step of a connection may take.
//!
//! twilight reconnects at once and for ever: a server that accepts and closes was met with 12,598
//! connections a second. And it waits without limit for HELLO, READY, RESUMED and a close answered.

use std::time::Duration;

use rand::Rng;
use twilight_gateway::ShardState;

use crate::{backoff::Backoff, clock::Instant};

/// A connection must say HELLO within this time of opening.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// Opening a connection takes twilight no longer than ten seconds and its own pauses.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);
/// A RESUME must be answered, or replay must go on, within this time.
const RESUME_LIMIT: Duration = Duration::from_secs(20);
/// A close that the peer never completes is cut.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);
/// Tries to RESUME in a row before the session is given up.
///
/// With the pauses between them they take longer than Discord keeps a session ("a few minutes").
const MAX_RESUMES: u32 = 20;
/// A connection that lived this long was a good one: the next pause starts small again.
const GOOD: Duration = Duration::from_secs(10);
/// The pause after an INVALID SESSION that may be resumed.
///
/// <https://github.com/discord/discord-api-docs/issues/234>
const INVALID_PAUSE: (u64, u64) = (1_000, 5_000);

/// The pace of one shard.
#[derive(Clone, Debug)]
pub struct Pace {
    backoff: Backoff,
    phase: Phase,
    since: Instant,
    heard: Instant,
    hello: bool,
    resumes: u32,
    pause: Option<Duration>,
    open_from: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    /// The socket is open and HELLO, or leave to IDENTIFY, or READY is waited for.
    Identifying,
    Resuming,
    Active,
    Closing,
}

/// What a limit that has passed means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// Drop the connection and build a new one with the session.
    Rebuild(&'static str),
    /// The session is not to be had back: build a new one without it.
    GiveUpSession,
}

impl Pace {
    /// A shard that has not connected yet.
    pub fn new(now: Instant) -> Self {
        Self {
            backoff: Backoff::new(Duration::from_millis(250), Duration::from_secs(15)),
            phase: Phase::Connecting,
            since: now,
            heard: now,
            hello: false,
            resumes: 0,
            pause: None,
            open_from: now,
        }
    }

    /// After every poll: where twilight says it stands.
    pub fn observe(&mut self, state: ShardState, now: Instant, rng: &mut impl Rng) {
        let phase = match state {
            _ if self.phase == Phase::Closing => return,
            ShardState::Active => Phase::Active,
            ShardState::Resuming => Phase::Resuming,
            ShardState::Identifying => Phase::Identifying,
            _ => Phase::Connecting,
        };
        if phase == self.phase {
            return;
        }
        if phase == Phase::Connecting {
            self.disconnected(now, rng);
        }
        match phase {
            Phase::Resuming => self.resumes += 1,
            Phase::Active => self.resumes = 0,
            _ => {}
        }
        (self.phase, self.since, self.heard) = (phase, now, now);
    }

    /// A frame came.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.hello = true;
    }

    /// INVALID SESSION that may be resumed: Discord wants a pause before the next try.
    pub fn invalid(&mut self, rng: &mut impl Rng) {
        let (min, max) = INVALID_PAUSE;
        self.pause = Some(Duration::from_millis(rng.random_range(min..=max)));
    }

    /// The shard was asked to close.
    pub fn closing(&mut self, now: Instant) {
        (self.phase, self.since) = (Phase::Closing, now);
    }

    /// The shard was dropped: the next one is told when it may begin.
    pub fn rebuilt(&mut self, now: Instant, rng: &mut impl Rng) {
        self.disconnected(now, rng);
        (self.phase, self.since, self.heard) = (Phase::Connecting, now, now);
    }

    /// The session is new or gone: tries count from zero.
    pub fn new_session(&mut self) {
        self.resumes = 0;
    }

    /// Polling before this moment would connect too soon.
    pub fn open_from(&self) -> Instant {
        self.open_from
    }

    /// Which limit has passed, if any.
    pub fn overdue(&self, now: Instant) -> Option<Overdue> {
        if self.resumes > MAX_RESUMES {
            return Some(Overdue::GiveUpSession);
        }
        let why = match self.phase {
            Phase::Connecting => "the connection did not open",
            Phase::Identifying => "no HELLO came",
            Phase::Resuming => "RESUME was not answered",
            Phase::Closing | Phase::Active => "the close was not answered",
        };
        (now >= self.limit()?).then_some(Overdue::Rebuild(why))
    }

    /// When [`Pace::overdue`] may say something new.
    pub fn next_wakeup(&self) -> Option<Instant> {
        self.limit()
    }

    fn limit(&self) -> Option<Instant> {
        match self.phase {
            Phase::Connecting => Some(self.since.max(self.open_from) + CONNECT_LIMIT),
            Phase::Identifying if !self.hello => Some(self.since + HELLO_LIMIT),
            Phase::Resuming => Some(self.heard + RESUME_LIMIT),
            Phase::Closing => Some(self.since + CLOSE_LIMIT),
            Phase::Identifying | Phase::Active => None,
        }
    }

    fn disconnected(&mut self, now: Instant, rng: &mut impl Rng) {
        self.hello = false;
        let good = self.phase == Phase::Active && now - self.since >= GOOD;
        if good {
            self.backoff.reset();
        }
        let delay = self.backoff.next(rng);
        // A good connection's end is no reason to wait, beyond not returning in step with others.
        let delay = if good { delay / 2 } else { delay };
        self.open_from = now + self.pause.take().unwrap_or(delay);
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    const GONE: ShardState = ShardState::Disconnected {
        reconnect_attempts: 0,
    };

    #[tokio::test(start_paused = true)]
    async fn accept_then_close_is_slowed_down() {
        let (mut rng, mut now) = (StdRng::seed_from_u64(1), crate::clock::now());
        let start = now;
        let mut pace = Pace::new(now);
        for _ in 0..100 {
            pace.observe(ShardState::Identifying, now, &mut rng);
            pace.observe(GONE, now, &mut rng);
            now = now.max(pace.open_from());
        }
        assert!(now - start > Duration::from_secs(600), "{:?}", now - start);
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_connection_is_renewed_at_once() {
        let (mut rng, start) = (StdRng::seed_from_u64(1), crate::clock::now());
        let mut pace = Pace::new(start);
        pace.observe(ShardState::Identifying, start, &mut rng);
        pace.observe(ShardState::Active, start, &mut rng);
        let end = start + Duration::from_secs(60);
        pace.observe(GONE, end, &mut rng);
        assert!(pace.open_from() - end <= Duration::from_millis(250));
    }

    #[tokio::test(start_paused = true)]
    async fn each_step_has_its_limit() {
        let (mut rng, start) = (StdRng::seed_from_u64(1), crate::clock::now());
        let mut pace = Pace::new(start);
        pace.observe(ShardState::Identifying, start, &mut rng);
        assert_eq!(
            pace.overdue(start + HELLO_LIMIT),
            Some(Overdue::Rebuild("no HELLO came"))
        );
        pace.heard(start);
        assert_eq!(
            pace.overdue(start + Duration::from_secs(3600)),
            None,
            "leave may take hours"
        );
        pace.observe(ShardState::Resuming, start, &mut rng);
        assert!(pace.overdue(start + RESUME_LIMIT).is_some());
        pace.heard(start + RESUME_LIMIT);
        assert_eq!(
            pace.overdue(start + RESUME_LIMIT),
            None,
            "a long replay is progress"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_never_resumes_is_given_up() {
        let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
        let mut pace = Pace::new(now);
        for _ in 0..=MAX_RESUMES {
            assert_eq!(pace.overdue(now), None);
            pace.observe(ShardState::Resuming, now, &mut rng);
            pace.observe(GONE, now, &mut rng);
        }
        assert_eq!(pace.overdue(now), Some(Overdue::GiveUpSession));
    }
}
