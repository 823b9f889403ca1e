//! A connection that does not go as usual: at a moment of its life the server says what a script wants, and
//! ends it, waits, or goes on.

use serde::Deserialize;
use serde_json::Value;

use super::peer::{End, Peer};
use super::session;
use crate::clock;

/// A moment in a connection's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum At {
    /// It is open: in place of HELLO.
    Connect,
    /// After HELLO.
    Hello,
    /// IDENTIFY was received and is admitted: in place of READY. No session begins unless it goes on.
    Identify,
    /// After READY.
    Ready,
    /// RESUME was received: in place of every answer to it.
    Resume,
    /// After the replay: in place of RESUMED. Events that happen are sent.
    Replayed,
    /// After RESUMED.
    Resumed,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Then {
    /// It stays open, heartbeats are answered, and what usually comes does not.
    #[default]
    Wait,
    /// It goes on as usual.
    GoOn,
    /// A close frame, with a code or without one.
    Close,
    /// TCP ends with a FIN.
    Fin,
    /// TCP ends with a RST.
    Rst,
}

/// What the server does at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// Sent word for word, before the rest.
    pub(super) say: Option<String>,
    pub(super) then: Then,
    pub(super) code: Option<u16>,
}

impl Peer {
    /// What is to be done at this moment, if anything; that it was asked for counts as one time.
    pub(super) fn turn(&self, at: At, shard: Option<u32>) -> Option<Turn> {
        self.hub.script().turn(at, shard, clock::now())
    }

    /// Does it. Whether things go on as usual.
    pub(super) fn take(&mut self, turn: &Turn) -> Result<bool, End> {
        if let Some(text) = &turn.say {
            self.speak(text)?;
        }
        match turn.then {
            Then::Wait => Ok(false),
            Then::GoOn => Ok(true),
            Then::Close => Err(End::Told(turn.code)),
            Then::Fin => Err(End::Cut { reset: false }),
            Then::Rst => Err(End::Cut { reset: true }),
        }
    }

    /// Does what waits for the dispatches before it to be sent.
    pub(super) fn take_due(&mut self) -> Result<(), End> {
        match self.due.take() {
            Some((seq, turn)) if self.cursor >= seq => self.take(&turn).map(drop),
            due => {
                self.due = due;
                Ok(())
            }
        }
    }

    /// Sends a heartbeat answer of so many bytes, all but a few of which say the same.
    pub(super) fn inflate(&mut self, bytes: usize) -> Result<(), End> {
        let mut text = String::with_capacity(bytes.max(64));
        text.push_str(r#"{"t":null,"s":null,"op":11,"d":null,"x":""#);
        text.extend(std::iter::repeat_n(
            '0',
            bytes.saturating_sub(text.len() + 2),
        ));
        text.push_str("\"}");
        self.say(text)
    }

    /// Sends a script's text. A dispatch that asks for the next sequence becomes one of the session;
    /// everything else goes to this socket alone.
    pub(super) fn speak(&mut self, text: &str) -> Result<(), End> {
        if let Some(shared) = &self.session
            && session::wants_sequence(text)
        {
            self.hub.raw(&mut shared.lock(), text, false);
            return Ok(());
        }
        let said: Value = serde_json::from_str(text).unwrap_or_default();
        match said["op"].as_u64() {
            Some(0) => {
                if let (Some(shared), Some(seq)) = (&self.session, said["s"].as_u64()) {
                    shared.lock().claim(seq);
                }
            }
            Some(9) => self.invalidated = true,
            Some(10) => {
                let interval = said["d"]["heartbeat_interval"].as_u64();
                self.connection.greet(interval, clock::now());
            }
            _ => {}
        }
        self.say(text.to_owned())
    }
}
