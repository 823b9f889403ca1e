//! Which streams and buckets of the fleet are missing or differ, and which have lost what was in them: told to
//! whoever wrote it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{bucket::stream_of, loss::Loss};

/// What this process knows; clones share it.
#[derive(Clone, Debug)]
pub struct Losses(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lost: watch::Sender<BTreeMap<String, Lost>>,
    missing: Mutex<BTreeSet<String>>,
    differing: Mutex<BTreeSet<String>>,
}

/// How often one stream has lost what was in it, since this process looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// In any way.
    pub times: u64,
    /// Of these, by a purge: what the stream holds of a shard does not tell.
    pub emptied: u64,
}

/// Hears of the losses of one stream.
#[derive(Clone, Debug)]
pub struct Hearing {
    stream: String,
    lost: watch::Receiver<BTreeMap<String, Lost>>,
    known: Lost,
}

impl Default for Losses {
    fn default() -> Self {
        Self(Arc::new(Inner {
            lost: watch::Sender::default(),
            missing: Mutex::default(),
            differing: Mutex::default(),
        }))
    }
}

impl Losses {
    /// Hears of a stream's losses from now on.
    pub fn of(&self, stream: &str) -> Hearing {
        let mut lost = self.0.lost.subscribe();
        let known = lost.borrow_and_update().get(stream).copied();
        Hearing {
            stream: stream.to_owned(),
            lost,
            known: known.unwrap_or_default(),
        }
    }

    /// The same of a bucket.
    pub fn of_bucket(&self, bucket: &str) -> Hearing {
        self.of(&stream_of(bucket))
    }

    /// The streams and buckets that are missing.
    pub fn missing(&self) -> Vec<String> {
        locked(&self.0.missing).iter().cloned().collect()
    }

    /// The streams and buckets that are there, and not as this process's configuration wants them.
    pub fn differing(&self) -> Vec<String> {
        locked(&self.0.differing).iter().cloned().collect()
    }

    /// A stream has lost what was in it.
    pub(super) fn tell(&self, stream: &str, how: Loss) {
        self.0.lost.send_modify(|lost| {
            let count = lost.entry(stream.to_owned()).or_default();
            count.times += 1;
            count.emptied += u64::from(how == Loss::Emptied);
        });
    }

    /// A stream or bucket is missing, or is not.
    pub(super) fn set_missing(&self, name: &str, missing: bool) {
        set(&self.0.missing, name, missing);
    }

    /// A stream or bucket differs from what is wanted, or does not.
    pub(super) fn set_differing(&self, name: &str, differs: bool) {
        set(&self.0.differing, name, differs);
    }
}

fn set(names: &Mutex<BTreeSet<String>>, name: &str, holds: bool) {
    if holds {
        locked(names).insert(name.to_owned());
    } else {
        locked(names).remove(name);
    }
}

fn locked(names: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hearing {
    /// What was lost since this was asked last; none: nothing. Costs one look at a number where nothing was.
    pub fn news(&mut self) -> Option<Lost> {
        if !self.lost.has_changed().unwrap_or(false) {
            return None;
        }
        let now = self.lost.borrow_and_update().get(&self.stream).copied();
        let now = now.unwrap_or_default();
        let before = std::mem::replace(&mut self.known, now);
        (now != before).then(|| Lost {
            times: now.times - before.times,
            emptied: now.emptied - before.emptied,
        })
    }

    /// Waits until something may have been lost, of this stream or of another: ask [`Hearing::news`].
    pub async fn changed(&mut self) {
        if self.lost.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        // It stays unseen, so that `news` finds it.
        self.lost.mark_changed();
    }

    /// Waits for a loss of this stream.
    pub async fn lost(&mut self) -> Lost {
        loop {
            if let Some(lost) = self.news() {
                return lost;
            }
            self.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_loss_is_heard_once_and_of_its_own_stream() {
        let losses = Losses::default();
        let mut mine = losses.of("A");
        assert_eq!(mine.news(), None);
        losses.tell("B", Loss::Anew);
        assert!(mine.lost().now_or_never().is_none());
        losses.tell("A", Loss::Anew);
        losses.tell("A", Loss::Emptied);
        let lost = mine.lost().now_or_never().unwrap();
        assert_eq!((lost.times, lost.emptied), (2, 1));
        assert_eq!((mine.news(), losses.of("A").news()), (None, None));
    }

    #[test]
    fn what_is_missing_or_differs_is_named_while_it_does() {
        let losses = Losses::default();
        losses.set_differing("B", true);
        losses.set_missing("A", true);
        losses.set_missing("A", true);
        assert_eq!(losses.missing(), ["A"]);
        losses.set_missing("A", false);
        assert!(losses.missing().is_empty());
        assert_eq!(losses.differing(), ["B"]);
        losses.set_differing("B", false);
        assert!(losses.differing().is_empty());
    }
}
