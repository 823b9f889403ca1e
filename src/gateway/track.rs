//! Pure: what one shard has accepted so far, and what a frame adds to it.
//!
//! Sequences within a session are contiguous. What came before is dropped, what is missing is said.

use crate::wire::{event::GapReason, session::StoredSession};

/// Where a shard stands in Discord's numbering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    session: Option<Session>,
    /// The sequence behind which a hole was announced by somebody before.
    told: Option<u64>,
}

/// The session in progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Discord's `session_id`.
    pub id: String,
    /// Where to RESUME; empty: the generic URL.
    pub resume_url: String,
    /// The last sequence accepted: it is stored, waits to be, or was deliberately dropped.
    pub seq: u64,
}

impl From<StoredSession> for Session {
    fn from(stored: StoredSession) -> Self {
        Self {
            id: stored.session,
            resume_url: stored.resume_url,
            seq: stored.seq,
        }
    }
}

/// What a dispatch means for the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// The next one.
    Next,
    /// Seen before: a replay overlapped.
    Seen,
    /// Sequences are missing before it: a gap to announce first.
    Hole(Lost),
    /// No session: nothing to number it by.
    Stray,
}

/// A loss to announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The session that lost events.
    pub session: String,
    /// The last sequence before the loss.
    pub last_seq: u64,
    /// How many, where it is known.
    pub missing: Option<u64>,
    /// Why.
    pub reason: GapReason,
}

impl Track {
    /// A shard that begins where `session` left off, or without one.
    ///
    /// `hole_told`: the stream ends with the word that a hole follows; it is not said again.
    pub fn new(session: Option<Session>, hole_told: bool) -> Self {
        let told = session.as_ref().filter(|_| hole_told).map(|s| s.seq);
        Self { session, told }
    }

    /// A READY: a new session begins. The old one, if it still stood, is lost.
    pub fn ready(&mut self, id: &str, resume_url: &str, seq: u64) -> Option<Lost> {
        if self
            .session
            .as_ref()
            .is_some_and(|session| session.id == id)
        {
            return None;
        }
        let lost = self.invalidated(GapReason::SessionInvalidated);
        let session = Session {
            id: id.to_owned(),
            resume_url: resume_url.to_owned(),
            seq,
        };
        (self.session, self.told) = (Some(session), None);
        lost
    }

    /// Any other dispatch.
    pub fn dispatch(&mut self, seq: u64) -> Dispatch {
        let Some(session) = &mut self.session else {
            return Dispatch::Stray;
        };
        if seq <= session.seq {
            return Dispatch::Seen;
        }
        let (last_seq, missing) = (session.seq, seq - session.seq - 1);
        session.seq = seq;
        if missing == 0 || self.told == Some(last_seq) {
            return Dispatch::Next;
        }
        Dispatch::Hole(Lost {
            session: session.id.clone(),
            last_seq,
            missing: Some(missing),
            reason: GapReason::Hole,
        })
    }

    /// The session is over. The loss to announce, if there was one.
    pub fn invalidated(&mut self, reason: GapReason) -> Option<Lost> {
        let session = self.session.take()?;
        Some(Lost {
            session: session.id,
            last_seq: session.seq,
            missing: None,
            reason,
        })
    }

    /// The session in progress.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track() -> Track {
        let mut track = Track::default();
        assert_eq!(track.ready("a", "wss://r", 1), None);
        track
    }

    #[test]
    fn contiguous_sequences_go_on_and_a_replay_is_dropped() {
        let mut track = track();
        assert_eq!(track.dispatch(2), Dispatch::Next);
        assert_eq!(track.dispatch(2), Dispatch::Seen);
        assert_eq!(track.dispatch(1), Dispatch::Seen);
        assert_eq!(track.dispatch(3), Dispatch::Next);
    }

    #[test]
    fn a_hole_is_said_with_its_size() {
        let mut track = track();
        let Dispatch::Hole(lost) = track.dispatch(5) else {
            panic!("no hole")
        };
        assert_eq!((lost.last_seq, lost.missing), (1, Some(3)));
        assert_eq!(track.dispatch(6), Dispatch::Next);
    }

    #[test]
    fn a_hole_that_was_told_is_not_told_again() {
        let session = track().session().cloned();
        let mut track = Track::new(session, true);
        assert_eq!(track.dispatch(5), Dispatch::Next);
        assert!(matches!(track.dispatch(8), Dispatch::Hole(lost) if lost.last_seq == 5));
        let mut track = Track::new(track.session().cloned(), true);
        // Another session's numbers are its own.
        assert!(track.ready("b", "wss://r", 8).is_some());
        assert!(matches!(track.dispatch(10), Dispatch::Hole(_)));
    }

    #[test]
    fn a_new_session_announces_the_old_one_once() {
        let mut track = track();
        let lost = track.invalidated(GapReason::SessionInvalidated).unwrap();
        assert_eq!((lost.session.as_str(), lost.last_seq), ("a", 1));
        assert_eq!(track.ready("b", "wss://r", 1), None);
        let lost = track.ready("c", "wss://r", 1).unwrap();
        assert_eq!(lost.session, "b");
        assert_eq!(Track::default().dispatch(1), Dispatch::Stray);
    }
}
