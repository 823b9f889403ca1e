//! Pure: how much may wait for an ack, and what gives way first.
//!
//! One budget for the whole process. While acks still come, polling slows down and TCP pushes back;
//! where NATS is away, shed classes go first, then the shard closes resumably and parks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Above this share of the limit the shed classes are dropped, in percent.
const SHED_ABOVE: u64 = 80;
/// An ack younger than this shows that NATS is there.
const ACKS_COUNT_FOR_MS: u64 = 3_000;
/// Messages that may wait while NATS is there, of all shards: more would wait no shorter, and would be out
/// of every cache by the time they go.
const BACKLOG: u64 = 4096;
/// A shard's share of them is at least this.
const LEAST_SHARE: u64 = 48;
/// A parked shard comes back once less than this share of the limit waits, in percent.
const RETURN_BELOW: u64 = 25;

/// The bytes of one process that wait for an ack.
#[derive(Clone, Debug)]
pub struct Budget {
    waiting: Arc<AtomicU64>,
    /// Messages that do not flow in a batch: their acks are waited for.
    messages: Arc<AtomicU64>,
    /// Shards with something under way to the stream.
    flying: Arc<AtomicU64>,
    /// When the stream last acknowledged anything of this process, in milliseconds since the epoch.
    acked_ms: Arc<AtomicU64>,
    /// Shards that read.
    shards: Arc<AtomicU64>,
    limit: u64,
}

/// A shard's share of the messages that may wait, until it is dropped.
#[derive(Debug)]
pub struct Share(Arc<AtomicU64>);

impl Share {
    /// Messages of the shard that may wait.
    pub fn most(&self) -> u64 {
        let shards = self.0.load(Ordering::Relaxed);
        (BACKLOG / shards.max(1)).max(LEAST_SHARE)
    }

    /// A shard that has stopped reading goes on when so few wait. It reads many at once then: for one event
    /// its decompressor and all else of it would have to be fetched from memory too.
    pub fn room(&self) -> u64 {
        self.most() / 8
    }
}

/// Something of a shard is under way to the stream, until it is dropped.
#[derive(Debug)]
pub struct Flying(Arc<AtomicU64>);

impl Drop for Flying {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What to do with one more event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It fits.
    Take,
    /// It is of a shed class, and there is little room: drop it, counted.
    Shed,
}

/// What to do about reading more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Go on.
    Freely,
    /// NATS answers, but slower than Discord sends: read rarely, so that TCP pushes back.
    Slowly,
    /// NATS is away: close resumably and wait.
    Park,
}

impl Budget {
    /// Room for `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            waiting: Arc::default(),
            messages: Arc::default(),
            flying: Arc::default(),
            acked_ms: Arc::default(),
            shards: Arc::default(),
            limit,
        }
    }

    /// Whether an event of a class that may be shed is taken at `now_ms` since the epoch. Everything else
    /// always is: it was read. Nothing is shed while NATS answers: then reading slows down instead.
    pub fn admit(&self, sheddable: bool, now_ms: impl FnOnce() -> u64) -> Admission {
        let nearly_full = self.waiting() * 100 >= self.limit * SHED_ABOVE;
        if sheddable && nearly_full && !self.answers(now_ms()) {
            Admission::Shed
        } else {
            Admission::Take
        }
    }

    /// One more shard reads.
    pub fn share(&self) -> Share {
        self.shards.fetch_add(1, Ordering::Relaxed);
        Share(Arc::clone(&self.shards))
    }

    /// Whether a shard reads on at `now_ms` since the epoch; `backlog`: more of it waits than its share.
    pub fn reading(&self, backlog: bool, now_ms: u64) -> Reading {
        let full = self.is_full();
        if (full || backlog) && self.answers(now_ms) {
            Reading::Slowly
        } else if full {
            Reading::Park
        } else {
            Reading::Freely
        }
    }

    /// True if NATS acknowledged something a moment ago.
    fn answers(&self, now_ms: u64) -> bool {
        let acked_ms = self.acked_ms.load(Ordering::Relaxed);
        now_ms.saturating_sub(acked_ms) < ACKS_COUNT_FOR_MS
    }

    /// True if no more should be read.
    pub fn is_full(&self) -> bool {
        self.waiting() >= self.limit
    }

    /// True if nothing at all should be read: what is large comes for many shards at once.
    pub fn is_overfull(&self) -> bool {
        self.waiting() >= self.limit + self.limit / 2
    }

    /// The stream acknowledged something at `now_ms` since the epoch.
    pub fn acked(&self, now_ms: u64) {
        self.acked_ms.store(now_ms, Ordering::Relaxed);
    }

    /// True once a parked shard may come back.
    pub fn has_room(&self) -> bool {
        self.waiting() * 100 < self.limit * RETURN_BELOW
    }

    /// One message of so many bytes waits from now on.
    pub fn add(&self, bytes: usize) {
        self.waiting.fetch_add(bytes as u64, Ordering::Relaxed);
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    /// A message of so many bytes waits for its ack no more.
    pub fn remove(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// A message of so many bytes that has not left is given up.
    pub fn drop_one(&self, bytes: usize) {
        self.remove(bytes);
        self.left(1);
    }

    /// So many messages hold up none behind them any more: they are stored, or flow in a batch.
    pub fn left(&self, messages: u64) {
        self.messages.fetch_sub(messages, Ordering::Relaxed);
    }

    /// So many flow in a batch no more: it is over.
    pub fn came_back(&self, messages: u64) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
    }

    /// Something of a shard is under way to the stream.
    pub fn takes_off(&self) -> Flying {
        self.flying.fetch_add(1, Ordering::Relaxed);
        Flying(Arc::clone(&self.flying))
    }

    /// True if more waits than one message behind each that is under way: then an ack taken late holds
    /// up the next message, and a lane should not sleep to let work gather.
    pub fn is_crowded(&self) -> bool {
        self.messages.load(Ordering::Relaxed) > 2 * self.flying.load(Ordering::Relaxed)
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheds_first_then_slows_down_or_parks() {
        let budget = Budget::new(1000);
        budget.acked(10_000);
        let (soon, late) = (10_000 + ACKS_COUNT_FOR_MS - 1, 10_000 + ACKS_COUNT_FOR_MS);
        assert_eq!(
            (budget.admit(true, || late), budget.reading(false, late)),
            (Admission::Take, Reading::Freely)
        );
        budget.add(800);
        let admit = |sheddable, now| budget.admit(sheddable, || now);
        assert_eq!(admit(true, soon), Admission::Take);
        assert_eq!(
            (admit(true, late), admit(false, late)),
            (Admission::Shed, Admission::Take)
        );
        assert_eq!(budget.reading(false, late), Reading::Freely);
        budget.add(200);
        assert_eq!(
            (budget.reading(false, soon), budget.reading(false, late)),
            (Reading::Slowly, Reading::Park)
        );
        budget.remove(700);
        assert!(!budget.has_room());
        budget.remove(51);
        assert!(budget.has_room());
    }

    #[test]
    fn reads_slowly_behind_a_backlog_while_nats_answers() {
        let budget = Budget::new(1 << 30);
        budget.acked(10_000);
        let (soon, late) = (10_000, 10_000 + ACKS_COUNT_FOR_MS);
        assert_eq!(budget.reading(true, soon), Reading::Slowly);
        assert_eq!(budget.reading(true, late), Reading::Freely, "there is room");
        assert_eq!(budget.reading(false, soon), Reading::Freely);
    }

    #[test]
    fn shards_share_what_may_wait_and_each_has_something() {
        let budget = Budget::new(1 << 30);
        let one = budget.share();
        assert_eq!((one.most(), one.room()), (BACKLOG, BACKLOG / 8));
        let three: Vec<Share> = (0..3).map(|_| budget.share()).collect();
        assert_eq!(one.most(), BACKLOG / 4);
        drop(three);
        assert_eq!(one.most(), BACKLOG);
        let _many: Vec<Share> = (0..1000).map(|_| budget.share()).collect();
        assert_eq!(one.most(), LEAST_SHARE);
    }

    #[test]
    fn is_crowded_while_more_than_one_waits_behind_each_under_way() {
        let budget = Budget::new(1000);
        assert!(!budget.is_crowded());
        let _first = budget.takes_off();
        budget.add(1);
        budget.add(1);
        assert!(!budget.is_crowded());
        budget.add(1);
        assert!(budget.is_crowded());
        let second = budget.takes_off();
        assert!(!budget.is_crowded());
        drop(second);
        budget.left(1);
        assert!(!budget.is_crowded());
    }
}
