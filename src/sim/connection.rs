//! One connection's own rules: heartbeats in time, not too many frames, IDENTIFY first and once.
//! What concerns more than this connection is decided in [`super::registry`].

use std::time::Duration;

use tokio::time::Instant;

use super::frame::{Command, parse};
use super::limits::Rate;
use super::refusal::Refusal;
use crate::config::sim::SimOptions;

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    usual: Beats,
    /// What is demanded; none before HELLO, and where HELLO asks for what no client can do.
    beats: Option<Beats>,
    /// When the next heartbeat is too late.
    late_at: Instant,
    greeted: bool,
    /// The client spoke before HELLO, and that was said.
    early: bool,
    commands: Rate,
    presences: Rate,
    authenticated: bool,
}

/// An interval below this is no demand that a client could meet: the frames of a minute are limited.
const LEAST_INTERVAL_MS: u64 = 10;
/// Longer than any connection lives.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What is demanded of heartbeats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beats {
    pub(super) interval: Duration,
    pub(super) grace: Duration,
    /// The grace, in percent of any interval.
    pub(super) percent: u32,
    /// What a late one closes with.
    pub(super) code: u16,
}

impl Beats {
    /// As the options have it.
    pub(super) fn of(options: &SimOptions) -> Self {
        Self {
            interval: Duration::ZERO,
            grace: Duration::ZERO,
            percent: options.heartbeat_grace,
            code: options.late_heartbeat_code,
        }
        .at(Duration::from_millis(options.heartbeat_interval_ms))
    }

    /// The same for another interval.
    fn at(self, interval: Duration) -> Self {
        Self {
            interval,
            grace: interval.saturating_mul(self.percent) / 100,
            ..self
        }
    }
}

impl Connection {
    pub(super) fn new(beats: Beats, now: Instant) -> Self {
        Self {
            usual: beats,
            beats: None,
            late_at: now + NEVER,
            greeted: false,
            early: false,
            commands: Rate::commands(),
            presences: Rate::presences(),
            authenticated: false,
        }
    }

    /// A frame of the client: what it asks for, or why the connection ends.
    pub(super) fn on_frame(&mut self, frame: &[u8], now: Instant) -> Result<Command, Refusal> {
        if !self.commands.admit(now) {
            return Err(Refusal::of(
                4008,
                "command_rate",
                "more than 120 frames in 60 s",
            ));
        }
        let command = parse(frame)?;
        match (&command, self.authenticated) {
            (Command::Heartbeat(_), _) => {
                self.wait_for_beat(now);
            }
            (Command::Identify(_) | Command::Resume(_), true) => {
                return Err(Refusal::of(
                    4005,
                    "already_authenticated",
                    "identify or resume in a session",
                ));
            }
            (Command::Identify(_) | Command::Resume(_), false) | (_, true) => {}
            (_, false) => {
                return Err(Refusal::of(
                    4003,
                    "not_authenticated",
                    "command before identify",
                ));
            }
        }
        Ok(command)
    }

    /// Time passed.
    pub(super) fn on_time(&self, now: Instant) -> Result<(), Refusal> {
        if now < self.late_at {
            return Ok(());
        }
        let beats = self.beats.unwrap_or(self.usual);
        let detail = format!("none for {:?}", beats.interval + beats.grace);
        Err(Refusal::of(beats.code, "heartbeat_late", detail))
    }

    /// A presence update: whether it is within its limit.
    pub(super) fn on_presence(&mut self, now: Instant) -> bool {
        self.presences.admit(now)
    }

    /// The client has a session, or no longer has.
    pub(super) fn set_authenticated(&mut self, authenticated: bool) {
        self.authenticated = authenticated;
    }

    /// HELLO was sent, with this interval in milliseconds, if it is one.
    pub(super) fn greet(&mut self, interval: Option<u64>, now: Instant) {
        self.greeted = true;
        self.beats = interval
            .filter(|ms| *ms >= LEAST_INTERVAL_MS)
            .map(|ms| self.usual.at(Duration::from_millis(ms)));
        self.wait_for_beat(now);
    }

    /// Whether the client spoke before HELLO; said once.
    pub(super) fn is_early(&mut self) -> bool {
        !self.greeted && !std::mem::replace(&mut self.early, true)
    }

    fn wait_for_beat(&mut self, now: Instant) {
        let span = self.beats.map(|beats| beats.interval + beats.grace);
        self.late_at = now + span.unwrap_or(NEVER);
    }

    /// When to call [`Self::on_time`].
    pub(super) fn next_wakeup(&self) -> Instant {
        self.late_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEATS: Beats = Beats {
        interval: Duration::from_secs(1),
        grace: Duration::from_millis(500),
        percent: 50,
        code: 4009,
    };
    const BEAT: &[u8] = br#"{"op":1,"d":null}"#;
    const RESUME: &[u8] = br#"{"op":6,"d":{"token":"t","session_id":"s","seq":1}}"#;

    fn code(result: Result<Command, Refusal>) -> u16 {
        result.map_or_else(|refusal| refusal.code, |_| 0)
    }

    #[test]
    fn the_longest_interval_and_grace_are_never_over() {
        let options = SimOptions {
            heartbeat_interval_ms: u64::MAX,
            heartbeat_grace: u32::MAX,
            ..SimOptions::default()
        };
        let start = crate::clock::now();
        let mut connection = Connection::new(Beats::of(&options), start);
        connection.greet(Some(u64::MAX), start);
        assert_eq!(connection.on_time(start), Ok(()));
    }

    #[test]
    fn a_late_heartbeat_ends_it() {
        let start = crate::clock::now();
        let mut connection = Connection::new(BEATS, start);
        connection.greet(Some(1000), start);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(connection.on_time(at(1499)), Ok(()));
        assert_eq!(code(connection.on_frame(BEAT, at(1499))), 0);
        assert_eq!(connection.on_time(at(2998)), Ok(()));
        let refusal = connection.on_time(at(2999)).unwrap_err();
        assert_eq!((refusal.code, refusal.rule), (4009, "heartbeat_late"));
    }

    #[test]
    fn nothing_is_demanded_before_hello_or_by_an_odd_one() {
        let start = crate::clock::now();
        let later = start + Duration::from_secs(3600);
        let mut connection = Connection::new(BEATS, start);
        assert!(connection.is_early() && !connection.is_early());
        assert_eq!(connection.on_time(later), Ok(()));
        for odd in [None, Some(0), Some(9)] {
            connection.greet(odd, start);
            assert!(!connection.is_early());
            assert_eq!(connection.on_time(later), Ok(()));
        }
        connection.greet(Some(2000), start);
        assert!(connection.on_time(start + Duration::from_secs(3)).is_err());
    }

    #[test]
    fn identify_comes_first_and_once() {
        let now = crate::clock::now();
        let mut connection = Connection::new(BEATS, now);
        assert_eq!(
            code(connection.on_frame(br#"{"op":31,"d":{"guild_ids":[]}}"#, now)),
            4003
        );
        assert_eq!(code(connection.on_frame(RESUME, now)), 0);
        connection.set_authenticated(true);
        assert_eq!(code(connection.on_frame(RESUME, now)), 4005);
        connection.set_authenticated(false);
        assert_eq!(code(connection.on_frame(RESUME, now)), 0);
    }

    #[test]
    fn heartbeats_count_as_commands() {
        let now = crate::clock::now();
        let mut connection = Connection::new(BEATS, now);
        for _ in 0..120 {
            assert_eq!(code(connection.on_frame(BEAT, now)), 0);
        }
        assert_eq!(code(connection.on_frame(BEAT, now)), 4008);
    }
}
