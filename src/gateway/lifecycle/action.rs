//! What happens to a connection, and what its shard does about it.

use std::time::Duration;

use super::State;

/// Where to connect, and what to say there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// RESUME at the session's own URL.
    ResumeUrl,
    /// RESUME at the URL that Discord's REST names.
    MainUrl,
    /// IDENTIFY, at the URL that Discord's REST names and no other.
    Identify,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Opening it has come so far.
    Step(State),
    /// HELLO with this interval; none: one that makes no sense.
    Hello(Option<Duration>),
    /// `op` 1: Discord wants a heartbeat.
    HeartbeatAsked,
    /// IDENTIFY has left.
    Identified,
    /// READY, RESUMED, or any other dispatch.
    Ready,
    /// …
    Resumed,
    /// …
    Dispatch,
    /// `op` 7.
    Reconnect,
    /// `op` 9.
    Invalid {
        /// Its `d` is true, and nothing else.
        resumable: bool,
    },
    /// An operator has the shard connect anew.
    Asked {
        /// Its session is given up.
        new_session: bool,
    },
    /// We send a close frame and await Discord's: the shard stops, or parks.
    Close,
    /// The connection is over; the close code, if there was one.
    Ended(Option<u16>),
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Send RESUME.
    Resume,
    /// Ask for a permit to IDENTIFY.
    AskPermit,
    /// Send a heartbeat.
    Beat,
    /// Send a close frame and await Discord's: with the code 4000, or 1000 where the session is given up.
    Close(Reason),
    /// Send close code 4000 if a frame can be sent, and drop the connection at once.
    Drop(Reason),
    /// The connection is over, and the session with it.
    Lose,
}

/// Why a connection is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// For logs.
    pub text: &'static str,
    /// What it means for the session.
    pub session: SessionFate,
}

/// What becomes of the session when its connection is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionFate {
    /// It lives, and is resumed.
    Lives,
    /// Discord has ended it.
    Invalidated,
    /// An operator has it given up, and Discord is told so.
    GivenUp,
    /// Discord refused an IDENTIFY: there is none.
    Refused,
}

impl Reason {
    /// One that leaves the session as it is.
    pub(super) const fn lives(text: &'static str) -> Self {
        Self {
            text,
            session: SessionFate::Lives,
        }
    }
}
