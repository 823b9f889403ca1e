//! pure. Discord's limits: when it is asked for them, and how far its last answer is trusted.
//!
//! An answer stands for [`FRESH`]; the first grant after that waits for another one. While shards are
//! granted one after the other the next answer is fetched ahead, so that they do not wait for it.
//! Discord refuses an IDENTIFY (op 9) where a limit has fallen: the answer that let it leave stands no
//! more, and grants wait for one that was asked for later.
//!
//! Where Discord does not answer, one shard of the whole fleet identifies at a time. That breaks no
//! `max_concurrency`, whatever it has become, and the ledger knows what is left of the day.

use std::time::Duration;

use super::{Effect, Leader, Stage};
use crate::{clock::Boottime, coordinator::budget::Answer};

/// What Discord says, and when to ask again.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) answer: Option<Answer>,
    pub(super) asking: bool,
    pub(super) next: Boottime,
    pub(super) failures: u32,
    asked: Option<Boottime>,
    /// Discord wants no question before this moment.
    barred: Boottime,
    /// An answer asked for earlier stands no more.
    doubted: Option<Boottime>,
}

/// How many may be granted, as far as Discord's answer decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Nobody, before Discord has answered.
    Hold,
    /// One shard of the whole fleet at a time: Discord does not answer.
    OneBucket,
    /// One of each bucket.
    Full,
}

impl Limits {
    /// What stays true for the next leadership of this process.
    pub(super) fn kept(&self) -> Self {
        Self {
            asking: self.asking,
            asked: self.asked,
            barred: self.barred,
            ..Self::default()
        }
    }

    pub(super) fn pace(&self, now: Boottime) -> Pace {
        let stands = self.answer.is_some_and(|answer| {
            let doubted = self.doubted.is_some_and(|doubted| answer.asked < doubted);
            !doubted && now < answer.asked.plus(FRESH)
        });
        if stands {
            Pace::Full
        } else if self.failures > 0 || now < self.barred {
            Pace::OneBucket
        } else {
            Pace::Hold
        }
    }

    /// Grants decided at that moment rest on an answer that has been doubted since.
    pub(super) fn doubted_since(&self, decided: Boottime) -> bool {
        self.doubted.is_some_and(|doubted| doubted >= decided)
    }

    /// True while Discord's last word is that it does not answer.
    pub(super) fn unread(&self, now: Boottime) -> bool {
        self.failures > 0 || now < self.barred
    }

    /// When Discord is to be asked; none while it is.
    pub(super) fn next_wakeup(&self) -> Option<Boottime> {
        let apart = self.asked.map_or(self.next, |asked| asked.plus(APART));
        (!self.asking).then(|| self.next.max(self.barred).max(apart))
    }

    /// Somebody could be granted, but for an answer.
    fn want(&mut self, now: Boottime) {
        if self.failures == 0 {
            self.next = self.next.min(now);
        }
    }

    /// Somebody was granted and others wait.
    pub(super) fn fetch_ahead(&mut self) {
        if let Some(answer) = self.answer.filter(|_| self.failures == 0) {
            self.next = self.next.min(answer.asked.plus(FETCH_AHEAD));
        }
    }

    /// True if nothing was doubted before.
    fn doubt(&mut self, now: Boottime) -> bool {
        let news = self.doubted.is_none();
        self.doubted = Some(now);
        self.want(now);
        news
    }

    fn heard(&mut self, answer: &Answer, now: Boottime) {
        self.asking = false;
        self.failures = 0;
        self.barred = Boottime::default();
        let day_opens = now.plus(answer.reset_after).plus(AFTER_RESET);
        self.next = now.plus(EVERY).min(day_opens.max(now.plus(AFTER_RESET)));
        self.answer = Some(*answer);
        match self.doubted {
            Some(doubted) if answer.asked < doubted => self.next = now,
            _ => self.doubted = None,
        }
    }

    fn not_heard(&mut self, pause: Option<Duration>, now: Boottime) {
        self.asking = false;
        let again = RETRY.saturating_mul(1 << self.failures.min(6)).min(EVERY);
        self.failures = self.failures.saturating_add(1);
        self.next = now.plus(again);
        if let Some(pause) = pause {
            self.barred = now.plus(pause.min(LONGEST_PAUSE));
        }
    }
}

impl<H: Clone> Leader<H> {
    pub(super) fn on_limits(&mut self, answer: &Answer, now: Boottime) {
        self.limits.heard(answer, now);
        if matches!(self.stage, Stage::Leading | Stage::Settling) {
            self.take_limits(answer, now);
        }
    }

    pub(super) fn on_no_limits(&mut self, pause: Option<Duration>, now: Boottime) {
        self.limits.not_heard(pause, now);
    }

    /// What Discord said, once the ledger is this leader's own.
    pub(super) fn take_limits(&mut self, answer: &Answer, now: Boottime) {
        self.budget.heard(answer);
        self.buckets.cut(answer.max_concurrency, now);
        let heard = (
            answer.max_concurrency,
            self.budget.total(),
            self.budget.reset_at_ms() / LEDGER_RESET_STEP_MS,
            self.budget.remaining(),
        );
        let written = (
            self.ledger.max_concurrency,
            self.ledger.total,
            self.ledger.reset_at_ms / LEDGER_RESET_STEP_MS,
            self.ledger.remaining,
        );
        self.ledger.max_concurrency = answer.max_concurrency;
        self.stale |= heard != written;
    }

    /// Discord answered the IDENTIFY of this nonce with op 9. One nonce is one doubt, however often it
    /// is said, so that doubts cannot outrun grants.
    pub(super) fn on_refused(
        &mut self,
        shard: u32,
        nonce: &str,
        now: Boottime,
        out: &mut Vec<Effect<H>>,
    ) {
        if self.buckets.refused(nonce) {
            let news = self.limits.doubt(now);
            out.push(Effect::Refused { shard, holds: news });
        }
    }

    /// How many of `limit` may be granted now. Asks Discord where only its answer is wanting.
    pub(super) fn within_limits(&mut self, limit: usize, now: Boottime) -> usize {
        match self.limits.pace(now) {
            Pace::Full => limit,
            Pace::OneBucket if self.buckets.rested(now) => limit.min(1),
            Pace::OneBucket => 0,
            Pace::Hold => {
                let (slowdown, shards) = (&self.slowdown, self.shards.unwrap_or(0));
                let somebody = |named| slowdown.ready_in(named, shards);
                if limit > 0 && self.buckets.somebody(somebody, now) {
                    self.limits.want(now);
                }
                0
            }
        }
    }

    pub(super) fn ask_limits_if_due(&mut self, now: Boottime, out: &mut Vec<Effect<H>>) {
        if self.limits.next_wakeup().is_some_and(|at| at <= now) {
            self.limits.asking = true;
            self.limits.asked = Some(now);
            out.push(Effect::AskLimits);
        }
    }
}

/// How long an answer stands: the first grant after it waits for another.
const FRESH: Duration = Duration::from_secs(10);
/// The age at which the next answer is fetched while shards are granted.
const FETCH_AHEAD: Duration = Duration::from_millis(7_500);
/// How often Discord is asked where nothing happens.
const EVERY: Duration = Duration::from_secs(60);
/// Two questions are at least so far apart, whatever happens.
const APART: Duration = Duration::from_secs(1);
/// How long after Discord's own reset it is asked for the new day.
const AFTER_RESET: Duration = Duration::from_secs(1);
/// The first pause after Discord did not answer; doubles up to [`EVERY`].
const RETRY: Duration = Duration::from_secs(1);
/// The longest pause that Discord is granted: it counts identifies by the day.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);
/// Discord's reset is a span, so that the moment wavers with the network.
const LEDGER_RESET_STEP_MS: u64 = 60_000;
