//! A key-value bucket with revisions; reads go to the stream's leader.
//!
//! The library's own `get` may be answered by a replica that lags (up to a tenth of reads right
//! after a write were stale): never decide by it.

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use async_nats::jetstream::{
    self, ErrorCode, context::PublishError, context::PublishErrorKind, kv, stream,
};
use bytes::Bytes;
use futures_util::Stream;

use super::{
    Broker, causes,
    losses::Hearing,
    start::Start,
    watch::{Heard, Watch},
};
use crate::clock;

/// How long a write waits for its answer before it counts as unknown.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// One bucket; clones share it.
#[derive(Clone)]
pub struct Bucket(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) broker: Broker,
    pub(super) name: String,
    pub(super) store: kv::Store,
    pub(super) stream: stream::Stream<()>,
}

/// A value with the revision it was written at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The bytes.
    pub value: Bytes,
    /// Grows with every write to the bucket.
    pub revision: u64,
    /// When it was written, in milliseconds since the Unix epoch, by the server's clock.
    pub at_ms: u64,
}

/// In milliseconds since the Unix epoch.
pub(super) fn unix_ms(at: time::OffsetDateTime) -> u64 {
    clock::ms_of(at.unix_timestamp_nanos())
}

/// Why a write was not made, or may not have been; or why a read was not answered.
#[derive(Debug)]
pub enum KvError {
    /// Another revision stands: somebody else wrote.
    Conflict,
    /// NATS has no such bucket.
    Missing(String),
    /// Nobody serves the bucket: it is missing, or has no leader just now. Nothing was written.
    Unserved(String),
    /// May or may not have been applied: read it back.
    Unknown(anyhow::Error),
}

impl std::fmt::Display for KvError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Conflict => f.write_str("another revision stands"),
            Self::Missing(bucket) => write!(f, "NATS has no bucket {bucket}"),
            Self::Unserved(bucket) => write!(
                f,
                "nobody serves the bucket {bucket}: it is missing, or has no leader just now"
            ),
            Self::Unknown(source) => write!(f, "unknown outcome: {}", causes::told(source.chain())),
        }
    }
}

impl std::error::Error for KvError {}

impl Bucket {
    /// Opens a bucket that exists. Where it is made anew later, this is the way to the new one.
    ///
    /// # Errors
    /// Where it does not, or NATS is away: with its name.
    pub async fn open(broker: &Broker, name: &str) -> Result<Self, KvError> {
        let jetstream = &broker.jetstream;
        let store = jetstream.get_key_value(name).await;
        let store = store.map_err(|error| unknown(name, error))?;
        let stream = jetstream.get_stream_no_info(stream_of(name)).await;
        let stream = stream.map_err(|error| unknown(name, error))?;
        Ok(Self(Arc::new(Inner {
            broker: broker.clone(),
            name: name.to_owned(),
            store,
            stream,
        })))
    }

    /// Hears when the bucket has lost what was in it.
    pub fn losses(&self) -> Hearing {
        self.0.broker.losses.of_bucket(&self.0.name)
    }

    /// The value of a key as its leader knows it; none if it was never written, deleted or has expired.
    ///
    /// # Errors
    /// [`KvError::Unknown`] where NATS does not answer.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, KvError> {
        let subject = format!("$KV.{}.{key}", self.0.name);
        match self
            .0
            .stream
            .get_last_raw_message_by_subject(&subject)
            .await
        {
            Ok(message) if is_marker(&message.headers) => Ok(None),
            Ok(message) => Ok(Some(Entry {
                value: message.payload,
                revision: message.sequence,
                at_ms: unix_ms(message.time),
            })),
            Err(error) if error.kind() == stream::LastRawMessageErrorKind::NoMessageFound => {
                Ok(None)
            }
            Err(error) if is_missing(&error) => Err(KvError::Missing(self.0.name.clone())),
            Err(error) => Err(unknown(&self.0.name, error)),
        }
    }

    /// Writes a key that must not be there. Returns its revision.
    ///
    /// # Errors
    /// [`KvError::Conflict`] where it is.
    pub async fn create(&self, key: &str, value: Bytes) -> Result<u64, KvError> {
        let create = self.0.store.create(key, value);
        match self.limited(create).await? {
            Ok(revision) => Ok(revision),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => {
                Err(KvError::Conflict)
            }
            Err(error) => Err(self.not_written(error)),
        }
    }

    /// Writes over the revision that was read, or a key that was not there. Returns the new one.
    ///
    /// # Errors
    /// [`KvError::Conflict`] where another stands.
    pub async fn write(&self, key: &str, value: Bytes, read: Option<u64>) -> Result<u64, KvError> {
        match read {
            Some(revision) => self.update(key, value, revision).await,
            None => self.create(key, value).await,
        }
    }

    /// Writes over one revision. Returns the new one.
    ///
    /// # Errors
    /// [`KvError::Conflict`] where another stands.
    pub async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<u64, KvError> {
        let update = self.0.store.update(key, value, revision);
        let updated = self.limited(update).await?;
        updated.map_err(|error| self.update_error(error))
    }

    /// Deletes one revision.
    ///
    /// # Errors
    /// [`KvError::Conflict`] where another stands.
    pub async fn delete(&self, key: &str, revision: u64) -> Result<(), KvError> {
        let delete = self.0.store.delete_expect_revision(key, Some(revision));
        let deleted = self.limited(delete).await?;
        deleted.map_err(|error| self.update_error(error))
    }

    /// The value of a key now and after every change; none while it is not there. Never ends: see [`Watch`].
    pub fn watch(&self, key: &str) -> impl Stream<Item = Option<Entry>> + Send + Unpin + use<> {
        let watch = Watch::key(self.clone(), key);
        Box::pin(futures_util::stream::unfold(watch, async |mut watch| {
            loop {
                if let Heard::Key(_, entry) = watch.next().await {
                    return Some((entry, watch));
                }
            }
        }))
    }

    /// What becomes of every key that a pattern names. A key that expires is not told.
    pub fn watch_all(&self, pattern: &str) -> Watch {
        Watch::pattern(self.clone(), pattern)
    }

    async fn limited<T>(&self, write: impl Future<Output = T>) -> Result<T, KvError> {
        let written = tokio::time::timeout(WRITE_TIMEOUT, write).await;
        written.map_err(|late| unknown(&self.0.name, late))
    }

    pub(super) fn unknown(&self, error: impl std::error::Error + Send + Sync + 'static) -> KvError {
        unknown(&self.0.name, error)
    }

    fn update_error(&self, error: kv::UpdateError) -> KvError {
        if error.kind() == kv::UpdateErrorKind::WrongLastRevision {
            KvError::Conflict
        } else {
            self.not_written(error)
        }
    }

    fn not_written(&self, error: impl std::error::Error + Send + Sync + 'static) -> KvError {
        if is_unserved(&error) {
            KvError::Unserved(self.0.name.clone())
        } else {
            unknown(&self.0.name, error)
        }
    }
}

/// Opens a bucket while a process starts: one time-out, or an election, does not end that.
///
/// # Errors
/// Where the start has taken too long; names the bucket.
pub async fn open(broker: &Broker, name: &str, start: &Start) -> anyhow::Result<Bucket> {
    let what = format!("the bucket {name}");
    let open = || async { Ok(Bucket::open(broker, name).await?) };
    start.get(&what, open).await
}

/// The stream that holds a bucket.
pub(super) fn stream_of(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// JetStream's own word that there is no such stream.
fn is_missing(error: &stream::LastRawMessageError) -> bool {
    matches!(error.kind(), stream::LastRawMessageErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// The server's word that nobody listens where the bucket is written.
fn is_unserved(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let publish = error.downcast_ref::<PublishError>();
        if publish.is_some_and(|error| error.kind() == PublishErrorKind::StreamNotFound) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// True for the marker that stands for a deleted key.
fn is_marker(headers: &async_nats::HeaderMap) -> bool {
    headers.get("KV-Operation").is_some() || headers.get("Nats-Marker-Reason").is_some()
}

fn unknown(bucket: &str, error: impl std::error::Error + Send + Sync + 'static) -> KvError {
    KvError::Unknown(anyhow!(error).context(format!("bucket {bucket}")))
}

/// What a bucket is made of; see [`super::provision`].
pub(super) fn config(name: &str, max_age: Duration, replicas: usize) -> kv::Config {
    kv::Config {
        bucket: name.to_owned(),
        history: 1,
        max_age,
        storage: jetstream::stream::StorageType::File,
        num_replicas: replicas,
        ..Default::default()
    }
}

/// The stream of a bucket, as the library makes it, but for where its revisions begin: above those of any
/// bucket of this name before. So an epoch grows although the bucket was lost, and what is new is told from
/// what is old by its revision alone.
pub(super) fn stream_config(bucket: &kv::Config, now_ms: u64) -> stream::Config {
    stream::Config {
        name: stream_of(&bucket.bucket),
        subjects: vec![format!("$KV.{}.>", bucket.bucket)],
        max_messages_per_subject: bucket.history,
        max_age: bucket.max_age,
        storage: bucket.storage,
        num_replicas: bucket.num_replicas,
        discard: stream::DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        first_sequence: Some(now_ms),
        ..Default::default()
    }
}
