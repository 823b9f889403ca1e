//! A shard's session, kept in the state bucket after READY is stored.

use serde::{Deserialize, Serialize};

/// What the next owner of a shard needs to RESUME.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSession {
    /// Version.
    pub v: u32,
    /// Discord's `session_id`.
    pub session: String,
    /// Discord's `resume_gateway_url`.
    pub resume_url: String,
    /// The lease epoch of the writer.
    pub epoch: u64,
    /// Every event up to this sequence is stored or was deliberately dropped.
    pub seq: u64,
    /// When the stream that held it so far was made, in milliseconds since the Unix epoch, by the server's
    /// clock; 0: a release before this one wrote the key. A key may be written again when the stream is lost:
    /// then its own time says nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stream_at_ms: u64,
    /// The last number of the session that the stream is known to have held; 0: nobody said. A stream that
    /// ends before it has lost what is missing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stored: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_on_the_wire() {
        let golden = r#"{"v":1,"session":"abc","resume_url":"wss://g.example","epoch":7,"seq":41}"#;
        let mut session: StoredSession = crate::wire::decode(golden.as_bytes()).unwrap();
        assert_eq!(crate::wire::encode(&session), golden);
        (session.stream_at_ms, session.stored) = (1_700_000_000_000, 40);
        let golden = golden.replace('}', r#","stream_at_ms":1700000000000,"stored":40}"#);
        assert_eq!(crate::wire::encode(&session), golden);
        assert_eq!(
            crate::wire::decode::<StoredSession>(golden.as_bytes()).unwrap(),
            session
        );
    }
}
