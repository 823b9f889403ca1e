//! Events in the stream: Discord's bytes, and the fleet's own word for a loss.

use serde::{Deserialize, Serialize};

use super::VERSION;

/// Names the message for deduplication: `<session_id>:<seq>`. The server's own header.
pub const MESSAGE_ID: &str = "Nats-Msg-Id";
/// Present when a payload was larger than the server takes: its value is [`ZSTD`].
pub const CONTENT_ENCODING: &str = "Content-Encoding";
/// The one encoding used.
pub const ZSTD: &str = "zstd";

/// The message id of an event.
pub fn message_id(session: &str, seq: u64) -> String {
    // One an event: `format!` costs six times as much.
    let mut buffer = itoa::Buffer::new();
    let seq = buffer.format(seq);
    let mut id = String::with_capacity(session.len() + 1 + seq.len());
    id.push_str(session);
    id.push(':');
    id.push_str(seq);
    id
}

/// The message id of the gap after the last stored event of a session.
pub fn gap_id(session: &str, last_seq: u64) -> String {
    format!("{session}:{last_seq}:gap")
}

/// The session and sequence that a message id names; a gap's id names the last stored sequence.
pub fn parse_message_id(id: &str) -> Option<(&str, u64)> {
    let id = id.strip_suffix(":gap").unwrap_or(id);
    let (session, seq) = id.rsplit_once(':')?;
    Some((session, seq.parse().ok()?))
}

/// Why events of a shard are missing from the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// Discord ended the session; what it had not delivered is gone.
    SessionInvalidated,
    /// The session could not be resumed in time, or not at all.
    ResumeFailed,
    /// Discord skipped sequence numbers within a living session.
    Hole,
    /// One payload was larger than NATS takes, compressed too.
    Oversize,
    /// The fleet was cut anew; what lies around the cut may stand twice.
    Reshard,
    /// The stream was deleted, emptied or made anew: what it held up to here is gone, and the session goes on.
    StreamLost,
}

impl GapReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::SessionInvalidated,
        Self::ResumeFailed,
        Self::Hole,
        Self::Oversize,
        Self::Reshard,
        Self::StreamLost,
    ];

    /// The label of metrics, the same word as on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SessionInvalidated => "session_invalidated",
            Self::ResumeFailed => "resume_failed",
            Self::Hole => "hole",
            Self::Oversize => "oversize",
            Self::Reshard => "reshard",
            Self::StreamLost => "stream_lost",
        }
    }

    /// True where the session goes on behind the gap.
    pub fn session_lives(self) -> bool {
        matches!(self, Self::Hole | Self::Oversize | Self::StreamLost)
    }
}

/// The body of a `FLEET_GAP`: what a worker must not assume any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Version of this message.
    pub v: u32,
    /// Why.
    pub reason: GapReason,
    /// The session that lost events.
    pub session: String,
    /// Its last sequence that is in the stream (or was deliberately dropped).
    pub last_seq: u64,
    /// How many events are known to be missing; none where Discord did not say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub missing: Option<u64>,
    /// When the loss was known, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl Gap {
    /// True for the word that the stream itself has lost what it held.
    pub fn is_of_stream(&self) -> bool {
        self.reason == GapReason::StreamLost
    }

    /// A gap of this release's version.
    pub fn new(reason: GapReason, session: &str, last_seq: u64, at_ms: u64) -> Self {
        Self {
            v: VERSION,
            reason,
            session: session.to_owned(),
            last_seq,
            missing: None,
            at_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_names_session_and_sequence() {
        assert_eq!(message_id("abc", 7), "abc:7");
        assert_eq!(parse_message_id("abc:7"), Some(("abc", 7)));
        assert_eq!(parse_message_id("abc:7:gap"), Some(("abc", 7)));
        assert_eq!(parse_message_id("abc"), None);
        assert_eq!(parse_message_id("abc:x"), None);
    }

    #[test]
    fn a_gap_on_the_wire() {
        let gap = Gap::new(GapReason::SessionInvalidated, "abc", 41, 1_700_000_000_000);
        let golden = r#"{"v":1,"reason":"session_invalidated","session":"abc","last_seq":41,"at_ms":1700000000000}"#;
        assert_eq!(crate::wire::encode(&gap), golden);
        assert_eq!(crate::wire::decode::<Gap>(golden.as_bytes()).unwrap(), gap);
    }
}
