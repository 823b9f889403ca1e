//! Pure: what one shard has accepted so far, and what a frame adds to it.
//!
//! Sequences within a session are contiguous. What came before is dropped, what is missing is said. A
//! number that cannot be right moves nothing: its event is counted behind the last one that was, so that
//! one wrong number silences nothing that follows it.

use std::collections::VecDeque;

use xxhash_rust::xxh3::xxh3_64;

use crate::wire::{event::GapReason, session::StoredSession};

/// What JSON carries exactly, in every language. A sequence beyond is none.
pub const HIGHEST: u64 = (1 << 53) - 1;
/// More missing at once is not believed, unless the next number bears it out.
const MOST_MISSING: u64 = 4_096;
/// Events with a number that was not believed that are known again when a replay brings them.
const REMEMBERED: usize = 32;

/// Where a shard stands in Discord's numbering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    session: Option<Session>,
    /// The sequence behind which a hole was announced by somebody before.
    told: Option<u64>,
    /// The last hole.
    hole: Option<Hole>,
    /// Events without a number that can be believed, behind the session's sequence.
    unnumbered: u32,
    /// The number of the last event, where it is too far ahead to be believed.
    doubted: Option<u64>,
    /// Hashes of such events: their numbers alone do not tell a replay.
    strange: VecDeque<u64>,
    /// An event of no session came, and was said.
    strayed: bool,
    /// A hash of the READY that began the session, where this process has read it.
    ready: Option<u64>,
}

/// Numbers that were leapt over. Where they come after all, Discord has leapt without a reason: what has them
/// is stored like what has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hole {
    /// The first that has not come.
    next: u64,
    /// The number of the event that leapt.
    end: u64,
    /// A hash of that event.
    leapt: u64,
}

impl Hole {
    /// True for an event that belongs into it.
    fn takes(&mut self, seq: u64, payload: &[u8]) -> bool {
        // Behind all the others comes the one whose number was taken.
        let is_last = seq == self.end && self.next <= seq && xxh3_64(payload) != self.leapt;
        let takes = is_last || (self.next..self.end).contains(&seq);
        if takes {
            self.next = seq + 1;
        }
        takes
    }
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
    /// Without a number that can be believed: the so many-th behind the last one that has.
    Unnumbered(u32),
    /// No session: nothing to number it by. True for the first such one.
    Stray(bool),
}

/// A session that a READY begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Began {
    /// The one before, if it still stood.
    pub lost: Option<Lost>,
    /// Its own number, or none: it is the first without.
    pub seq: Option<u64>,
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
        Self {
            session,
            told,
            ..Self::default()
        }
    }

    /// The stream ends with the so many-th event without a number.
    #[must_use]
    pub fn behind(self, unnumbered: u32) -> Self {
        Self { unnumbered, ..self }
    }

    /// A READY: a new session begins. The old one, if it still stood, is lost. None: it belongs to the one
    /// in progress, as a replay from its beginning brings it, and is a dispatch like others.
    pub fn ready(
        &mut self,
        id: &str,
        resume_url: &str,
        seq: Option<u64>,
        payload: &[u8],
    ) -> Option<Began> {
        let hash = xxh3_64(payload);
        if let Some(session) = self.session.as_ref().filter(|session| session.id == id)
            && let Some(seq) = seq
            && (seq > session.seq || self.ready == Some(hash))
        {
            return None;
        }
        let lost = self.invalidated(GapReason::SessionInvalidated);
        let seq = seq.filter(|seq| (1..=MOST_MISSING).contains(seq));
        let session = Session {
            id: id.to_owned(),
            resume_url: resume_url.to_owned(),
            seq: seq.unwrap_or_default(),
        };
        *self = Self {
            session: Some(session),
            unnumbered: u32::from(seq.is_none()),
            ready: Some(hash),
            ..Self::default()
        };
        Some(Began { lost, seq })
    }

    /// Any other dispatch.
    pub fn dispatch(&mut self, seq: Option<u64>, payload: &[u8]) -> Dispatch {
        let Some(session) = &mut self.session else {
            return Dispatch::Stray(!std::mem::replace(&mut self.strayed, true));
        };
        let borne_out = self.doubted.take().and_then(|seq| seq.checked_add(1));
        let near = 1..=session.seq.saturating_add(MOST_MISSING).min(HIGHEST);
        let seq = match seq {
            None | Some(0) => return self.unnumbered(),
            Some(seq) if seq <= session.seq => {
                let fills = self
                    .hole
                    .as_mut()
                    .is_some_and(|hole| hole.takes(seq, payload));
                return if fills {
                    self.unnumbered()
                } else {
                    Dispatch::Seen
                };
            }
            Some(seq) if seq == session.seq + 1 && near.contains(&seq) => seq,
            Some(_) if self.strange.contains(&xxh3_64(payload)) => return Dispatch::Seen,
            Some(seq) if near.contains(&seq) => seq,
            Some(seq) if seq <= HIGHEST && borne_out == Some(seq) => seq,
            Some(seq) => {
                self.strange.push_back(xxh3_64(payload));
                if self.strange.len() > REMEMBERED {
                    self.strange.pop_front();
                }
                self.doubted = Some(seq);
                return self.unnumbered();
            }
        };
        // What came without its number stands in the stream all the same.
        let (last_seq, skipped) = (session.seq, seq - session.seq - 1);
        let missing = skipped.saturating_sub(self.unnumbered.into());
        session.seq = seq;
        self.unnumbered = 0;
        if skipped > 0 {
            self.hole = Some(Hole {
                next: last_seq + 1,
                end: seq,
                leapt: xxh3_64(payload),
            });
        }
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

    fn unnumbered(&mut self) -> Dispatch {
        self.unnumbered = self.unnumbered.saturating_add(1);
        Dispatch::Unnumbered(self.unnumbered)
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
    use proptest::prelude::*;

    use super::*;

    fn track() -> Track {
        let mut track = Track::default();
        assert_eq!(began(&mut track, "a", 1), None);
        track
    }

    fn began(track: &mut Track, id: &str, seq: u64) -> Option<Lost> {
        let payload = format!("{id} {seq}");
        let began = track.ready(id, "wss://r", Some(seq), payload.as_bytes());
        began.unwrap().lost
    }

    fn numbered(track: &mut Track, seq: u64) -> Dispatch {
        track.dispatch(Some(seq), &seq.to_le_bytes())
    }

    #[test]
    fn contiguous_sequences_go_on_and_a_replay_is_dropped() {
        let mut track = track();
        assert_eq!(numbered(&mut track, 2), Dispatch::Next);
        assert_eq!(numbered(&mut track, 2), Dispatch::Seen);
        assert_eq!(numbered(&mut track, 1), Dispatch::Seen);
        assert_eq!(numbered(&mut track, 3), Dispatch::Next);
    }

    #[test]
    fn a_hole_is_said_with_its_size() {
        let mut track = track();
        let Dispatch::Hole(lost) = numbered(&mut track, 5) else {
            panic!("no hole")
        };
        assert_eq!((lost.last_seq, lost.missing), (1, Some(3)));
        assert_eq!(numbered(&mut track, 6), Dispatch::Next);
    }

    #[test]
    fn a_hole_that_was_told_is_not_told_again() {
        let session = track().session().cloned();
        let mut track = Track::new(session, true);
        assert_eq!(numbered(&mut track, 5), Dispatch::Next);
        assert!(matches!(numbered(&mut track, 8), Dispatch::Hole(lost) if lost.last_seq == 5));
        let mut track = Track::new(track.session().cloned(), true);
        // Another session's numbers are its own.
        assert!(began(&mut track, "b", 8).is_some());
        assert!(matches!(numbered(&mut track, 10), Dispatch::Hole(_)));
    }

    #[test]
    fn a_new_session_announces_the_old_one_once() {
        let mut track = track();
        let lost = track.invalidated(GapReason::SessionInvalidated).unwrap();
        assert_eq!((lost.session.as_str(), lost.last_seq), ("a", 1));
        assert_eq!(began(&mut track, "b", 1), None);
        let lost = began(&mut track, "c", 1).unwrap();
        assert_eq!(lost.session, "b");
    }

    #[test]
    fn what_comes_without_a_session_is_said_once_until_there_is_one() {
        let mut track = Track::default();
        assert_eq!(numbered(&mut track, 1), Dispatch::Stray(true));
        assert_eq!(track.dispatch(None, b""), Dispatch::Stray(false));
        began(&mut track, "a", 1);
        track.invalidated(GapReason::SessionInvalidated);
        assert_eq!(numbered(&mut track, 2), Dispatch::Stray(true));
    }

    #[test]
    fn a_number_that_cannot_be_right_silences_nothing() {
        for absurd in [u64::MAX, u64::MAX - 1, 1 << 53, 1 << 40, 1_000_010] {
            let mut track = track();
            assert_eq!(numbered(&mut track, absurd), Dispatch::Unnumbered(1));
            assert_eq!(numbered(&mut track, 2), Dispatch::Next, "{absurd}");
            // A replay brings it again.
            assert_eq!(numbered(&mut track, absurd), Dispatch::Seen);
            assert_eq!(
                track.dispatch(Some(absurd), b"other"),
                Dispatch::Unnumbered(1)
            );
            assert_eq!(numbered(&mut track, 3), Dispatch::Next);
        }
        let mut track = track();
        assert!(matches!(numbered(&mut track, 4_097), Dispatch::Hole(_)));
        for (count, none) in (1..).zip([None, Some(0), None]) {
            assert_eq!(track.dispatch(none, b""), Dispatch::Unnumbered(count));
        }
        assert_eq!(track.session().unwrap().seq, 4_097);
    }

    #[test]
    fn a_leap_that_the_next_number_bears_out_is_a_hole() {
        let mut track = track();
        assert_eq!(numbered(&mut track, 1 << 40), Dispatch::Unnumbered(1));
        let Dispatch::Hole(lost) = numbered(&mut track, (1 << 40) + 1) else {
            panic!("no hole")
        };
        assert_eq!((lost.last_seq, lost.missing), (1, Some((1 << 40) - 2)));
        assert_eq!(numbered(&mut track, (1 << 40) + 2), Dispatch::Next);
        // Nothing bears out what no number can be.
        let mut track = self::track();
        for (count, absurd) in (1..).zip([HIGHEST, HIGHEST + 1, u64::MAX - 1, u64::MAX, u64::MAX]) {
            let came = track.dispatch(Some(absurd), &[count]);
            assert_eq!(came, Dispatch::Unnumbered(count.into()));
        }
        // Nor what came before it, with another between.
        assert_eq!(numbered(&mut track, 1 << 50), Dispatch::Unnumbered(6));
        assert_eq!(numbered(&mut track, 2), Dispatch::Next);
        assert_eq!(numbered(&mut track, (1 << 50) + 1), Dispatch::Unnumbered(1));
    }

    #[test]
    fn a_number_that_an_event_lacks_is_no_hole() {
        let mut track = track();
        assert_eq!(track.dispatch(None, b""), Dispatch::Unnumbered(1));
        assert_eq!(track.dispatch(Some(u64::MAX), b""), Dispatch::Unnumbered(2));
        assert_eq!(numbered(&mut track, 4), Dispatch::Next);
        assert_eq!(track.dispatch(None, b""), Dispatch::Unnumbered(1));
        let Dispatch::Hole(lost) = numbered(&mut track, 7) else {
            panic!("no hole")
        };
        assert_eq!((lost.last_seq, lost.missing), (4, Some(1)));
    }

    #[test]
    fn a_ready_without_a_number_begins_a_session_all_the_same() {
        for seq in [None, Some(0), Some(u64::MAX), Some(4_097)] {
            let mut track = Track::default();
            let began = track.ready("a", "", seq, b"").unwrap();
            assert_eq!((began.seq, began.lost), (None, None));
            assert_eq!(track.dispatch(None, b""), Dispatch::Unnumbered(2));
            assert_eq!(numbered(&mut track, 2), Dispatch::Next, "{seq:?}");
        }
    }

    #[test]
    fn a_ready_of_the_same_name_is_a_replay_or_another_session() {
        let mut track = Track::new(track().session().cloned(), false);
        let goes_on = track.ready("a", "", Some(2), b"a 1");
        assert_eq!(goes_on, None, "a number that goes on");
        assert_eq!(numbered(&mut track, 2), Dispatch::Next);
        let began = track.ready("a", "", Some(1), b"a 1").unwrap();
        assert!(began.lost.is_some_and(|lost| lost.last_seq == 2));
        assert_eq!(numbered(&mut track, 2), Dispatch::Next);
        // Byte for byte the one that began it.
        assert_eq!(track.ready("a", "", Some(1), b"a 1"), None);
        assert_eq!(numbered(&mut track, 1), Dispatch::Seen);
        assert_eq!(numbered(&mut track, 3), Dispatch::Next);
        let other = track.ready("a", "", Some(1), b"another").unwrap();
        assert!(other.lost.is_some_and(|lost| lost.last_seq == 3));
    }

    proptest! {
        /// One event has a number of later ones: all the others are stored, and all that follow.
        #[test]
        fn a_leap_without_a_reason_silences_nothing(at in 2_u64..50, by in 1_u64..10_000) {
            let mut track = track();
            for seq in 2..=at + by + 20 {
                let claimed = if seq == at { at + by } else { seq };
                let came = track.dispatch(Some(claimed), &seq.to_le_bytes());
                prop_assert_ne!(came, Dispatch::Seen, "{} after a leap from {} to {}", seq, at, at + by);
            }
            let seen = track.dispatch(Some(at + by + 20), b"");
            prop_assert_eq!(seen, Dispatch::Seen);
        }

        /// Whatever numbers come between, an event with the next right one goes on.
        #[test]
        fn no_number_stops_those_that_follow(
            strange in proptest::collection::vec(
                prop_oneof![Just(None), Just(Some(0)), ((HIGHEST + 1)..).prop_map(Some)], 0..40,
            ),
        ) {
            let mut track = track();
            for (seq, strange) in (2..).zip(strange) {
                let came = track.dispatch(strange, b"");
                let seen = matches!(came, Dispatch::Unnumbered(_) | Dispatch::Seen);
                prop_assert!(seen, "{came:?}");
                prop_assert_eq!(numbered(&mut track, seq), Dispatch::Next);
            }
        }
    }
}
