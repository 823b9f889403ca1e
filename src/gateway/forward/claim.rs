//! The key that names a group's fast-ingest batch, so that whoever owns the group next can close it.

use anyhow::{Result, bail};

use crate::{
    broker::bucket::{Bucket, KvError},
    fleet::{Epoch, GroupId},
    subject,
    wire::{self, Malformed, VERSION, ingest::StoredBatch},
};

/// The key of one group.
pub struct BatchKey {
    bucket: Bucket,
    key: String,
    /// Of the key as last read or written; none: there is none.
    revision: Option<u64>,
    epoch: Epoch,
}

impl BatchKey {
    /// Reads the key from its leader: it, and the id of the last owner's batch.
    ///
    /// What is no name of a batch, as a hand may have written, is passed over and written anew.
    ///
    /// # Errors
    /// Where NATS does not answer, or the key is another release's.
    pub async fn open(
        bucket: Bucket,
        generation: u64,
        group: GroupId,
        epoch: Epoch,
    ) -> Result<(Self, String)> {
        let key = subject::ingest(generation, group);
        let entry = bucket.get(&key).await?;
        let stored = match &entry {
            Some(entry) => read(&key, &entry.value)?,
            None => None,
        };
        let (stored, before) =
            stored.map_or_else(Default::default, |stored| (stored.batch, stored.epoch));
        let revision = entry.map(|entry| entry.revision);
        Ok((
            Self {
                bucket,
                key,
                revision,
                epoch: epoch.above(before),
            },
            stored,
        ))
    }

    /// Names the next batch.
    ///
    /// # Errors
    /// Where NATS does not answer, or a later owner has named one.
    pub async fn write(&mut self, id: &str) -> Result<()> {
        if self.try_write(id).await? {
            return Ok(());
        }
        // An earlier write of ours was made, its answer lost; or the last owner's came late; or the bucket
        // was made anew.
        let found = self.bucket.get(&self.key).await?;
        if let Some(entry) = &found {
            let stored = read(&self.key, &entry.value)?;
            if stored.is_some_and(|stored| stored.epoch > self.epoch.0) {
                bail!("a later owner's batch is named in {}", self.key);
            }
        }
        self.revision = found.map(|entry| entry.revision);
        if self.try_write(id).await? {
            return Ok(());
        }
        bail!("the key {} had moved on", self.key)
    }

    /// False where the key is not as it was read.
    async fn try_write(&mut self, id: &str) -> Result<bool> {
        let batch = StoredBatch {
            v: VERSION,
            batch: id.to_owned(),
            epoch: self.epoch.0,
        };
        let value = wire::encode(&batch);
        match self.bucket.write(&self.key, value, self.revision).await {
            Ok(revision) => {
                self.revision = Some(revision);
                Ok(true)
            }
            Err(KvError::Conflict) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The last owner's word; none where it names no batch, which is said: a batch that is left open then ends at
/// the server, once nothing comes for it.
///
/// # Errors
/// A version out of this release's reach.
fn read(key: &str, value: &[u8]) -> Result<Option<StoredBatch>> {
    let why = match wire::decode::<StoredBatch>(value) {
        Ok(stored) if is_id(&stored.batch) => return Ok(Some(stored)),
        Ok(_) => "its batch is no id of one".to_owned(),
        Err(error @ Malformed::Version(_)) => bail!("cannot read the key {key}: {error}"),
        Err(error) => error.to_string(),
    };
    tracing::warn!(
        key,
        "the key {key} is unreadable, and is written anew: {why}"
    );
    Ok(None)
}

/// True for what may stand in a subject as one token; empty: there was none.
fn is_id(batch: &str) -> bool {
    batch.len() <= LONGEST
        && batch
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Ours are shorter.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_hand_wrote_names_no_batch() {
        let read = |value: &str| {
            let read = read("ingest.1.0", value.as_bytes()).unwrap();
            read.map(|stored| stored.batch)
        };
        let word = |batch: &str| format!(r#"{{"v":1,"batch":"{batch}","epoch":7}}"#);
        assert_eq!(read(&word("0aF-_")).as_deref(), Some("0aF-_"));
        assert_eq!(read(&word("")).as_deref(), Some(""));
        for none in ["a b", "a.b", "*", ">", "é", &"x".repeat(65)] {
            assert_eq!(read(&word(none)), None, "{none}");
        }
        for none in ["", "{}", "[]", "garbage"] {
            assert_eq!(read(none), None, "{none}");
        }
        let later = br#"{"v":9,"batch":"a","epoch":7}"#;
        assert!(super::read("ingest.1.0", later).is_err());
    }
}
