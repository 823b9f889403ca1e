//! pure. The identifies of the day: what Discord says is left, less what was granted since.
//!
//! Discord ends every session and resets the token of a bot that exceeds its day. So what is left is
//! Discord's last answer less the grants since a minute before it was asked: those it may not have
//! counted yet. Only Discord's answer opens a new day; no clock does. An answer that merely confirms
//! what was believed does not replace it, else a cold start would pay for its last minute twice.

use std::{collections::VecDeque, time::Duration};

use crate::clock::Boottime;

/// What Discord answered to `GET /gateway/bot`.
///
/// <https://discord.com/developers/docs/events/gateway#session-start-limit-object>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it was asked.
    pub asked: Boottime,
    /// Identifies a day.
    pub total: u32,
    /// Identifies left of it.
    pub remaining: u32,
    /// Until Discord opens the next day.
    pub reset_after: Duration,
    /// The same moment in milliseconds since the Unix epoch, for people.
    pub reset_at_ms: u64,
    /// Identifies that may start together in five seconds.
    pub max_concurrency: u32,
    /// How many shards Discord recommends.
    pub shards: u32,
}

/// The day's identifies.
#[derive(Debug)]
pub struct Budget {
    reserve: u32,
    released: u32,
    release_nonce: String,
    total: u32,
    reset_at_ms: u64,
    base: Option<Base>,
    /// Grants that Discord may not have counted in the base.
    log: VecDeque<(Boottime, u32)>,
    /// When a predecessor's word was taken over: what it granted shortly before is not in the log.
    inherited: Option<Boottime>,
}

#[derive(Clone, Copy, Debug)]
struct Base {
    remaining: u32,
    /// Grants from here on are not counted in it.
    since: Boottime,
    /// None where it is a predecessor's word.
    asked: Option<Boottime>,
}

impl Budget {
    /// A budget that knows nothing yet and so grants nothing. `reserve` is for an operator alone.
    pub fn new(reserve: u32) -> Self {
        Self {
            reserve,
            released: 0,
            release_nonce: String::new(),
            total: 0,
            reset_at_ms: 0,
            base: None,
            log: VecDeque::new(),
            inherited: None,
        }
    }

    /// Takes over what a predecessor's ledger says; its `remaining` has its own grants subtracted.
    pub fn inherit(&mut self, ledger: &crate::wire::identify::Ledger, now: Boottime) {
        *self = Self {
            released: ledger.released,
            release_nonce: ledger.release_nonce.clone(),
            total: ledger.total,
            reset_at_ms: ledger.reset_at_ms,
            ..Self::new(self.reserve)
        };
        if let Some(remaining) = ledger.remaining {
            self.inherited = Some(now);
            self.base = Some(Base {
                remaining,
                since: now,
                asked: None,
            });
        }
    }

    /// Discord's word. Answers may come late; an older one changes nothing.
    pub fn heard(&mut self, answer: &Answer) {
        let since = answer.asked.minus(UNCOUNTED);
        let candidate = answer.remaining.saturating_sub(self.granted_since(since));
        let adopt = match self.base {
            None => true,
            Some(base) if Some(answer.asked) < base.asked => return,
            Some(_) => {
                let believed = self.remaining().unwrap_or(0);
                // What a predecessor granted in its last minute may be uncounted and is not in our log.
                let settled = self.inherited.is_none_or(|at| at <= since);
                answer.remaining < believed || (candidate >= believed && settled)
            }
        };
        if answer.reset_at_ms > self.reset_at_ms.saturating_add(ANOTHER_DAY_MS) {
            self.released = 0;
        }
        self.total = answer.total;
        self.reset_at_ms = answer.reset_at_ms;
        if adopt {
            self.base = Some(Base {
                remaining: answer.remaining,
                since,
                asked: Some(answer.asked),
            });
            while self.log.front().is_some_and(|(at, _)| *at < since) {
                self.log.pop_front();
            }
        }
    }

    /// So many grants are about to be written.
    pub fn spend(&mut self, grants: u32, now: Boottime) {
        if grants > 0 {
            self.log.push_back((now, grants));
        }
    }

    /// One grant spent at that moment has certainly not left.
    pub fn refund(&mut self, spent: Boottime) {
        if let Some((_, grants)) = self.log.iter_mut().rev().find(|(at, _)| *at == spent) {
            *grants = grants.saturating_sub(1);
        }
    }

    /// An operator lets so many of the reserve be spent, until the next day opens; repeated under the
    /// same nonce it counts once.
    ///
    /// # Errors
    /// Says why the word was not taken.
    pub fn release(&mut self, n: u32, nonce: &str) -> Result<(), String> {
        let held = self.reserve.saturating_sub(self.released);
        if nonce == self.release_nonce {
            Ok(())
        } else if n == 0 || n > held {
            Err(format!(
                "cannot release {n}: the reserve holds {held} more of {}",
                self.reserve
            ))
        } else {
            self.released += n;
            nonce.clone_into(&mut self.release_nonce);
            Ok(())
        }
    }

    /// Identifies left of the day; none before that is known.
    pub fn remaining(&self) -> Option<u32> {
        let base = self.base?;
        Some(
            base.remaining
                .saturating_sub(self.granted_since(base.since)),
        )
    }

    /// How many may be granted now.
    pub fn spendable(&self) -> u32 {
        let floor = self.reserve.saturating_sub(self.released);
        self.remaining().unwrap_or(0).saturating_sub(floor)
    }

    /// Identifies a day, as last heard.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// When Discord opens the next day, in milliseconds since the Unix epoch, as last heard.
    pub fn reset_at_ms(&self) -> u64 {
        self.reset_at_ms
    }

    /// What an operator has released, and under which nonce last.
    pub fn released(&self) -> (u32, &str) {
        (self.released, &self.release_nonce)
    }

    /// What only an operator may spend.
    pub fn reserve(&self) -> u32 {
        self.reserve
    }

    fn granted_since(&self, since: Boottime) -> u32 {
        self.log
            .iter()
            .filter(|(at, _)| *at >= since)
            .map(|(_, grants)| grants)
            .sum()
    }
}

/// A grant older than this has reached Discord and is counted, or never will be.
const UNCOUNTED: Duration = Duration::from_secs(60);
/// Discord's reset moves by less than this within a day, and by a day from one to the next.
const ANOTHER_DAY_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::identify::Ledger;

    fn at(secs: u64) -> Boottime {
        Boottime(Duration::from_secs(1_000 + secs))
    }

    fn answer(asked: u64, remaining: u32) -> Answer {
        Answer {
            asked: at(asked),
            total: 1_000,
            remaining,
            reset_after: Duration::from_secs(3_600),
            reset_at_ms: 10_000_000,
            max_concurrency: 16,
            shards: 64,
        }
    }

    fn budget(remaining: u32) -> Budget {
        let mut budget = Budget::new(50);
        budget.heard(&answer(0, remaining));
        budget
    }

    #[test]
    fn knows_nothing_and_grants_nothing_before_discord_answers() {
        let budget = Budget::new(50);
        assert_eq!((budget.remaining(), budget.spendable()), (None, 0));
    }

    #[test]
    fn the_reserve_is_an_operators_and_ends_with_the_day() {
        let mut budget = budget(60);
        assert_eq!(budget.spendable(), 10);
        budget.spend(10, at(1));
        assert_eq!(budget.spendable(), 0);
        assert!(budget.release(51, "n").is_err());
        assert!(budget.release(0, "n").is_err());
        budget.release(20, "n").unwrap();
        budget.release(20, "n").unwrap();
        assert_eq!(budget.spendable(), 20);
        let tomorrow = Answer {
            reset_at_ms: 96_400_000,
            ..answer(3_700, 1_000)
        };
        budget.heard(&tomorrow);
        assert_eq!((budget.remaining(), budget.spendable()), (Some(1_000), 950));
    }

    #[test]
    fn grants_that_discord_may_not_have_counted_are_subtracted() {
        let mut budget = budget(500);
        budget.spend(100, at(10));
        budget.spend(30, at(100));
        // Discord has counted more than we granted: somebody else identifies too.
        budget.heard(&answer(120, 300));
        assert_eq!(budget.remaining(), Some(270));
    }

    #[test]
    fn an_answer_that_confirms_what_is_believed_costs_nothing() {
        let mut budget = budget(500);
        budget.spend(100, at(100));
        budget.heard(&answer(120, 400));
        assert_eq!(budget.remaining(), Some(400));
        budget.heard(&answer(180, 400));
        assert_eq!(budget.remaining(), Some(400));
    }

    #[test]
    fn leave_that_nobody_used_comes_back() {
        let mut budget = budget(500);
        budget.spend(100, at(10));
        budget.heard(&answer(60, 500));
        assert_eq!(budget.remaining(), Some(400));
        budget.heard(&answer(71, 500));
        assert_eq!(budget.remaining(), Some(500));
    }

    #[test]
    fn a_late_answer_changes_nothing() {
        let mut budget = budget(500);
        budget.heard(&answer(100, 400));
        budget.heard(&answer(50, 450));
        assert_eq!(budget.remaining(), Some(400));
    }

    #[test]
    fn a_successor_believes_the_ledger_until_the_predecessors_grants_are_counted() {
        let mut budget = Budget::new(50);
        let ledger = Ledger {
            remaining: Some(300),
            total: 1_000,
            reset_at_ms: 10_000_000,
            released: 7,
            ..Ledger::default()
        };
        budget.inherit(&ledger, at(0));
        budget.heard(&answer(1, 320));
        assert_eq!((budget.remaining(), budget.spendable()), (Some(300), 257));
        budget.heard(&answer(60, 320));
        assert_eq!(budget.remaining(), Some(320));
    }

    #[test]
    fn what_has_not_left_is_refunded() {
        let mut budget = budget(500);
        budget.spend(3, at(1));
        budget.refund(at(1));
        assert_eq!(budget.remaining(), Some(498));
    }
}
