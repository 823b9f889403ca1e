//! The resume point of a shard: its session's key, and the last message of the stream.
//!
//! The stream is the write-ahead log. The key adds the resume URL, and a sequence for shards whose
//! last message was evicted or whose events are dropped on purpose.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};

pub use super::ready::{Ready, ready};
use super::{
    forward::Last,
    ready::usable,
    remembered::Known,
    track::{self, Session, Track},
};
use crate::{
    broker::{
        Broker,
        bucket::{Bucket, KvError},
    },
    fleet::{Epoch, ShardId},
    subject,
    wire::{
        self, VERSION,
        event::{Gap, GapReason, Part, parse_id, session_id, session_name},
        session::StoredSession,
    },
};

/// The key of one shard's session.
pub struct SessionKey {
    bucket: Bucket,
    key: String,
    epoch: Epoch,
    /// Of the key as last read or written; none: there is none.
    revision: Option<u64>,
    /// As this process wrote it.
    written: Option<Place>,
    /// As it was last read, or was to be written.
    known: Option<Place>,
}

/// A session, and what is known of the stream that holds it.
type Place = (Session, HeldBy);

/// What is known of the stream that holds a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldBy {
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// The last number that it held; 0: that is not known.
    pub stored: u64,
}

impl SessionKey {
    /// Reads the key of a shard from its leader.
    ///
    /// # Errors
    /// Where NATS does not answer.
    pub async fn open(
        bucket: Bucket,
        generation: u64,
        shard: ShardId,
        epoch: Epoch,
    ) -> Result<(Self, Option<Known>)> {
        let key = subject::session(generation, shard);
        let entry = bucket.get(&key).await?;
        let stored = entry
            .as_ref()
            .and_then(|entry| match wire::decode(&entry.value) {
                Ok(stored) => Some(stored),
                Err(error) => {
                    tracing::warn!(%shard, "the session of shard {shard} is unreadable: {error}");
                    None
                }
            });
        let at_ms = entry.as_ref().map_or(0, |entry| entry.at_ms);
        let revision = entry.map(|entry| entry.revision);
        let before = stored
            .as_ref()
            .map_or(0, |stored: &StoredSession| stored.epoch);
        Ok((
            Self {
                bucket,
                key,
                epoch: epoch.above(before),
                revision,
                written: None,
                known: stored.clone().map(|key| {
                    let (made_ms, stored) = (key.stream_at_ms, key.stored);
                    (key.into(), HeldBy { made_ms, stored })
                }),
            },
            stored.map(|session| Known { session, at_ms }),
        ))
    }

    /// Writes again what stood there last: the bucket has lost it.
    pub async fn restore(&mut self) {
        self.written = None;
        if let Some((session, held_by)) = self.known.clone() {
            self.keep(&session, held_by).await;
        }
    }

    /// What is known of it is held by a stream that was made then, or was.
    pub fn is_held_since(&mut self, made_ms: u64) {
        if let Some((_, known)) = &mut self.known {
            known.made_ms = made_ms;
        }
    }

    /// Keeps the session, and what is known of its stream, unless they stand there already. Another owner's word
    /// is left alone.
    pub async fn keep(&mut self, session: &Session, held_by: HeldBy) {
        let place = (session.clone(), held_by);
        if self.written.as_ref() == Some(&place) {
            return;
        }
        self.known = Some(place.clone());
        match self.write(session, held_by).await {
            Ok(revision) => {
                self.revision = Some(revision);
                self.written = Some(place);
            }
            // The stream alone serves until the next try.
            Err(error) => tracing::warn!(key = self.key, "could not keep {}: {error}", self.key),
        }
    }

    async fn write(&mut self, session: &Session, held_by: HeldBy) -> Result<u64, KvError> {
        let value = wire::encode(&StoredSession {
            v: VERSION,
            session: session.id.clone(),
            resume_url: session.resume_url.clone(),
            epoch: self.epoch.0,
            seq: session.seq,
            stream_at_ms: held_by.made_ms,
            stored: held_by.stored,
        });
        let copy = value.clone();
        let first = self.bucket.write(&self.key, copy, self.revision).await;
        if first.is_ok() {
            return first;
        }
        // Lost an ack, or somebody wrote: only an owner with a later epoch goes before us.
        let entry = self.bucket.get(&self.key).await?;
        self.revision = entry.as_ref().map(|entry| entry.revision);
        let Some(entry) = entry else {
            return self.bucket.create(&self.key, value).await;
        };
        match wire::decode::<StoredSession>(&entry.value) {
            Ok(stored) if stored.epoch > self.epoch.0 => Err(KvError::Conflict),
            _ => self.bucket.update(&self.key, value, entry.revision).await,
        }
    }
}

/// Where a shard begins, and what the stream holds of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ResumePoint {
    /// The session to RESUME; none: IDENTIFY.
    pub session: Option<Session>,
    /// The stream sequence of the shard's last message; 0: none.
    pub last: u64,
    /// That message says that a hole follows the session's sequence.
    pub hole_told: bool,
    /// So many events without a number stand behind the session's sequence.
    pub unnumbered: u32,
}

impl ResumePoint {
    /// Where the shard's numbering goes on.
    pub fn track(self) -> Track {
        Track::new(self.session, self.hole_told).behind(self.unnumbered)
    }

    /// The session and the sequence up to which the stream holds the shard; `lost`: held it, and does not.
    pub fn stored(&self, lost: bool) -> Option<(Arc<str>, u64)> {
        let session = self.session.as_ref().filter(|_| lost || self.last > 0)?;
        Some((session_name(&session.id).as_ref().into(), session.seq))
    }
}

/// Puts key and stream together. Where they name different sessions the stream wins: its READY is
/// stored, and the key is written only after. `gap` is the last message, if it is one and is readable.
pub fn resume_point(
    stored: Option<StoredSession>,
    last: &Last,
    gap: Option<&Gap>,
    ready: Option<Ready>,
) -> ResumePoint {
    let stored = stored.filter(|stored| !stored.session.is_empty());
    let stored = stored.map(believed);
    let Last::Message(sequence, id) = last else {
        return ResumePoint {
            session: stored,
            ..ResumePoint::default()
        };
    };
    let over = ResumePoint {
        last: *sequence,
        ..ResumePoint::default()
    };
    let Some((name, seq, part)) = parse_id(id) else {
        return over;
    };
    // As an earlier release stored it, that believed any number.
    let seq = Some(seq).filter(|seq| *seq <= track::HIGHEST);
    let seq = seq.unwrap_or_default();
    let same = stored.filter(|stored| session_name(&stored.id) == name);
    // After the word that a session was lost, nothing of it comes back: unless it lives on, as behind
    // a hole, and then its own events stand behind the gap or are replayed, or its key says so.
    let lives = match part {
        Part::GapWithin(_) => true,
        // As an earlier release named it.
        _ => gap.is_some_and(|gap| gap.reason.session_lives()),
    };
    // What came before any READY never was a session, whatever a key says of its name.
    let stray = gap.is_some_and(|gap| gap.reason == GapReason::BeforeReady);
    let behind = same.as_ref().is_none_or(|stored| stored.seq <= seq);
    if part.is_gap() && (behind || stray) && !lives {
        return over;
    }
    let same = same.or_else(|| {
        ready
            .filter(|ready| session_name(&ready.session_id) == name)
            .map(|ready| Session {
                id: ready.session_id,
                resume_url: ready.resume_gateway_url,
                seq,
            })
    });
    // Who named it by a hash knows no more; Discord refuses that, and so the loss is said.
    let session = same.unwrap_or_else(|| Session {
        id: session_id(name).unwrap_or_else(|| name.to_owned()),
        resume_url: String::new(),
        seq,
    });
    ResumePoint {
        // Behind the word that the stream was lost the numbers go on without a hole.
        hole_told: part.is_gap() && behind && !gap.is_some_and(Gap::is_of_stream),
        unnumbered: match part {
            Part::Unnumbered(count) if behind => count,
            _ => 0,
        },
        session: Some(Session {
            seq: session.seq.max(seq),
            ..session
        }),
        ..over
    }
}

/// The session of a key, which a release before this one may have written, or a hand.
fn believed(stored: StoredSession) -> Session {
    Session {
        id: stored.session,
        resume_url: usable(stored.resume_url),
        seq: Some(stored.seq)
            .filter(|seq| *seq <= track::HIGHEST)
            .unwrap_or_default(),
    }
}

/// The last READY of a shard in the stream, from its leader.
///
/// # Errors
/// Where the leader does not answer.
pub async fn last_ready(broker: &Broker, stream: &str, shard: ShardId) -> Result<Option<Ready>> {
    use async_nats::jetstream::stream::LastRawMessageErrorKind::NoMessageFound;
    let stream = broker.jetstream.get_stream_no_info(stream).await?;
    let subject = broker.names.event(shard, "READY");
    match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(message) => Ok(ready(&message.payload)),
        Err(error) if error.kind() == NoMessageFound => Ok(None),
        Err(error) => Err(anyhow!(error)).context("cannot read the shard's last READY"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{gateway::track::Dispatch, wire::event::message_id};

    fn stored(session: &str, seq: u64) -> StoredSession {
        let (session, resume_url) = (session.to_owned(), "wss://key".to_owned());
        StoredSession {
            v: 1,
            session,
            resume_url,
            epoch: 1,
            seq,
            stream_at_ms: 0,
            stored: 0,
        }
    }

    fn session(id: &str, url: &str, seq: u64) -> Session {
        Session {
            id: id.to_owned(),
            resume_url: url.to_owned(),
            seq,
        }
    }

    fn message(id: &str) -> Last {
        Last::Message(9, id.to_owned())
    }

    #[test]
    fn the_higher_of_key_and_stream_counts() {
        let point = resume_point(Some(stored("a", 3)), &message("a:7"), None, None);
        assert_eq!(
            point,
            ResumePoint {
                session: Some(session("a", "wss://key", 7)),
                last: 9,
                ..ResumePoint::default()
            }
        );
        let point = resume_point(Some(stored("a", 12)), &message("a:7"), None, None);
        assert_eq!(point.session, Some(session("a", "wss://key", 12)));
    }

    #[test]
    fn a_session_that_only_the_stream_knows_is_resumed() {
        let ready = || {
            Some(Ready {
                session_id: "b".into(),
                resume_gateway_url: "wss://b".into(),
            })
        };
        let point = resume_point(Some(stored("a", 50)), &message("b:2"), None, ready());
        assert_eq!(point.session, Some(session("b", "wss://b", 2)));
        assert_eq!(
            resume_point(None, &message("c:2"), None, ready()).session,
            Some(session("c", "", 2))
        );
    }

    #[test]
    fn after_a_gap_nothing_is_resumed_unless_the_session_lived_on() {
        assert_eq!(
            resume_point(Some(stored("a", 7)), &message("a:7:gap"), None, None).session,
            None
        );
        let lived = resume_point(Some(stored("a", 8)), &message("a:7:gap"), None, None).session;
        assert_eq!(lived, Some(session("a", "wss://key", 8)));
    }

    #[test]
    fn after_a_hole_the_session_goes_on() {
        let last = message("a:7:gap");
        let hole = Gap::new(GapReason::Hole, "a", 7, 0);
        for key in [None, Some(stored("a", 1)), Some(stored("a", 7))] {
            let point = resume_point(key, &last, Some(&hole), None);
            let session = point.session.unwrap();
            assert_eq!((session.seq, point.hole_told), (7, true));
        }
        // Events behind the hole were dropped on purpose: the next hole is another one.
        let point = resume_point(Some(stored("a", 12)), &last, Some(&hole), None);
        assert_eq!((point.session.unwrap().seq, point.hole_told), (12, false));
        // Behind the loss of the stream the numbers have no hole: one that follows is told.
        let of_stream = Gap::new(GapReason::StreamLost, "a", 7, 0);
        let point = resume_point(Some(stored("a", 3)), &last, Some(&of_stream), None);
        assert_eq!((point.session.unwrap().seq, point.hole_told), (7, false));
        for reason in GapReason::ALL.into_iter().filter(|r| !r.session_lives()) {
            let gap = Gap::new(reason, "a", 7, 0);
            let point = resume_point(Some(stored("a", 7)), &last, Some(&gap), None);
            assert_eq!(
                (point.session, point.hole_told),
                (None, false),
                "{reason:?}"
            );
        }
    }

    #[test]
    fn a_quiet_shard_is_served_by_its_key() {
        let point = resume_point(Some(stored("a", 7)), &Last::Nothing, None, None);
        assert_eq!(
            point,
            ResumePoint {
                session: Some(session("a", "wss://key", 7)),
                ..ResumePoint::default()
            }
        );
        assert_eq!(
            resume_point(None, &Last::Nothing, None, None),
            ResumePoint::default()
        );
    }

    #[test]
    fn behind_an_event_without_a_number_the_count_goes_on() {
        let last = message("a:7:+2");
        for key in [None, Some(stored("a", 5)), Some(stored("a", 7))] {
            let point = resume_point(key, &last, None, None);
            assert_eq!(
                (point.session.as_ref().unwrap().seq, point.unnumbered),
                (7, 2)
            );
            let came = point.track().dispatch(None, b"");
            assert_eq!(came, Dispatch::Unnumbered(3));
        }
        let point = resume_point(Some(stored("a", 8)), &last, None, None);
        assert_eq!((point.session.unwrap().seq, point.unnumbered), (8, 0));
    }

    /// RESUME names the session as Discord did, whatever its messages are called.
    #[test]
    fn a_session_of_any_name_is_resumed_by_that_name() {
        let long = "é".repeat(200);
        for id in ["a:b", "cr\r\nlf", "50%", "a:7:gap", " ", &long] {
            let last = message(&message_id(&session_name(id), 7));
            let resumed = |key, ready| resume_point(key, &last, None, ready).session.unwrap().id;
            assert_eq!(resumed(Some(stored(id, 3)), None), id);
            let ready = || Ready {
                session_id: id.to_owned(),
                resume_gateway_url: String::new(),
            };
            assert_eq!(resumed(Some(stored("other", 3)), Some(ready())), id);
            if id != long {
                assert_eq!(resumed(None, None), id);
            }
        }
    }

    #[test]
    fn what_came_before_any_ready_is_not_resumed() {
        let gap = Gap::new(GapReason::BeforeReady, "unnamed-5-1", 0, 0);
        for key in [None, Some(stored("a", 7)), Some(stored("unnamed-5-1", 7))] {
            let point = resume_point(key, &message("unnamed-5-1:0:gap"), Some(&gap), None);
            assert_eq!((point.session, point.last), (None, 9));
        }
    }

    #[test]
    fn a_key_that_cannot_be_right_is_not_believed() {
        let mut key = stored("a", u64::MAX);
        key.resume_url = "not a url".to_owned();
        let point = resume_point(Some(key.clone()), &message("a:7"), None, None);
        assert_eq!(point.session, Some(session("a", "", 7)));
        let point = resume_point(Some(key), &Last::Nothing, None, None);
        assert_eq!(point.session, Some(session("a", "", 0)));
    }
}
