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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_on_the_wire() {
        let golden = r#"{"v":1,"session":"abc","resume_url":"wss://g.example","epoch":7,"seq":41}"#;
        let session: StoredSession = crate::wire::decode(golden.as_bytes()).unwrap();
        assert_eq!(crate::wire::encode(&session), golden);
    }
}
