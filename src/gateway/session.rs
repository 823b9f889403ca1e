//! The resume point of a shard: its session's key, and the last message of the stream.
//!
//! The stream is the write-ahead log. The key adds the resume URL, and a sequence for shards whose
//! last message was evicted or whose events are dropped on purpose.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;

use super::{forward::Last, remembered::Known, track::Session};
use crate::{
    broker::{
        Broker,
        bucket::{Bucket, KvError},
    },
    fleet::{Epoch, ShardId},
    subject,
    wire::{
        self, VERSION,
        event::{Gap, parse_message_id},
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
    written: Option<Session>,
    /// As it was last read, or was to be written.
    known: Option<Session>,
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
                known: stored.clone().map(Session::from),
            },
            stored.map(|session| Known { session, at_ms }),
        ))
    }

    /// Writes again what stood there last: the bucket has lost it.
    pub async fn restore(&mut self) {
        self.written = None;
        if let Some(session) = self.known.clone() {
            self.keep(&session).await;
        }
    }

    /// Keeps the session, unless it stands there already. Another owner's word is left alone.
    pub async fn keep(&mut self, session: &Session) {
        if self.written.as_ref() == Some(session) {
            return;
        }
        self.known = Some(session.clone());
        match self.write(session).await {
            Ok(revision) => {
                self.revision = Some(revision);
                self.written = Some(session.clone());
            }
            // The stream alone serves until the next try.
            Err(error) => tracing::warn!(key = self.key, "could not keep {}: {error}", self.key),
        }
    }

    async fn write(&mut self, session: &Session) -> Result<u64, KvError> {
        let value = wire::encode(&StoredSession {
            v: VERSION,
            session: session.id.clone(),
            resume_url: session.resume_url.clone(),
            epoch: self.epoch.0,
            seq: session.seq,
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
#[derive(Debug, PartialEq, Eq)]
pub struct ResumePoint {
    /// The session to RESUME; none: IDENTIFY.
    pub session: Option<Session>,
    /// The stream sequence of the shard's last message; 0: none.
    pub last: u64,
    /// That message says that a hole follows the session's sequence.
    pub hole_told: bool,
}

impl ResumePoint {
    /// The session and the sequence up to which the stream holds the shard; `lost`: held it, and does not.
    pub fn stored(&self, lost: bool) -> Option<(Arc<str>, u64)> {
        let session = self.session.as_ref().filter(|_| lost || self.last > 0)?;
        Some((session.id.as_str().into(), session.seq))
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
    let Last::Message(sequence, id) = last else {
        let session = stored.map(|s| Session {
            id: s.session,
            resume_url: s.resume_url,
            seq: s.seq,
        });
        let (last, hole_told) = (0, false);
        return ResumePoint {
            session,
            last,
            hole_told,
        };
    };
    let point = |session| ResumePoint {
        session,
        last: *sequence,
        hole_told: false,
    };
    let Some((session, seq)) = parse_message_id(id) else {
        return point(None);
    };
    let same = stored.filter(|stored| stored.session == session);
    // After the word that a session was lost, nothing of it comes back: unless it lives on, as behind
    // a hole, and then its own events stand behind the gap or are replayed, or its key says so.
    let lives = gap.is_some_and(|gap| gap.reason.session_lives());
    let behind = same.as_ref().is_none_or(|stored| stored.seq <= seq);
    if id.ends_with(":gap") && behind && !lives {
        return point(None);
    }
    let url = same.as_ref().map(|stored| stored.resume_url.clone());
    let url = url.or_else(|| {
        ready
            .filter(|r| r.session_id == session)
            .map(|r| r.resume_gateway_url)
    });
    ResumePoint {
        // Behind the word that the stream was lost the numbers go on without a hole.
        hole_told: id.ends_with(":gap") && behind && !gap.is_some_and(Gap::is_of_stream),
        ..point(Some(Session {
            id: session.to_owned(),
            resume_url: url.unwrap_or_default(),
            seq: same.map_or(seq, |stored| stored.seq.max(seq)),
        }))
    }
}

/// What a READY says of its session.
///
/// <https://discord.com/developers/docs/events/gateway-events#ready>
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Ready {
    /// The session.
    pub session_id: String,
    /// Where to RESUME it.
    pub resume_gateway_url: String,
}

/// Reads a READY's payload; none where it is not one.
pub fn ready(payload: &[u8]) -> Option<Ready> {
    #[derive(Deserialize)]
    struct Payload {
        d: Ready,
    }
    serde_json::from_slice::<Payload>(payload)
        .ok()
        .map(|payload| payload.d)
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
    use crate::wire::event::GapReason;

    fn stored(session: &str, seq: u64) -> StoredSession {
        let (session, resume_url) = (session.to_owned(), "wss://key".to_owned());
        StoredSession {
            v: 1,
            session,
            resume_url,
            epoch: 1,
            seq,
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
                hole_told: false
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
                last: 0,
                hole_told: false
            }
        );
        assert_eq!(
            resume_point(None, &Last::Nothing, None, None),
            ResumePoint {
                session: None,
                last: 0,
                hole_told: false
            }
        );
    }

    #[test]
    fn a_ready_says_where_to_resume() {
        let payload = br#"{"t":"READY","s":1,"op":0,"d":{"v":10,"session_id":"a","resume_gateway_url":"wss://r"}}"#;
        assert_eq!(ready(payload).unwrap().resume_gateway_url, "wss://r");
        assert_eq!(ready(b"{}"), None);
    }
}
