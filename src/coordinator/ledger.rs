//! Reads and writes the ledger, one at a time, by revision, as the bucket's leader knows it.

use tokio::sync::mpsc;

use super::leader::{Input, Unreadable, Written};
use crate::{
    broker::bucket::{Bucket, KvError},
    clock,
    subject::LEDGER,
    telemetry::seldom::Seldom,
    wire::{self, identify::Ledger},
};

/// What the leader wants of the ledger.
#[derive(Debug)]
pub(super) enum Job {
    Read,
    Write(Box<Ledger>, Option<u64>),
}

/// Does job after job and answers each, until nobody asks any more.
pub(super) async fn keep<H>(
    bucket: Bucket,
    mut jobs: mpsc::Receiver<Job>,
    answers: mpsc::Sender<Input<H>>,
) {
    let failures = Seldom::default();
    while let Some(job) = jobs.recv().await {
        let answer = match job {
            Job::Read => Input::Read(read(&bucket, &failures).await),
            Job::Write(ledger, over) => {
                Input::Wrote(write(&bucket, &ledger, over, &failures).await)
            }
        };
        if answers.send(answer).await.is_err() {
            return;
        }
    }
}

async fn read(bucket: &Bucket, failures: &Seldom) -> Result<Option<(Ledger, u64)>, Unreadable> {
    let entry = bucket.get(LEDGER).await.map_err(|error| {
        if let Some(more) = failures.one_more(clock::now()) {
            tracing::warn!(more, "cannot read the ledger of identifies: {error}");
        }
        Unreadable::Away
    })?;
    let Some(entry) = entry else { return Ok(None) };
    match wire::decode(&entry.value) {
        Ok(ledger) => Ok(Some((ledger, entry.revision))),
        Err(error) => {
            tracing::error!(
                "the ledger of identifies is not understood: {error}. Nothing is granted over it: \
                 run the release that wrote it, or delete the key {LEDGER} of the state bucket"
            );
            Err(Unreadable::Malformed)
        }
    }
}

async fn write(bucket: &Bucket, ledger: &Ledger, over: Option<u64>, failures: &Seldom) -> Written {
    let value = wire::encode(ledger);
    match bucket.write(LEDGER, value, over).await {
        Ok(revision) => Written::Applied(revision),
        Err(KvError::Conflict) => Written::Conflict,
        Err(error) => {
            if let Some(more) = failures.one_more(clock::now()) {
                tracing::warn!(more, "a write of the ledger is unanswered: {error}");
            }
            Written::Unknown
        }
    }
}
