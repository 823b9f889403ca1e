//! The loop between a lease's state and its key.

use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    Held,
    state::{Found, MARGIN, Outcome, State, Step},
};
use crate::{
    broker::{
        Broker,
        bucket::{Bucket, KvError},
    },
    clock::{self, Boottime},
    fleet::Epoch,
    supervise,
    telemetry::seldom::Seldom,
    wire,
};

/// What its task is called.
pub const TASK: &str = "lease";

/// Who holds a lease, and where it is kept.
#[derive(Clone)]
pub struct Owner {
    /// To be told when its server does not answer.
    pub broker: Broker,
    /// The lease bucket.
    pub bucket: Bucket,
    /// For people.
    pub process: String,
    /// The bucket's `max_age`.
    pub ttl: Duration,
}

/// Bids for one lease and keeps it. Dropped, it gives the lease up without anybody waiting for that.
pub struct Keeper {
    held: watch::Receiver<Option<Held>>,
    release: CancellationToken,
    task: JoinHandle<()>,
    /// To give up what a keeper that broke has left.
    left: Left,
}

/// A lease that nobody keeps any more, as its holder remembers it.
#[derive(Clone)]
struct Left {
    bucket: Bucket,
    key: String,
    nonce: String,
    ttl: Duration,
}

/// What gives a lost lease back is called so.
const RELEASE: &str = "lease-release";
/// A lost lease is looked for this often …
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// … and so many times without being found: a renewal that waited in the connection lands behind the first.
const LOOKS: u32 = 3;

impl Left {
    /// A renewal that was under way as the lease was lost may be applied when NATS is back, and keep everybody
    /// out for the lease's whole time though nobody uses it. It is taken back; of a holder that bids again
    /// only what it had written by then.
    async fn release(self, upto: u64) {
        let until = clock::now() + self.ttl;
        let mut looks = 0;
        while clock::now() < until && looks < LOOKS {
            let lost = |value: &Value, _| value.owner == self.nonce && value.write <= upto;
            match release(&self.bucket, &self.key, lost).await {
                Ok(true) => return,
                Ok(false) => looks += 1,
                Err(_) => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// The process that a lease's value names; none where it is unreadable.
pub fn holder(value: &[u8]) -> Option<String> {
    wire::decode::<Value>(value).ok().map(|value| value.process)
}

/// What the key holds.
#[derive(Debug, Serialize, Deserialize)]
struct Value {
    v: u32,
    owner: String,
    write: u64,
    process: String,
    epoch: u64,
}

impl Keeper {
    /// Bids for `key` until it holds it, and again whenever it has lost it.
    pub fn campaign(owner: Owner, key: String) -> Self {
        Self::start(owner, key, true)
    }

    /// Bids until it holds `key` or another does; what is lost is not bid for again.
    pub fn bid(owner: Owner, key: String) -> Self {
        Self::start(owner, key, false)
    }

    /// What is held, as it changes. None while nothing is; closed when the keeper has ended.
    pub fn held(&self) -> watch::Receiver<Option<Held>> {
        self.held.clone()
    }

    /// True once it neither holds nor bids any more.
    pub fn ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Deletes the key by revision, so that the next owner need not wait. The lease must not be
    /// used any more.
    pub async fn release(mut self) {
        self.release.cancel();
        if (&mut self.task).await.is_err() {
            // It panicked: what it wrote last is to be found in the key alone.
            let Left {
                bucket, key, nonce, ..
            } = &self.left;
            release_where(bucket, key, |value, _| value.owner == *nonce).await;
        }
    }

    /// The lease was lost, and nothing runs under it any more: its key is not left to stand for its time.
    pub fn release_lost(&self) {
        drop(supervise::helper(
            RELEASE,
            self.left.clone().release(u64::MAX),
        ));
    }

    fn start(owner: Owner, key: String, persistent: bool) -> Self {
        let (sender, held) = watch::channel(None);
        let release = CancellationToken::new();
        let nonce = format!("{:016x}", rand::rng().random::<u64>());
        let left = Left {
            bucket: owner.bucket.clone(),
            key: key.clone(),
            nonce: nonce.clone(),
            ttl: owner.ttl,
        };
        let run = Run {
            left: left.clone(),
            owner,
            key,
            nonce,
            sender,
            failures: Seldom::default(),
        };
        let keep = run.keep(persistent, release.clone());
        let task = tokio::spawn(supervise::named(TASK, keep));
        Self {
            held,
            release,
            task,
            left,
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.release.cancel();
    }
}

/// Gives up a lease whose keeper is gone with its thread, if `process` still has it by the acquisition of
/// `epoch`: another's, or a later one, is left alone.
pub async fn give_up_of(bucket: &Bucket, key: &str, process: &str, epoch: Epoch) {
    let acquired = |value: &Value, revision| {
        value.epoch == epoch.0 || (value.epoch == 0 && revision == epoch.0)
    };
    release_where(bucket, key, |value, revision| {
        value.process == process && acquired(value, revision)
    })
    .await;
}

/// Deletes the key as it stands, if it is the one meant: true.
async fn release(
    bucket: &Bucket,
    key: &str,
    meant: impl Fn(&Value, u64) -> bool,
) -> Result<bool, KvError> {
    let Some(entry) = bucket.get(key).await? else {
        return Ok(false);
    };
    let value = wire::decode::<Value>(&entry.value);
    let is_meant = value.is_ok_and(|value| meant(&value, entry.revision));
    if is_meant {
        bucket.delete(key, entry.revision).await?;
    }
    Ok(is_meant)
}

/// The same, where nobody can do anything about a failure.
async fn release_where(bucket: &Bucket, key: &str, meant: impl Fn(&Value, u64) -> bool) {
    // Unanswered, it is gone with its time all the same.
    if let Err(error) = release(bucket, key, meant).await {
        tracing::warn!(lease = key, "could not release {key}: {error}");
    }
}

struct Run {
    left: Left,
    owner: Owner,
    key: String,
    nonce: String,
    sender: watch::Sender<Option<Held>>,
    failures: Seldom,
}

impl Run {
    async fn keep(self, persistent: bool, release: CancellationToken) {
        let mut state = State::new(self.owner.ttl, persistent, clock::boottime());
        // A write under way is never dropped: its revision is what releases the lease.
        let mut holds = false;
        while !release.is_cancelled() {
            let now = clock::boottime();
            let step = state.step(now);
            self.show(&state, now);
            let held = std::mem::replace(&mut holds, state.held(now).is_some());
            if persistent && held && !holds {
                self.give_back(state.writes());
            }
            match step {
                Step::End => return,
                Step::Wait(until) => tokio::select! {
                    () = release.cancelled() => {}
                    () = sleep_until(until) => {}
                },
                step => self.carry_out(step, &mut state).await,
            }
        }
        self.sender.send_replace(None);
        if let Some(revision) = state.revision() {
            // Unanswered, it is gone with its time all the same.
            if let Err(error) = self.owner.bucket.delete(&self.key, revision).await {
                tracing::warn!(lease = self.key, "could not release {}: {error}", self.key);
            }
        }
    }

    /// It bids again, and its own key would stand in its way.
    fn give_back(&self, writes: u64) {
        let left = self.left.clone();
        let releasing = async move {
            // Whoever acts under the lease has stopped by then.
            tokio::time::sleep(MARGIN).await;
            left.release(writes).await;
        };
        drop(supervise::helper(RELEASE, releasing));
    }

    async fn carry_out(&self, step: Step, state: &mut State) {
        match step {
            Step::End | Step::Wait(_) => {}
            Step::Bid(write) => {
                let value = self.value(write, 0);
                let outcome = outcome(&self.owner.bucket.create(&self.key, value).await);
                state.wrote(outcome, clock::boottime());
            }
            Step::Renew { revision, write } => {
                let epoch = state.held(clock::boottime()).map_or(0, |held| held.epoch.0);
                let value = self.value(write, epoch);
                let result = self.owner.bucket.update(&self.key, value, revision).await;
                if let Err(error) = &result
                    && !matches!(error, KvError::Conflict)
                {
                    if let Some(more) = self.failures.one_more(clock::now()) {
                        tracing::warn!(
                            lease = self.key,
                            more,
                            "a renewal of {}: {error}",
                            self.key
                        );
                    }
                    // A server that says so at once is not frozen; the look that follows tells the rest.
                    if matches!(error, KvError::Unknown(_)) {
                        self.owner.broker.suspect().await;
                    }
                }
                state.wrote(outcome(&result), clock::boottime());
            }
            Step::Look => {
                let found = match self.owner.bucket.get(&self.key).await {
                    Ok(None) => Found::Nothing,
                    Ok(Some(entry)) => match wire::decode::<Value>(&entry.value) {
                        Ok(value) if value.owner == self.nonce => Found::Ours {
                            revision: entry.revision,
                            write: value.write,
                        },
                        _ => Found::Other,
                    },
                    Err(KvError::Missing(_)) => Found::NoBucket,
                    Err(_) => {
                        self.owner.broker.suspect().await;
                        Found::NoAnswer
                    }
                };
                state.saw(found, clock::boottime());
            }
        }
    }

    fn value(&self, write: u64, epoch: u64) -> Bytes {
        wire::encode(&Value {
            v: wire::VERSION,
            owner: self.nonce.clone(),
            write,
            process: self.owner.process.clone(),
            epoch,
        })
    }

    fn show(&self, state: &State, now: Boottime) {
        let held = state.held(now);
        self.sender
            .send_if_modified(|shown| std::mem::replace(shown, held) != held);
    }
}

fn outcome(result: &Result<u64, KvError>) -> Outcome {
    match result {
        Ok(revision) => Outcome::Applied(*revision),
        Err(KvError::Conflict) => Outcome::Refused,
        Err(_) => Outcome::Unknown,
    }
}

async fn sleep_until(until: Boottime) {
    // A suspended machine's timers stand still: look at the other clock at least twice a second.
    let jitter = rand::rng().random_range(0..100);
    let left = until.since(clock::boottime());
    let nap = left.min(Duration::from_millis(500)) + Duration::from_millis(jitter).min(left / 8);
    tokio::time::sleep(nap).await;
}
