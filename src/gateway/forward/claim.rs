//! The key that names a group's fast-ingest batch, so that whoever owns the group next can close it.

use anyhow::{Context, Result, bail};

use crate::{
    broker::bucket::{Bucket, KvError},
    fleet::{Epoch, GroupId},
    subject,
    wire::{self, VERSION, ingest::StoredBatch},
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
        let (stored, before) = match &entry {
            Some(entry) => {
                let stored = wire::decode::<StoredBatch>(&entry.value);
                let stored = stored.with_context(|| format!("cannot read the key {key}"))?;
                (stored.batch, stored.epoch)
            }
            None => (String::new(), 0),
        };
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
            let stored = wire::decode::<StoredBatch>(&entry.value);
            let stored = stored.with_context(|| format!("cannot read {}", self.key))?;
            if stored.epoch > self.epoch.0 {
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
