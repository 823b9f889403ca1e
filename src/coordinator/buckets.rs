//! pure. When a bucket may be granted again, and to whom.
//!
//! Discord takes one IDENTIFY of a bucket (`shard % max_concurrency`) in five seconds. Spacing counts
//! from the latest moment at which the last IDENTIFY can have left: the confirmation if it came, else
//! the receipt of the request that was granted plus the age at which its asker refuses a grant.

mod waiting;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use self::waiting::Asked;
use self::waiting::{Entry, Waiting};
use crate::{
    clock::Boottime,
    wire::identify::{Ask, FRESHNESS, HTTP_SLACK, SPACING},
};

/// Every bucket and who waits for it; `H` is where an answer goes.
#[derive(Debug)]
pub struct Buckets<H> {
    /// From the end of one possible IDENTIFY to the next: Discord's and the path's variation.
    spacing: Duration,
    last: Vec<Use>,
    waiting: Waiting<H>,
    /// How often the buckets were cut anew.
    cuts: u64,
    /// When it is worth looking for somebody to grant; none while nothing but news can change that.
    due: Option<Boottime>,
}

/// A request that is about to be granted.
#[derive(Debug)]
pub struct Pick<H> {
    entry: Entry<H>,
    bucket: usize,
    before: Use,
    /// The cut by which it was picked.
    cut: u64,
}

/// The latest moment at which a bucket's last IDENTIFY can leave.
#[derive(Clone, Debug, Default)]
struct Use {
    latest: Option<Boottime>,
    /// Whose it is, while a confirmation can still bring the moment forward.
    open: Option<Arc<str>>,
    slack: Duration,
}

impl<H> Buckets<H> {
    /// One bucket, never used, until Discord's `max_concurrency` is heard; `margin` is on top of
    /// Discord's spacing.
    pub fn new(margin: Duration) -> Self {
        Self {
            spacing: SPACING + margin,
            last: vec![Use::default()],
            waiting: Waiting::new(1),
            cuts: 0,
            due: None,
        }
    }

    /// Takes a request, or another repetition of it.
    pub fn ask(&mut self, ask: &Ask, reply_to: H, now: Boottime) -> Asked {
        let asked = self.waiting.ask(ask, reply_to, now);
        if asked == Asked::Waits {
            self.expect(ask.shard as usize % self.last.len());
        }
        asked
    }

    /// The IDENTIFY of this nonce has left by now.
    pub fn confirm(&mut self, shard: u32, nonce: &str, now: Boottime) {
        // One nonce stands for one IDENTIFY: whichever grant it used, there will be no other.
        self.waiting.done(nonce, now);
        let bucket = shard as usize % self.last.len();
        let last = &mut self.last[bucket];
        if last.open.as_deref() == Some(nonce) {
            let latest = now.plus(last.slack);
            last.latest = last.latest.map(|before| before.min(latest));
            last.open = None;
            self.expect(bucket);
        }
    }

    /// Discord refused the IDENTIFY of this nonce. True if a grant for it is known, and this is the
    /// first word of it.
    pub fn refused(&mut self, nonce: &str) -> bool {
        self.waiting.refused(nonce)
    }

    /// Nobody waits under this nonce any more.
    pub fn withdraw(&mut self, nonce: &str, now: Boottime) {
        self.waiting.done(nonce, now);
    }

    /// Takes up to `limit` requests whose buckets are free, the longest waiting first, and counts the
    /// buckets as used. `ready` says from when on a shard may be granted, or one of which nobody knows
    /// which it is.
    pub fn pick(
        &mut self,
        limit: usize,
        ready: impl Fn(Option<u32>) -> Boottime,
        now: Boottime,
    ) -> Vec<Pick<H>> {
        self.due = self.next_after(now);
        let heads = self.heads(&ready, now);
        let mut heads: Vec<_> = heads
            .map(|(entry, bucket)| (entry.place, bucket, Arc::clone(&entry.nonce)))
            .collect();
        if heads.len() > limit {
            heads.sort_unstable();
            heads.truncate(limit);
        }
        heads
            .into_iter()
            .filter_map(|(_, bucket, nonce)| {
                let entry = self.waiting.serve(&nonce, now)?;
                let slack = if entry.http {
                    HTTP_SLACK
                } else {
                    Duration::ZERO
                };
                let granted = Use {
                    latest: Some(entry.heard.plus(FRESHNESS + slack)),
                    open: Some(nonce),
                    slack,
                };
                let before = std::mem::replace(&mut self.last[bucket], granted);
                Some(Pick {
                    entry,
                    bucket,
                    before,
                    cut: self.cuts,
                })
            })
            .collect()
    }

    /// The grant never left: the request keeps its place, and the bucket was not used.
    pub fn put_back(&mut self, pick: Pick<H>) {
        // Where the buckets were cut anew meanwhile, all count as used.
        if let Some(last) = self.last.get_mut(pick.bucket)
            && last.open.as_ref() == Some(&pick.entry.nonce)
        {
            *last = pick.before;
        }
        self.waiting.restore(pick.entry);
        self.look_again();
    }

    /// What a grant depends on beside the buckets has changed, or may have.
    pub fn look_again(&mut self) {
        self.due = (self.waiting.len() > 0).then(Boottime::default);
    }

    /// Discord's `max_concurrency`. Where it changes, every bucket counts as just used.
    pub fn cut(&mut self, max_concurrency: u32, now: Boottime) {
        let buckets = max_concurrency.max(1);
        if buckets == self.count() {
            return;
        }
        let latest = self.last.iter().filter_map(|last| last.latest).max();
        let just = Use {
            latest: latest.max(Some(now.plus(FRESHNESS))),
            ..Use::default()
        };
        self.last = vec![just; buckets as usize];
        self.waiting.cut(buckets);
        self.cuts += 1;
        self.look_again();
    }

    /// Takes over what another leader wrote: uses relative to a moment no later than `seen`.
    pub fn inherit(&mut self, max_concurrency: u32, uses: &BTreeMap<u32, i64>, seen: Boottime) {
        let buckets = max_concurrency.max(1);
        if buckets != self.count() {
            let latest = self.last.iter().filter_map(|last| last.latest).max();
            let just = Use {
                latest,
                ..Use::default()
            };
            self.last = vec![just; buckets as usize];
            self.waiting.cut(buckets);
            self.cuts += 1;
        }
        for (bucket, ms) in uses {
            if let Some(last) = self.last.get_mut(*bucket as usize) {
                last.latest = last.latest.max(Some(offset(seen, *ms)));
            }
        }
        self.look_again();
    }

    /// Every bucket counts as just used.
    pub fn just_used(&mut self, now: Boottime) {
        for last in &mut self.last {
            last.latest = last.latest.max(Some(now.plus(FRESHNESS)));
        }
    }

    /// What a successor must know: the latest moments of use, in milliseconds after `now`.
    pub fn uses(&self, now: Boottime) -> BTreeMap<u32, i64> {
        (0..)
            .zip(&self.last)
            .filter_map(|(bucket, last)| Some((bucket, millis_after(last.latest?, now))))
            .filter(|(_, ms)| *ms > -KEEP_USES_MS)
            .collect()
    }

    /// Forgets who has not asked for a while.
    pub fn sweep(&mut self, now: Boottime) {
        self.waiting.sweep(now);
    }

    /// True if [`Buckets::pick`] would find somebody now.
    pub fn somebody(&self, ready: impl Fn(Option<u32>) -> Boottime, now: Boottime) -> bool {
        self.heads(&ready, now).next().is_some()
    }

    /// True once no bucket was used lately: then one IDENTIFY breaks no rule, however many buckets
    /// there are by now.
    pub fn rested(&self, now: Boottime) -> bool {
        (0..self.last.len()).all(|bucket| self.free_at(bucket) <= now)
    }

    /// True unless the buckets were cut anew since it was picked, or its asker has gone.
    pub fn stands(&self, pick: &Pick<H>) -> bool {
        pick.cut == self.cuts && !self.waiting.is_done(&pick.entry.nonce)
    }

    /// When [`Buckets::pick`] may find somebody, as far as time alone decides.
    pub fn next_wakeup(&self) -> Option<Boottime> {
        self.due
    }

    /// How long a request will wait for its bucket alone, and how many stand before it.
    pub fn outlook(&self, shard: u32, nonce: &str, now: Boottime) -> Option<(u32, Duration)> {
        let position = u32::try_from(self.waiting.position(nonce)?).unwrap_or(u32::MAX);
        let free = self.free_at(shard as usize % self.last.len()).since(now);
        Some((
            position,
            free.saturating_add(self.spacing.saturating_mul(position)),
        ))
    }

    /// When the first waiting request's bucket is free, and its shard may be granted; none if nobody waits.
    pub fn next_free(&self, ready: impl Fn(u32) -> Boottime) -> Option<Boottime> {
        (0..self.last.len())
            .filter_map(|bucket| {
                let shards = self.waiting.line(bucket).map(|entry| entry.shard);
                Some(shards.map(&ready).min()?.max(self.free_at(bucket)))
            })
            .min()
    }

    /// Every shard that waits.
    pub fn shards(&self) -> impl Iterator<Item = u32> {
        (0..self.last.len()).flat_map(|bucket| self.waiting.line(bucket).map(|entry| entry.shard))
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Buckets, by Discord's `max_concurrency`.
    pub fn count(&self) -> u32 {
        u32::try_from(self.last.len()).unwrap_or(u32::MAX)
    }

    /// Of each bucket that is free, whom to grant, with the bucket.
    fn heads(
        &self,
        ready: &impl Fn(Option<u32>) -> Boottime,
        now: Boottime,
    ) -> impl Iterator<Item = (&Entry<H>, usize)> {
        (0..self.last.len())
            .filter(move |bucket| !self.waiting.is_idle(*bucket) && self.free_at(*bucket) <= now)
            .filter_map(move |bucket| {
                self.waiting
                    .line(bucket)
                    // Whoever was not heard lately would refuse the grant; others may pass.
                    .find(|entry| now.since(entry.heard) < STILL_THERE && ready(entry.named) <= now)
                    .map(|entry| (entry, bucket))
            })
    }

    /// Somebody waits for this bucket.
    fn expect(&mut self, bucket: usize) {
        if !self.waiting.is_idle(bucket) {
            let free = self.free_at(bucket);
            self.due = Some(self.due.map_or(free, |due| due.min(free)));
        }
    }

    /// The first bucket to become free later that somebody waits for.
    fn next_after(&self, now: Boottime) -> Option<Boottime> {
        (0..self.last.len())
            .filter(|bucket| !self.waiting.is_idle(*bucket))
            .map(|bucket| self.free_at(bucket))
            .filter(|free| *free > now)
            .min()
    }

    fn free_at(&self, bucket: usize) -> Boottime {
        self.last[bucket]
            .latest
            .map_or(Boottime::default(), |latest| latest.plus(self.spacing))
    }
}

impl<H> Pick<H> {
    /// The shard, the nonce and the newest counter received before the ledger was written.
    pub fn grant(&self) -> (u32, &str, u64) {
        (self.entry.shard, &self.entry.nonce, self.entry.counter)
    }

    /// The shard, where its asker said which it is.
    pub fn named(&self) -> Option<u32> {
        self.entry.named
    }

    /// Where the grant goes.
    pub fn reply_to(&self) -> &H {
        &self.entry.reply_to
    }

    /// True if its asker may still use it, as far as is known here.
    pub fn is_fresh(&self, now: Boottime) -> bool {
        now < self.entry.heard.plus(FRESHNESS)
    }
}

fn offset(base: Boottime, ms: i64) -> Boottime {
    let span = Duration::from_millis(ms.unsigned_abs());
    if ms < 0 {
        base.minus(span)
    } else {
        base.plus(span)
    }
}

/// Rounded up: a successor may wait longer, never less.
fn millis_after(at: Boottime, now: Boottime) -> i64 {
    let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX - 1);
    if at > now {
        ms(at.since(now)) + 1
    } else {
        -ms(now.since(at))
    }
}

/// A request repeated every second and not heard for this long is on its way out.
const STILL_THERE: Duration = Duration::from_millis(1_500);
/// Uses older than this bind nobody, whatever margin a successor is configured with.
const KEEP_USES_MS: i64 = 60_000;

#[cfg(test)]
mod tests;
