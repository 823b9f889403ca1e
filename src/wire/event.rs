//! Events in the stream: Discord's bytes, and the fleet's own word for a loss.

use serde::{Deserialize, Serialize};

pub use super::id::{
    Part, gap_id, is_made_up, made_up_name, message_id, parse_id, parse_message_id, session_id,
    session_name, unnumbered_id,
};
use super::{VERSION, escape::escaped};

/// Names the message for deduplication: `<session_id>:<seq>`. The server's own header.
pub const MESSAGE_ID: &str = "Nats-Msg-Id";
/// Present when a payload was larger than the server takes: its value is [`ZSTD`].
pub const CONTENT_ENCODING: &str = "Content-Encoding";
/// The one encoding used.
pub const ZSTD: &str = "zstd";
/// Discord's name of an event whose name cannot stand in a subject, as [`event_name`] writes it.
pub const EVENT_NAME: &str = "Fleet-Event";
/// A longer value of [`EVENT_NAME`] is cut, and ends with [`CUT`].
const LONGEST_NAME: usize = 256;
/// Stands in no value of [`EVENT_NAME`] but at the end of one that was cut.
const CUT: char = '*';

/// A strange name as the header [`EVENT_NAME`] has it: percent-encoded, and cut where it is long.
pub fn event_name(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.~".contains(&byte);
    let mut written = String::new();
    for letter in name.chars() {
        let next = escaped(letter.encode_utf8(&mut [0; 4]), plain);
        if written.len() + next.len() > LONGEST_NAME {
            written.push(CUT);
            break;
        }
        written += &next;
    }
    written
}

/// Why events of a shard are missing from the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Discord sent events of no session: they came before its READY.
    BeforeReady,
    /// The fleet was cut anew; what lies around the cut may stand twice.
    Reshard,
    /// The stream was deleted, emptied or made anew: what it held up to here is gone, and the session goes on.
    StreamLost,
}

impl GapReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::SessionInvalidated,
        Self::ResumeFailed,
        Self::Hole,
        Self::Oversize,
        Self::BeforeReady,
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
            Self::BeforeReady => "before_ready",
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_strange_name_is_safe_in_a_header_and_cut_where_it_is_long() {
        assert_eq!(event_name("a.b *>"), "a.b%20%2A%3E");
        assert_eq!(event_name("FLEET_GAP"), "FLEET_GAP");
        assert_eq!(event_name("é\r\n\0"), "%C3%A9%0D%0A%00");
        assert_eq!(event_name(&"Y".repeat(256)), "Y".repeat(256));
        assert_eq!(event_name(&"Y".repeat(257)), "Y".repeat(256) + "*");
        let cut = event_name(&"é".repeat(5_000));
        assert_eq!(cut, "%C3%A9".repeat(42) + "*");
    }

    proptest! {
        #[test]
        fn every_name_fits_a_header(name in any::<String>()) {
            let written = event_name(&name);
            let safe = |byte: u8| byte.is_ascii_graphic();
            prop_assert!(written.len() <= 257 && written.bytes().all(safe));
        }
    }

    #[test]
    fn a_gap_on_the_wire() {
        let gap = Gap::new(GapReason::SessionInvalidated, "abc", 41, 1_700_000_000_000);
        let golden = r#"{"v":1,"reason":"session_invalidated","session":"abc","last_seq":41,"at_ms":1700000000000}"#;
        assert_eq!(crate::wire::encode(&gap), golden);
        assert_eq!(crate::wire::decode::<Gap>(golden.as_bytes()).unwrap(), gap);
    }
}
