//! The sessions of shards that ran here and had to stop: their lease ended while NATS was away. Where NATS
//! then comes back without them, they are resumed from here.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    clock,
    fleet::ShardId,
    wire::{VERSION, event::session_name, session::StoredSession},
};

use super::{forward::Progress, track::Session};

/// Them; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Remembered(Arc<Mutex<BTreeMap<(u64, ShardId), Known>>>);

/// A session as it is known from its key, or from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The session, and up to where it is stored.
    pub session: StoredSession,
    /// Then it was stored there, in milliseconds since the Unix epoch, by the server's clock: a stream made
    /// later has lost it.
    pub at_ms: u64,
}

impl Remembered {
    /// A shard had to stop: `session` is where it was, `began` where it had begun, `progress` how far it is
    /// stored since, and `made` when its stream was made, in nanoseconds since the epoch.
    pub fn keep(
        &self,
        (generation, shard): (u64, ShardId),
        session: Option<Session>,
        began: Option<&Session>,
        progress: &Progress,
        made: i128,
    ) {
        let Some(session) = session else { return };
        // What was accepted and is not stored is given up: Discord replays it.
        let name = session_name(&session.id);
        let stored = progress.last().map(|tag| tag.seq_in(&name));
        let began = began.filter(|began| began.id == session.id);
        let Some(seq) = stored.unwrap_or(began.map(|began| began.seq)) else {
            return;
        };
        let session = StoredSession {
            v: VERSION,
            session: session.id,
            resume_url: session.resume_url,
            epoch: 0,
            seq,
        };
        let at_ms = clock::ms_of(made);
        let known = Known { session, at_ms };
        self.lock().insert((generation, shard), known);
    }

    /// What is remembered of a shard that begins again.
    pub fn get(&self, generation: u64, shard: ShardId) -> Option<Known> {
        self.lock().get(&(generation, shard)).cloned()
    }

    /// The shard has begun: from now on others may know better.
    pub fn forget(&self, generation: u64, shard: ShardId) {
        self.lock().remove(&(generation, shard));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(u64, ShardId), Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// True if a stream that was made then, in nanoseconds since the epoch, cannot hold it.
    pub fn is_before(&self, made: i128) -> bool {
        self.at_ms < clock::ms_of(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: (u64, ShardId) = (1, ShardId(3));

    fn session(id: &str, seq: u64) -> Session {
        Session {
            id: id.to_owned(),
            resume_url: "wss://r".to_owned(),
            seq,
        }
    }

    #[test]
    fn a_shard_that_had_to_stop_is_remembered_as_far_as_it_is_stored() {
        let (remembered, progress) = (Remembered::default(), Progress::default());
        let began = session("a", 7);
        let keep = |left| remembered.keep(PLACE, left, Some(&began), &progress, 5_000_000_000);
        keep(Some(session("a", 9)));
        let known = remembered.get(1, ShardId(3)).unwrap();
        remembered.forget(1, ShardId(3));
        assert_eq!((known.session.seq, known.at_ms), (7, 5_000));
        assert!(known.is_before(6_000_000_000) && !known.is_before(5_000_000_000));
        assert_eq!(remembered.get(1, ShardId(3)), None);
        // A session of which nothing is stored, or none.
        keep(Some(session("b", 1)));
        keep(None);
        assert_eq!(remembered.get(1, ShardId(3)), None);
    }
}
