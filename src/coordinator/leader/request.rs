//! pure. What shards and operators say.

use super::{super::buckets::Asked, Effect, Leader, Stage, limits::Pace};
use crate::{
    clock::Boottime,
    wire::{
        VERSION,
        identify::{Ask, MAX_NAME, ReleaseReserve, Reply, Request, WaitReason},
    },
};

impl<H: Clone> Leader<H> {
    pub(super) fn on_request(
        &mut self,
        request: Request,
        reply_to: H,
        now: Boottime,
        out: &mut Vec<Effect<H>>,
    ) {
        // Followers are silent: the leader answers.
        if self.stage == Stage::Following {
            return;
        }
        match request {
            Request::Ask(ask) => self.on_ask(&ask, reply_to, now, out),
            Request::Confirm(confirm) => {
                self.buckets.confirm(confirm.shard, &confirm.nonce, now);
                if confirm.refused {
                    self.on_refused(confirm.shard, &confirm.nonce, now, out);
                }
            }
            Request::Withdraw(withdraw) => self.buckets.withdraw(&withdraw.nonce, now),
            Request::ReleaseReserve(release) => self.on_release(&release, reply_to, out),
        }
    }

    fn on_ask(&mut self, ask: &Ask, reply_to: H, now: Boottime, out: &mut Vec<Effect<H>>) {
        if let Err(reason) = self.check(ask) {
            out.push(Effect::Reply(reply_to, Reply::refused(&ask.nonce, reason)));
            return;
        }
        match self.buckets.ask(ask, reply_to.clone(), now) {
            Asked::Waits => {
                // Who can be granted at once needs no other answer.
                self.write_if_due(now, out);
                if ask.counter % TELL_EVERY == 1
                    && let Some(wait) = self.outlook(ask, now)
                {
                    out.push(Effect::Reply(reply_to, wait));
                }
            }
            Asked::Ignored => {}
            Asked::Full => {
                let reason = "too many requests wait already";
                out.push(Effect::Reply(reply_to, Reply::refused(&ask.nonce, reason)));
            }
        }
    }

    fn check(&self, ask: &Ask) -> Result<(), String> {
        if ask.nonce.is_empty() || ask.nonce.len() > MAX_NAME || ask.process.len() > MAX_NAME {
            return Err(format!(
                "a nonce has 1 to {MAX_NAME} bytes, a process no more"
            ));
        }
        if ask.counter == 0 {
            return Err("a counter starts at 1".to_owned());
        }
        let Some(shards) = self.shards else {
            return Ok(());
        };
        if ask.shards != shards && !(ask.http && ask.shards == 0) {
            return Err(format!(
                "asked as one of {} shards, but the fleet has {shards}",
                ask.shards
            ));
        }
        // Whoever asks over HTTP may be a shard of another cut or of another bot: a guest.
        if ask.shard >= shards && !ask.http {
            return Err(format!("no shard {}: the fleet has {shards}", ask.shard));
        }
        Ok(())
    }

    /// What a request that waits is told; none if it does not wait.
    fn outlook(&self, ask: &Ask, now: Boottime) -> Option<Reply> {
        let (position, about) = self.buckets.outlook(ask.shard, &ask.nonce, now)?;
        Some(Reply::Wait {
            v: VERSION,
            nonce: ask.nonce.clone(),
            position,
            reason: self.reason(ask.named(), now),
            about_ms: u64::try_from(about.as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn reason(&self, named: Option<u32>, now: Boottime) -> WaitReason {
        let shards = self.shards.unwrap_or(0);
        if self.halted == Some(true) {
            WaitReason::Halted
        } else if self.stage != Stage::Leading {
            WaitReason::Ledger
        } else if !self.may_grant() || self.budget.remaining().is_none() {
            WaitReason::Limits
        } else if self.budget.spendable() == 0 {
            WaitReason::Budget
        } else if self.slowdown.ready_in(named, shards) > now {
            WaitReason::SlowedDown
        } else if self.limits.pace(now) != Pace::Full {
            WaitReason::Limits
        } else {
            WaitReason::Spacing
        }
    }

    fn on_release(&mut self, release: &ReleaseReserve, reply_to: H, out: &mut Vec<Effect<H>>) {
        let taken = if self.stage != Stage::Leading {
            Err("the leader has yet to make the ledger its own: try again".to_owned())
        } else if release.nonce.is_empty() || release.nonce.len() > MAX_NAME {
            Err(format!("a nonce has 1 to {MAX_NAME} bytes"))
        } else {
            self.budget.release(release.n, &release.nonce)
        };
        match taken {
            Ok(()) => {
                self.stale = true;
                if self.released.len() < MAX_RELEASES {
                    self.released.push((release.nonce.clone(), reply_to));
                }
            }
            Err(reason) => {
                let refused = Reply::refused(&release.nonce, reason);
                out.push(Effect::Reply(reply_to, refused));
            }
        }
    }
}

/// Of the requests of one enqueue, every so many are told what they wait for.
const TELL_EVERY: u64 = 10;
/// Operators that wait for one write.
const MAX_RELEASES: usize = 64;
