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
    /// When its key was written, in milliseconds since the Unix epoch, by the server's clock; 0: it has none.
    pub at_ms: u64,
}

impl Remembered {
    /// A shard had to stop: `session` is where it was, `began` where it had begun, `progress` how far it is
    /// stored since, and where.
    pub fn keep(
        &self,
        (generation, shard): (u64, ShardId),
        session: Option<Session>,
        began: Option<&Session>,
        progress: &Progress,
    ) {
        let Some(session) = session else { return };
        // What was accepted and is not stored is given up: Discord replays it.
        let name = session_name(&session.id);
        let last = progress.last();
        let stored = last.as_ref().and_then(|tag| tag.seq_in(&name));
        let began = began.filter(|began| began.id == session.id);
        // Where the last one stored is of another session, nothing of this one is.
        let first = began.map(|began| began.seq).filter(|_| last.is_none());
        let Some(seq) = stored.or(first) else {
            return;
        };
        let session = StoredSession {
            v: VERSION,
            session: session.id,
            resume_url: session.resume_url,
            epoch: 0,
            seq,
            stream_at_ms: progress.made_ms(),
            stored: stored.unwrap_or_default(),
        };
        let at_ms = 0;
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
    /// True if a stream that was made then, in nanoseconds since the epoch, is not the one that held it.
    pub fn is_before(&self, made: i128) -> bool {
        let made_ms = clock::ms_of(made);
        match self.session.stream_at_ms {
            // As a release before this one wrote it.
            0 => self.at_ms < made_ms,
            held => held != made_ms,
        }
    }

    /// When the stream that held it was made, or a time at which none was that is there.
    pub fn held_since(&self) -> u64 {
        match self.session.stream_at_ms {
            0 => self.at_ms,
            held => held,
        }
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
        progress.is_held_since(5_000);
        let keep = |left| remembered.keep(PLACE, left, Some(&began), &progress);
        keep(Some(session("a", 9)));
        let known = remembered.get(1, ShardId(3)).unwrap();
        remembered.forget(1, ShardId(3));
        assert_eq!((known.session.seq, known.held_since()), (7, 5_000));
        assert!(known.is_before(6_000_000_000) && !known.is_before(5_000_000_000));
        assert_eq!(remembered.get(1, ShardId(3)), None);
        // A session of which nothing is stored, or none.
        keep(Some(session("b", 1)));
        keep(None);
        assert_eq!(remembered.get(1, ShardId(3)), None);
    }
}
