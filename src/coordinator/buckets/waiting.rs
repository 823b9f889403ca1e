//! pure. Who waits for leave to IDENTIFY, in which order, and which nonces have been served.
//!
//! A request is known by its nonce and keeps its place while it is repeated. Requests that came
//! within the same five seconds go in the order of their shards, which is Discord's order at a cold
//! start; later ones behind them. A nonce that was served, confirmed or withdrawn is remembered for a
//! while, so that a repetition which the network held up does not ask a second time.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::{
    clock::Boottime,
    wire::identify::{ASK_EVERY, Ask, FORGET_AFTER, SPACING},
};

/// The waiting requests of every bucket; `H` is where an answer goes.
#[derive(Debug)]
pub(super) struct Waiting<H> {
    entries: HashMap<Arc<str>, Entry<H>>,
    lines: Vec<BTreeMap<Place, Arc<str>>>,
    /// The newest nonce of a shard in a process: a new enqueue takes the place of the one before.
    newest: HashMap<(u32, Arc<str>), Arc<str>>,
    served: HashMap<Arc<str>, Served>,
    serving: VecDeque<(Boottime, Arc<str>)>,
    arrivals: u64,
}

/// One request that waits.
#[derive(Clone, Debug)]
pub(super) struct Entry<H> {
    pub(super) shard: u32,
    /// The same, unless nobody knows which shard it is.
    pub(super) named: Option<u32>,
    pub(super) nonce: Arc<str>,
    /// The newest counter received.
    pub(super) counter: u64,
    /// When that one was received: not before it was sent.
    pub(super) heard: Boottime,
    pub(super) http: bool,
    pub(super) reply_to: H,
    pub(super) place: Place,
    process: Arc<str>,
}

/// Where a request stands in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    cohort: u128,
    shard: u32,
    arrival: u64,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It stands in its line.
    Waits,
    /// Late or double; nothing changed.
    Ignored,
    /// Too many wait already.
    Full,
}

#[derive(Clone, Copy, Debug)]
enum Served {
    /// A grant for this counter was written; a newer counter asks again, from the end of the line.
    Granted(u64),
    /// Fired, withdrawn or replaced.
    Done,
    /// Fired, and Discord refused it.
    Refused,
}

impl<H> Waiting<H> {
    pub(super) fn new(buckets: u32) -> Self {
        Self {
            entries: HashMap::new(),
            lines: lines(buckets),
            newest: HashMap::new(),
            served: HashMap::new(),
            serving: VecDeque::new(),
            arrivals: 0,
        }
    }

    /// Takes a request, or another repetition of it.
    pub(super) fn ask(&mut self, ask: &Ask, reply_to: H, now: Boottime) -> Asked {
        let again = match self.served.get(ask.nonce.as_str()) {
            Some(Served::Done | Served::Refused) => return Asked::Ignored,
            Some(Served::Granted(counter)) if ask.counter <= *counter => return Asked::Ignored,
            Some(Served::Granted(_)) => true,
            None => false,
        };
        if let Some(entry) = self.entries.get_mut(ask.nonce.as_str()) {
            if ask.counter <= entry.counter {
                return Asked::Ignored;
            }
            entry.counter = ask.counter;
            entry.heard = now;
            entry.reply_to = reply_to;
            return Asked::Waits;
        }
        if self.entries.len() >= MAX_WAITING {
            return Asked::Full;
        }
        let nonce: Arc<str> = ask.nonce.as_str().into();
        let process: Arc<str> = ask.process.as_str().into();
        self.arrivals += 1;
        // A counter tells how long it has waited, also where another leader heard the first ones.
        // Whoever was granted already and did not use it goes to the end.
        let waited = if again { 0 } else { ask.counter - 1 };
        let waited = ASK_EVERY.saturating_mul(u32::try_from(waited).unwrap_or(u32::MAX));
        let mut place = Place {
            cohort: now.minus(waited).0.as_millis() / SPACING.as_millis(),
            shard: ask.shard,
            arrival: self.arrivals,
        };
        if !ask.http {
            let key = (ask.shard, Arc::clone(&process));
            if let Some(before) = self.newest.insert(key, Arc::clone(&nonce))
                && let Some(before) = self.take(&before)
            {
                place = before.place;
                self.remember(before.nonce, Served::Done, now);
            }
        }
        self.insert(Entry {
            shard: ask.shard,
            named: ask.named(),
            nonce,
            counter: ask.counter,
            heard: now,
            http: ask.http,
            reply_to,
            place,
            process,
        });
        Asked::Waits
    }

    /// Back into the place that it was served from, unless nobody waits under its nonce any more.
    pub(super) fn restore(&mut self, mut entry: Entry<H>) {
        if let Some(Served::Done | Served::Refused) = self.served.get(&entry.nonce) {
            return;
        }
        self.served.remove(&entry.nonce);
        if let Some(newer) = self.take(&entry.nonce) {
            entry = Entry {
                place: entry.place,
                ..newer
            };
        }
        self.insert(entry);
    }

    fn insert(&mut self, entry: Entry<H>) {
        let line = self.line_of(entry.shard);
        self.lines[line].insert(entry.place, Arc::clone(&entry.nonce));
        self.entries.insert(Arc::clone(&entry.nonce), entry);
    }

    /// Out of the line, because a grant for it is being written.
    pub(super) fn serve(&mut self, nonce: &str, now: Boottime) -> Option<Entry<H>> {
        let entry = self.take(nonce)?;
        self.remember(
            Arc::clone(&entry.nonce),
            Served::Granted(entry.counter),
            now,
        );
        Some(entry)
    }

    /// Nobody waits under this nonce any more. True if that was news.
    pub(super) fn done(&mut self, nonce: &str, now: Boottime) -> bool {
        let known = self.take(nonce).is_some() || self.served.contains_key(nonce);
        let refused = matches!(self.served.get(nonce), Some(Served::Refused));
        if known && !refused {
            self.remember(nonce.into(), Served::Done, now);
        }
        known
    }

    /// True if nobody waits under this nonce any more: it was confirmed, withdrawn or replaced.
    pub(super) fn is_done(&self, nonce: &str) -> bool {
        let served = self.served.get(nonce);
        matches!(served, Some(Served::Done | Served::Refused))
    }

    /// Discord refused its IDENTIFY. True if it was served, and that was news.
    pub(super) fn refused(&mut self, nonce: &str) -> bool {
        match self.served.get_mut(nonce) {
            Some(served @ (Served::Granted(_) | Served::Done)) => {
                *served = Served::Refused;
                true
            }
            Some(Served::Refused) | None => false,
        }
    }

    /// Forgets who has not asked for a while, and nonces served long ago.
    pub(super) fn sweep(&mut self, now: Boottime) {
        let gone: Vec<_> = self
            .entries
            .values()
            .filter(|entry| now.since(entry.heard) >= FORGET_AFTER)
            .map(|entry| Arc::clone(&entry.nonce))
            .collect();
        for nonce in gone {
            self.take(&nonce);
        }
        while let Some((at, nonce)) = self.serving.front()
            && now.since(*at) >= REMEMBER
        {
            self.served.remove(nonce);
            self.serving.pop_front();
        }
    }

    /// Cuts the lines anew; everybody keeps their place.
    pub(super) fn cut(&mut self, buckets: u32) {
        self.lines = lines(buckets);
        for entry in self.entries.values() {
            let line = entry.shard as usize % self.lines.len();
            self.lines[line].insert(entry.place, Arc::clone(&entry.nonce));
        }
    }

    /// The requests of a bucket, in order.
    pub(super) fn line(&self, bucket: usize) -> impl Iterator<Item = &Entry<H>> {
        self.lines
            .get(bucket)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter_map(|nonce| self.entries.get(nonce))
    }

    pub(super) fn is_idle(&self, bucket: usize) -> bool {
        self.lines.get(bucket).is_none_or(BTreeMap::is_empty)
    }

    /// How many of its bucket stand before a request; none if it does not wait.
    pub(super) fn position(&self, nonce: &str) -> Option<usize> {
        let entry = self.entries.get(nonce)?;
        let line = &self.lines[self.line_of(entry.shard)];
        Some(line.range(..entry.place).count())
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn take(&mut self, nonce: &str) -> Option<Entry<H>> {
        let entry = self.entries.remove(nonce)?;
        let line = self.line_of(entry.shard);
        self.lines[line].remove(&entry.place);
        let key = (entry.shard, Arc::clone(&entry.process));
        if self.newest.get(&key) == Some(&entry.nonce) {
            self.newest.remove(&key);
        }
        Some(entry)
    }

    fn remember(&mut self, nonce: Arc<str>, what: Served, now: Boottime) {
        if self.served.insert(Arc::clone(&nonce), what).is_none() {
            self.serving.push_back((now, nonce));
        }
    }

    fn line_of(&self, shard: u32) -> usize {
        shard as usize % self.lines.len()
    }
}

fn lines(buckets: u32) -> Vec<BTreeMap<Place, Arc<str>>> {
    (0..buckets.max(1)).map(|_| BTreeMap::new()).collect()
}

/// Four times the largest fleet that is modelled; then a request is refused, not remembered.
const MAX_WAITING: usize = 65_536;
/// How long a served nonce is known: longer than a network holds a message up.
const REMEMBER: Duration = Duration::from_secs(60);
