//! A watch of a bucket that outlives its consumer: opened anew whenever it was lost, so that whoever
//! hears need not know.
//!
//! A watch dies with its consumer: when the bucket is deleted or made anew, when the server restarts, in
//! silence for ten seconds at best. The library's own panics when it is polled after an error. So it is
//! left at its first error, at every new connection, and whenever the bucket has lost what was in it; and
//! one that is silent is looked after.

use std::time::Duration;

use async_nats::jetstream::kv;
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Broker,
    bucket::{Bucket, Entry, KvError, unix_ms},
    loss::{DOUBT, Mark},
    upkeep::mark,
};
use crate::{clock, supervise};

/// What its task is called.
const TASK: &str = "watch";

/// How long a watch is silent before somebody looks whether it still is one.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The pause before a watch that was lost, or could not be opened, is opened.
const AGAIN: Duration = Duration::from_millis(500);
/// Words that wait to be heard.
const WORDS: usize = 64;

/// What a watch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is open, for the first time or again: every key that is there is told after this. A key that is
    /// not told is not there.
    Opened {
        /// The bucket is not the one that was watched before, or is an older copy of it.
        anew: bool,
        /// When it was made, in milliseconds since the Unix epoch, by the server's clock.
        made_ms: u64,
        /// Over which connection, counted.
        connection: u64,
    },
    /// The value of a key, or none: it was deleted, or was not there.
    Key(String, Option<Entry>),
}

/// One watch.
pub struct Watch {
    heard: mpsc::Receiver<Heard>,
    broker: Broker,
    /// Over which connection the words come that were heard last.
    connection: Option<u64>,
    _watching: AbortOnDropHandle<()>,
}

impl Watch {
    /// Of every key that a pattern names.
    pub(super) fn pattern(bucket: Bucket, pattern: &str) -> Self {
        Self::start(bucket, pattern, None)
    }

    /// Of one key: it is told also where it is not there.
    pub(super) fn key(bucket: Bucket, key: &str) -> Self {
        Self::start(bucket, key, Some(key.to_owned()))
    }

    fn start(bucket: Bucket, pattern: &str, key: Option<String>) -> Self {
        let (words, heard) = mpsc::channel(WORDS);
        let broker = bucket.0.broker.clone();
        let watching = Watching {
            connects: broker.connects(),
            bucket,
            pattern: pattern.to_owned(),
            key,
            words,
            mark: None,
        };
        Self {
            heard,
            broker,
            connection: None,
            _watching: AbortOnDropHandle::new(supervise::helper(TASK, watching.run())),
        }
    }

    /// Waits for the next word; it never ends. Nothing is lost where this is dropped.
    pub async fn next(&mut self) -> Heard {
        let Some(heard) = self.heard.recv().await else {
            return std::future::pending().await;
        };
        if let Heard::Opened { connection, .. } = &heard {
            self.connection = Some(*connection);
        }
        heard
    }

    /// False from the loss of a connection until the watch is open over the next one: what was heard may
    /// be of a bucket that is not there any more.
    pub fn is_current(&self) -> bool {
        self.broker.connected() && self.connection == Some(*self.broker.connects.borrow())
    }
}

/// Why a watch is left.
enum Left {
    /// It is to be opened again.
    Lost,
    /// Nobody listens.
    Unheard,
}

struct Watching {
    bucket: Bucket,
    pattern: String,
    /// None where the pattern names several.
    key: Option<String>,
    words: mpsc::Sender<Heard>,
    connects: watch::Receiver<u64>,
    /// The bucket as it was seen last.
    mark: Option<Mark>,
}

impl Watching {
    async fn run(mut self) {
        let mut losses = self.bucket.losses();
        loop {
            let watched = tokio::select! {
                watched = self.watch() => watched,
                _ = losses.lost() => Ok(Left::Lost),
            };
            match watched {
                Ok(Left::Unheard) => return,
                Ok(Left::Lost) => {}
                Err(error) => tracing::debug!("cannot watch {}: {error}", self.pattern),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn watch(&mut self) -> Result<Left, KvError> {
        let connection = *self.connects.borrow_and_update();
        let (mut changes, now) = self.open().await?;
        let anew = self.mark.is_some_and(|before| before.loss(&now).is_some());
        let made_ms = clock::ms_of(now.made);
        self.mark = Some(now);
        self.say(Heard::Opened {
            anew,
            made_ms,
            connection,
        })
        .await;
        // What the leader says counts: the watch may tell an older value after it.
        let mut told = self.look().await?;
        loop {
            if self.words.is_closed() {
                return Ok(Left::Unheard);
            }
            tokio::select! {
                change = changes.next() => {
                    let Some(Ok(change)) = change else { return Ok(Left::Lost) };
                    if told.is_some_and(|told| change.revision <= told) {
                        continue;
                    }
                    if self.key.is_some() {
                        told = Some(change.revision);
                    }
                    if let Some(mark) = &mut self.mark {
                        mark.last = mark.last.max(change.revision);
                    }
                    self.say(Heard::Key(change.key.clone(), value(change))).await;
                }
                _ = self.connects.changed() => return Ok(Left::Lost),
                () = tokio::time::sleep(LOOK_EVERY) => {
                    // A watch of many keys that is silent for so long: whether it is one is not known.
                    if self.key.is_none() {
                        return Ok(Left::Lost);
                    }
                    let found = self.found().await?;
                    if found.as_ref().map(|found| found.revision) != told {
                        return Ok(Left::Lost);
                    }
                }
            }
        }
    }

    async fn open(&self) -> Result<(kv::Watch, Mark), KvError> {
        let mut now = self.mark_now().await?;
        if self.mark.is_some_and(|before| before.is_cut_off(&now)) {
            // A leader that has just been elected may not know of the last ones yet.
            tokio::time::sleep(DOUBT).await;
            now = self.mark_now().await?;
        }
        let changes = self.bucket.0.store.watch_with_history(&self.pattern).await;
        let changes = changes.map_err(|error| self.bucket.unknown(error))?;
        Ok((changes, now))
    }

    async fn mark_now(&self) -> Result<Mark, KvError> {
        let info = self.bucket.0.stream.get_info().await;
        let info = info.map_err(|error| self.bucket.unknown(error))?;
        Ok(mark(&info))
    }

    /// Tells a single key as its leader knows it; its revision.
    async fn look(&self) -> Result<Option<u64>, KvError> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let found = self.found().await?;
        let revision = found.as_ref().map(|found| found.revision);
        self.say(Heard::Key(key.clone(), found)).await;
        Ok(revision)
    }

    async fn found(&self) -> Result<Option<Entry>, KvError> {
        match &self.key {
            Some(key) => self.bucket.get(key).await,
            None => Ok(None),
        }
    }

    async fn say(&self, heard: Heard) {
        // Whoever listens no more is noticed before the next wait.
        _ = self.words.send(heard).await;
    }
}

fn value(entry: kv::Entry) -> Option<Entry> {
    (entry.operation == kv::Operation::Put).then_some(Entry {
        value: entry.value,
        revision: entry.revision,
        at_ms: unix_ms(entry.created),
    })
}
