//! How long a shard's stream stood still.

use std::{collections::HashMap, time::Duration};

use serde::Deserialize;
use shardfleet::{audit::evidence::StoredLine, wire::event::parse_message_id};

/// The longest time, of all shards, in which something that Discord had sent for a shard waited and
/// nothing of that shard was stored: from the later of the shard's last stored event and the sending
/// of the next one, to the storing of that. The first event of a new session counts from the last of
/// the session before it; the wait before a shard's very first does not count.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    pub(crate) longest: Duration,
    /// Which event ended it.
    pub(crate) until: String,
    sent: HashMap<String, HashMap<u64, u64>>,
    last: HashMap<String, (String, u64)>,
}

/// A line of the simulator's record, where only the time matters.
#[derive(Deserialize)]
struct At {
    at_ms: u64,
}

impl Silence {
    /// Discord sent this.
    pub(super) fn sent(&mut self, session: &str, seq: u64, line: &str) {
        let At { at_ms } = serde_json::from_str(line).unwrap();
        if !self.sent.contains_key(session) {
            self.sent.insert(session.to_owned(), HashMap::new());
        }
        let session = self.sent.get_mut(session).unwrap();
        session.insert(seq, at_ms);
    }

    /// The stream stores this, at that time.
    pub(super) fn stored(&mut self, line: &StoredLine, at_ms: u64) {
        let Some((session, seq)) = parse_message_id(&line.id) else {
            return;
        };
        let shard = line.subject.rsplit_once('.').unwrap().0.to_owned();
        let before = self.last.insert(shard, (session.to_owned(), at_ms));
        let Some((earlier, stored_ms)) = before else {
            return;
        };
        let sent = self.sent.get(session).and_then(|session| session.get(&seq));
        let waits_from = match sent {
            Some(sent) if earlier == session => stored_ms.max(*sent),
            _ => stored_ms,
        };
        let still = Duration::from_millis(at_ms.saturating_sub(waits_from));
        if still > self.longest {
            self.longest = still;
            self.until = format!("{} {}", line.subject, line.id);
        }
    }
}
