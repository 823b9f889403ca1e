//! How many parts are this worker's: all of them, divided by the workers that are there; what is left over
//! goes to the first of them by name.
//!
//! Each says every second that it is there, on a subject of their own. Nothing hangs on the count being
//! right: two workers that stand for the same part are told apart by the server.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use anyhow::Result;
use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

/// How often a worker says that it is there.
const SAY: Duration = Duration::from_secs(1);
/// A worker that was not heard for so long is not there.
const GONE: Duration = Duration::from_secs(3);

/// A worker's share of the parts.
pub(crate) struct Share {
    held: AtomicUsize,
    told: watch::Receiver<Told>,
}

/// What is known of the others.
#[derive(Clone, Copy)]
enum Told {
    /// So many parts are a fair share.
    Fair(usize),
    /// Somebody wants this worker to end.
    End,
}

impl Share {
    /// Says that a worker of this kind is there, until it is asked to end; returns once it has listened
    /// for others.
    ///
    /// # Errors
    /// Where NATS refuses the subscription.
    pub(crate) async fn begin(client: &Client, kind: &str, parts: u32) -> Result<Self> {
        let subject = |what: &str| format!("worker.{kind}.{what}");
        let (here, left) = (subject("here"), subject("left"));
        let mut heard = client.subscribe(subject("*")).await?;
        let mut asked_to_end = signal(SignalKind::terminate())?;
        let (id, client) = (client.new_inbox(), client.clone());
        let (tell, told) = watch::channel(Told::Fair(parts as usize));
        tokio::spawn(async move {
            let mut known = BTreeMap::new();
            let mut ticks = interval(SAY);
            let mut last = ticks.tick().await;
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    at = ticks.tick() => {
                        last = at;
                        // Without NATS there is nothing to share either.
                        _ = client.publish(here.clone(), id.clone().into()).await;
                        known.insert(Bytes::from(id.clone()), at);
                        known.retain(|_, heard| at.duration_since(*heard) < GONE);
                    }
                    Some(other) = heard.next() => {
                        if other.subject.as_str() == left {
                            known.remove(&other.payload);
                        } else {
                            // To the second is near enough.
                            known.insert(other.payload, last);
                        }
                    }
                    _ = asked_to_end.recv() => break,
                }
                tell.send_replace(Told::Fair(fair(parts as usize, &known, id.as_bytes())));
            }
            _ = client.publish(left, id.into()).await;
            tell.send_replace(Told::End);
        });
        sleep(SAY * 2).await;
        let held = AtomicUsize::new(0);
        Ok(Self { held, told })
    }

    /// A part is ours.
    pub(crate) fn take(&self) {
        self.held.fetch_add(1, SeqCst);
    }

    /// It is another's.
    pub(crate) fn lose(&self) {
        self.held.fetch_sub(1, SeqCst);
    }

    /// True if there are more than a fair share: then one counts as given back.
    pub(crate) fn give_back(&self) -> bool {
        let fair = self.fair();
        let fewer = |held: usize| (held > fair).then(|| held - 1);
        self.held.fetch_update(SeqCst, SeqCst, fewer).is_ok()
    }

    /// True if there are fewer than a fair share.
    pub(crate) fn has_room(&self) -> bool {
        self.held.load(SeqCst) < self.fair()
    }

    /// True once somebody asked this worker to end.
    pub(crate) fn is_over(&self) -> bool {
        matches!(*self.told.borrow(), Told::End)
    }

    fn fair(&self) -> usize {
        match *self.told.borrow() {
            Told::Fair(parts) => parts,
            Told::End => 0,
        }
    }
}

fn fair(parts: usize, known: &BTreeMap<Bytes, Instant>, id: &[u8]) -> usize {
    let before = known.keys().take_while(|other| ***other < *id).count();
    let workers = known.len().max(1);
    parts / workers + usize::from(before < parts % workers)
}
