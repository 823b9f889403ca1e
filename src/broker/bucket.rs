//! A key-value bucket with revisions; reads go to the stream's leader.
//!
//! The library's own `get` may be answered by a replica that lags (up to a tenth of reads right
//! after a write were stale): never decide by it.

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use async_nats::jetstream::{self, kv, stream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::unfold};

use super::Broker;

/// How long a write waits for its answer before it counts as unknown.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause before a watch that was lost is opened again.
const OPEN_AGAIN: Duration = Duration::from_millis(500);

/// One bucket; clones share it.
#[derive(Clone)]
pub struct Bucket(Arc<Inner>);

struct Inner {
    name: String,
    store: kv::Store,
    stream: stream::Stream<()>,
}

/// A value with the revision it was written at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The bytes.
    pub value: Bytes,
    /// Grows with every write to the bucket.
    pub revision: u64,
}

/// Why a write was not made, or may not have been.
#[derive(Debug)]
pub enum KvError {
    /// Another revision stands: somebody else wrote.
    Conflict,
    /// May or may not have been applied: read it back.
    Unknown(anyhow::Error),
}

impl std::fmt::Display for KvError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Conflict => f.write_str("another revision stands"),
            Self::Unknown(source) => write!(f, "unknown outcome: {source:#}"),
        }
    }
}

impl std::error::Error for KvError {}

impl Bucket {
    /// Opens a bucket that exists.
    ///
    /// # Errors
    /// Where it does not, or NATS is away.
    pub async fn open(broker: &Broker, name: &str) -> Result<Self, KvError> {
        let store = broker
            .jetstream
            .get_key_value(name)
            .await
            .map_err(unknown)?;
        let stream_name = format!("KV_{name}");
        let stream = broker
            .jetstream
            .get_stream_no_info(stream_name)
            .await
            .map_err(unknown)?;
        Ok(Self(Arc::new(Inner {
            name: name.to_owned(),
            store,
            stream,
        })))
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
            })),
            Err(error) if error.kind() == stream::LastRawMessageErrorKind::NoMessageFound => {
                Ok(None)
            }
            Err(error) => Err(unknown(error)),
        }
    }

    /// Writes a key that must not be there. Returns its revision.
    ///
    /// # Errors
    /// [`KvError::Conflict`] where it is.
    pub async fn create(&self, key: &str, value: Bytes) -> Result<u64, KvError> {
        let create = self.0.store.create(key, value);
        match limited(create).await? {
            Ok(revision) => Ok(revision),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => {
                Err(KvError::Conflict)
            }
            Err(error) => Err(unknown(error)),
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
        limited(self.0.store.update(key, value, revision))
            .await?
            .map_err(update_error)
    }

    /// Deletes one revision.
    ///
    /// # Errors
    /// [`KvError::Conflict`] where another stands.
    pub async fn delete(&self, key: &str, revision: u64) -> Result<(), KvError> {
        let delete = self.0.store.delete_expect_revision(key, Some(revision));
        limited(delete).await?.map_err(update_error)
    }

    /// The value of a key now and after every change; none while it is not there.
    ///
    /// # Errors
    /// Where NATS does not answer.
    pub async fn watch(
        &self,
        key: &str,
    ) -> Result<impl Stream<Item = Option<Entry>> + Send + Unpin + use<>, KvError> {
        Ok(self.watch_all(key).await?.map(|(_, entry)| entry))
    }

    /// The same for every key that a pattern names. A key that expires is not told. It never ends: where the
    /// watch is lost it is opened again, and then tells every key once more.
    ///
    /// # Errors
    /// Where NATS does not answer.
    pub async fn watch_all(
        &self,
        pattern: &str,
    ) -> Result<impl Stream<Item = (String, Option<Entry>)> + Send + Unpin + use<>, KvError> {
        let first = self.changes(pattern).await?;
        let from = (self.clone(), pattern.to_owned(), Some(first));
        let told = unfold(from, async |(bucket, pattern, mut changes)| {
            loop {
                let Some(open) = &mut changes else {
                    tokio::time::sleep(OPEN_AGAIN).await;
                    changes = bucket.changes(&pattern).await.ok();
                    continue;
                };
                // The library panics where a watch is polled after an error: it is left at the first one.
                if let Some(Ok(entry)) = open.next().await {
                    let value = (entry.operation == kv::Operation::Put).then_some(Entry {
                        value: entry.value,
                        revision: entry.revision,
                    });
                    return Some(((entry.key, value), (bucket, pattern, changes)));
                }
                tracing::debug!("a watch of {pattern} was lost; it is opened again");
                changes = None;
            }
        });
        Ok(Box::pin(told))
    }

    async fn changes(&self, pattern: &str) -> Result<kv::Watch, KvError> {
        let store = &self.0.store;
        store.watch_with_history(pattern).await.map_err(unknown)
    }
}

/// True for the marker that stands for a deleted key.
fn is_marker(headers: &async_nats::HeaderMap) -> bool {
    headers.get("KV-Operation").is_some() || headers.get("Nats-Marker-Reason").is_some()
}

async fn limited<T>(write: impl Future<Output = T>) -> Result<T, KvError> {
    tokio::time::timeout(WRITE_TIMEOUT, write)
        .await
        .map_err(unknown)
}

fn update_error(error: kv::UpdateError) -> KvError {
    if error.kind() == kv::UpdateErrorKind::WrongLastRevision {
        KvError::Conflict
    } else {
        unknown(error)
    }
}

fn unknown(error: impl std::error::Error + Send + Sync + 'static) -> KvError {
    KvError::Unknown(anyhow!(error))
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
