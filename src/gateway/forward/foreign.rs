//! Somebody who is no gateway has stored a message among a shard's: it is passed over, and said.

use super::{Last, Publisher, flight::Flight};
use crate::{fleet::ShardId, wire::event::parse_id};

/// So many in a row are passed over at one look.
const MOST: usize = 64;

impl Publisher {
    /// The shard's last message of the fleet's own, and where a foreign one stands behind it; 0: none does.
    pub(super) async fn look(&mut self, flight: &Flight) -> (Last, u64) {
        let mut found = if flight.expects() {
            self.outlet.last_or_loss().await
        } else {
            self.outlet.last().await
        };
        let (mut behind, mut passed) = (0, 0);
        for _ in 0..MOST {
            let Last::Message(sequence, id) = &found else {
                break;
            };
            let sequence = *sequence;
            if !self.is_foreign(id, flight.is_behind(sequence)) {
                break;
            }
            behind = behind.max(sequence);
            passed += 1;
            found = self.outlet.before(sequence).await.0;
        }
        say(self.outlet.shard(), passed, behind);
        (found, behind)
    }

    /// True for what no gateway stores: a message without an id of the fleet's form, or, `late`, behind all that
    /// is known of the shard, one with a number that its stream has already.
    fn is_foreign(&self, id: &str, late: bool) -> bool {
        let Some((session, seq, _)) = parse_id(id) else {
            return true;
        };
        let last = self.told.progress.last().filter(|_| late);
        last.is_some_and(|last| last.seq_in(session).is_some_and(|ours| seq < ours))
    }
}

/// Messages of nobody's stand among those of a shard: so many, the last of them at `sequence`.
pub fn say(shard: ShardId, count: usize, sequence: u64) {
    if count == 0 {
        return;
    }
    tracing::warn!(
        %shard,
        count,
        sequence,
        "somebody who is no gateway has published to a subject of shard {shard}: messages passed over {count}, the \
         last of them message {sequence} of the stream. Workers see them. Let gateways alone publish there: see \
         the permissions in deploy/nats-accounts.conf"
    );
}
