//! What each shard of this process shows: written by its task, read by the status.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
};

use metrics::gauge;
use tokio::sync::watch;

use super::{forward::Progress, metrics as table};
use crate::{
    clock,
    fleet::ShardId,
    wire::status::{ShardState, ShardStatus},
};

/// A ready shard without an event for this long is silent.
const SILENT_AFTER_MS: u64 = 300_000;

/// One shard's gauge.
#[derive(Debug, Default)]
pub struct Gauge {
    state: AtomicU8,
    gaps: AtomicU32,
    last_event_ms: AtomicU64,
    /// What its publisher has stored.
    pub progress: Arc<Progress>,
    /// The other way: how often an operator had it connect anew, and how.
    reconnects: watch::Sender<Reconnects>,
}

/// Words of an operator to one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconnects {
    count: u64,
    /// The last one: with a new session.
    pub new_session: bool,
}

impl Gauge {
    /// Where the shard stands.
    pub fn state(&self, state: ShardState) {
        let index = ShardState::ALL
            .iter()
            .position(|s| *s == state)
            .unwrap_or_default();
        self.state
            .store(u8::try_from(index).unwrap_or_default(), Ordering::Relaxed);
    }

    /// An event came.
    pub fn event(&self) {
        self.last_event_ms
            .store(clock::unix_ms(), Ordering::Relaxed);
    }

    /// A gap was announced.
    pub fn gap(&self) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
    }

    /// Hears of an operator's words to connect anew.
    pub fn reconnects(&self) -> watch::Receiver<Reconnects> {
        self.reconnects.subscribe()
    }

    fn status(&self, shard: ShardId, now_ms: u64) -> ShardStatus {
        let state = usize::from(self.state.load(Ordering::Relaxed));
        let last = self.last_event_ms.load(Ordering::Relaxed);
        ShardStatus {
            shard: shard.0,
            state: ShardState::ALL.get(state).copied().unwrap_or_default(),
            events: self.progress.stored(),
            gaps: self.gaps.load(Ordering::Relaxed) + self.progress.lost(),
            quiet_ms: if last == 0 {
                0
            } else {
                now_ms.saturating_sub(last)
            },
        }
    }
}

/// The gauges of every shard that this process runs.
#[derive(Clone, Debug, Default)]
pub struct Gauges(Arc<Mutex<BTreeMap<ShardId, Arc<Gauge>>>>);

impl Gauges {
    /// A new gauge for a shard that begins to run here.
    pub fn add(&self, shard: ShardId) -> Arc<Gauge> {
        let gauge = Arc::<Gauge>::default();
        self.lock().insert(shard, Arc::clone(&gauge));
        gauge
    }

    /// The shard runs here no more; a gauge that has replaced this one stays.
    pub fn remove(&self, shard: ShardId, gauge: &Arc<Gauge>) {
        let mut gauges = self.lock();
        if gauges
            .get(&shard)
            .is_some_and(|known| Arc::ptr_eq(known, gauge))
        {
            gauges.remove(&shard);
        }
    }

    /// Every shard's status.
    pub fn statuses(&self) -> Vec<ShardStatus> {
        let now_ms = clock::unix_ms();
        self.lock()
            .iter()
            .map(|(shard, gauge)| gauge.status(*shard, now_ms))
            .collect()
    }

    /// Has a shard connect anew; false: it does not run here.
    pub fn reconnect(&self, shard: ShardId, new_session: bool) -> bool {
        let gauges = self.lock();
        let Some(gauge) = gauges.get(&shard) else {
            return false;
        };
        gauge.reconnects.send_modify(|last| {
            *last = Reconnects {
                count: last.count + 1,
                new_session,
            };
        });
        true
    }

    /// True if a shard receives events.
    pub fn ready(&self) -> bool {
        let mut shards = self.statuses().into_iter();
        shards.any(|shard| shard.state == ShardState::Ready)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ShardId, Arc<Gauge>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows the states as metrics.
pub fn show(statuses: &[ShardStatus]) {
    for state in ShardState::ALL {
        let count = statuses
            .iter()
            .filter(|status| status.state == state)
            .count();
        gauge!(table::SHARDS.name, "state" => state.as_str()).set(count as f64);
    }
    let silent = |status: &&ShardStatus| {
        status.state == ShardState::Ready && status.quiet_ms > SILENT_AFTER_MS
    };
    gauge!(table::SILENT.name).set(statuses.iter().filter(silent).count() as f64);
}
