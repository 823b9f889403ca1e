//! How a shard asks for leave to IDENTIFY, and which leave it may still use.
//!
//! The gateway, the HTTP front and the model all ask through this one decision. Time is told as
//! [`Boottime`], so that a process which was frozen between asking and sending sees the age of its
//! leave. One nonce stands for at most one IDENTIFY: [`Asker::fire`] says yes once.

use std::collections::VecDeque;

use crate::{
    clock::Boottime,
    fleet::ShardId,
    wire::{
        VERSION,
        identify::{
            ASK_AGAIN_AFTER_REFUSAL, ASK_EVERY, Ask, Confirm, FRESHNESS, Reply, Request,
            WaitReason, Withdraw,
        },
    },
};

/// One enqueue of one shard: asks until it may fire.
#[derive(Clone, Debug)]
pub struct Asker {
    ask: Ask,
    /// Requests young enough to be granted, oldest first.
    sent: VecDeque<(u64, Boottime)>,
    next: Boottime,
    permit: Permit,
}

/// What an answer means to the asker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Call [`Asker::fire`] immediately before the IDENTIFY leaves.
    Fire,
    /// A leave that took too long to arrive. It is wasted; keep asking.
    Stale,
    /// In the queue; the leader's estimate in milliseconds, for people.
    Wait {
        /// What it waits for.
        reason: WaitReason,
        /// How many of its bucket stand before it.
        position: u32,
        /// The leader's estimate.
        about_ms: u64,
    },
    /// Not as asked; for a log line. The asker goes on, slowly.
    Refused(String),
    /// Meant for another enqueue, or this one has fired.
    Foreign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permit {
    None,
    /// Usable before this moment.
    Until(Boottime),
    Spent,
}

impl Asker {
    /// An enqueue that asks at once. `nonce` is unique among all enqueues of the fleet.
    pub fn new(
        shard: ShardId,
        shards: u32,
        nonce: impl Into<String>,
        process: impl Into<String>,
        now: Boottime,
    ) -> Self {
        Self {
            ask: Ask {
                v: VERSION,
                shard: shard.0,
                shards,
                nonce: nonce.into(),
                counter: 0,
                process: process.into(),
                http: false,
                shardless: false,
            },
            sent: VecDeque::new(),
            next: now,
            permit: Permit::None,
        }
    }

    /// The same, in the name of an HTTP client that will neither check an age nor confirm.
    #[must_use]
    pub fn for_http(mut self) -> Self {
        self.ask.http = true;
        self
    }

    /// The same, where that client does not say which shard it is.
    #[must_use]
    pub fn shardless(mut self) -> Self {
        self.ask.shardless = true;
        self
    }

    /// The next request, to be sent now.
    pub fn ask(&mut self, now: Boottime) -> Request {
        self.ask.counter += 1;
        self.next = now.plus(ASK_EVERY);
        self.prune(now);
        if self.sent.len() == MAX_SENT {
            self.sent.pop_front();
        }
        self.sent.push_back((self.ask.counter, now));
        Request::Ask(self.ask.clone())
    }

    /// What an answer means, judged by the age of the request that it answers.
    pub fn on_reply(&mut self, reply: &Reply, now: Boottime) -> Verdict {
        if reply.nonce() != self.ask.nonce || self.permit == Permit::Spent {
            return Verdict::Foreign;
        }
        match reply {
            Reply::Grant { counter, .. } => {
                self.prune(now);
                let Some((_, sent)) = self.sent.iter().find(|(c, _)| c == counter) else {
                    return Verdict::Stale;
                };
                let until = sent.plus(FRESHNESS);
                if let Permit::Until(held) = self.permit {
                    self.permit = Permit::Until(held.max(until));
                } else {
                    self.permit = Permit::Until(until);
                }
                Verdict::Fire
            }
            Reply::Wait {
                position,
                reason,
                about_ms,
                ..
            } => Verdict::Wait {
                reason: *reason,
                position: *position,
                about_ms: *about_ms,
            },
            Reply::Refused { reason, .. } => {
                self.next = now.plus(ASK_AGAIN_AFTER_REFUSAL);
                Verdict::Refused(reason.clone())
            }
            Reply::Released { .. } => Verdict::Foreign,
        }
    }

    /// Immediately before the IDENTIFY leaves, with no await between: the confirmation to send after
    /// it if the leave is still fresh, else none, and the asker goes on asking. Yes only once.
    pub fn fire(&mut self, now: Boottime) -> Option<Request> {
        let Permit::Until(until) = self.permit else {
            return None;
        };
        if now >= until {
            self.permit = Permit::None;
            return None;
        }
        self.permit = Permit::Spent;
        Some(Request::Confirm(Confirm {
            v: VERSION,
            shard: self.ask.shard,
            nonce: self.ask.nonce.clone(),
            refused: false,
        }))
    }

    /// Another coordinator leads: it has not heard of this enqueue yet.
    pub fn on_leader(&mut self, now: Boottime) {
        self.next = self.next.min(now);
    }

    /// The message that gives the place in the queue back: nobody waits any more.
    pub fn withdraw(&self) -> Request {
        Request::Withdraw(Withdraw {
            v: VERSION,
            shard: self.ask.shard,
            nonce: self.ask.nonce.clone(),
        })
    }

    /// When to [`Asker::ask`] next; none once it has fired.
    pub fn next_wakeup(&self) -> Option<Boottime> {
        (self.permit != Permit::Spent).then_some(self.next)
    }

    /// The nonce of the enqueue.
    pub fn nonce(&self) -> &str {
        &self.ask.nonce
    }

    /// The shard that waits.
    pub fn shard(&self) -> ShardId {
        ShardId(self.ask.shard)
    }

    fn prune(&mut self, now: Boottime) {
        while self
            .sent
            .front()
            .is_some_and(|(_, sent)| now >= sent.plus(FRESHNESS))
        {
            self.sent.pop_front();
        }
    }
}

/// More fresh requests than any pace of asking makes; the memory of one enqueue ends here.
const MAX_SENT: usize = 32;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(ms: u64) -> Boottime {
        Boottime(Duration::from_millis(ms))
    }

    fn asker() -> Asker {
        Asker::new(ShardId(3), 32, "n", "p", at(0))
    }

    fn grant(counter: u64) -> Reply {
        Reply::Grant {
            v: VERSION,
            nonce: "n".into(),
            counter,
        }
    }

    #[test]
    fn asks_every_second_until_it_fires_once() {
        let mut asker = asker();
        assert_eq!(asker.next_wakeup(), Some(at(0)));
        asker.ask(at(0));
        assert_eq!(asker.next_wakeup(), Some(at(1000)));
        assert_eq!(asker.on_reply(&grant(1), at(500)), Verdict::Fire);
        assert!(matches!(asker.fire(at(600)), Some(Request::Confirm(_))));
        assert_eq!(asker.fire(at(600)), None);
        assert_eq!(asker.on_reply(&grant(1), at(600)), Verdict::Foreign);
        assert_eq!(asker.next_wakeup(), None);
    }

    #[test]
    fn a_late_grant_is_stale_whatever_came_after() {
        let mut asker = asker();
        asker.ask(at(0));
        asker.ask(at(1000));
        assert_eq!(asker.on_reply(&grant(1), at(2000)), Verdict::Stale);
        assert_eq!(asker.on_reply(&grant(7), at(2000)), Verdict::Stale);
        assert_eq!(asker.on_reply(&grant(2), at(2000)), Verdict::Fire);
    }

    #[test]
    fn a_process_frozen_between_grant_and_fire_asks_again() {
        let mut asker = asker();
        asker.ask(at(0));
        assert_eq!(asker.on_reply(&grant(1), at(10)), Verdict::Fire);
        assert_eq!(asker.fire(at(2000)), None);
        asker.ask(at(2000));
        assert_eq!(asker.on_reply(&grant(2), at(2010)), Verdict::Fire);
        assert!(asker.fire(at(2020)).is_some());
    }

    #[test]
    fn a_new_leader_is_asked_at_once_and_a_refusal_is_not_pressed() {
        let mut asker = asker();
        asker.ask(at(0));
        asker.on_leader(at(100));
        assert_eq!(asker.next_wakeup(), Some(at(100)));
        let refused = Reply::refused("n", "no such shard");
        assert_eq!(
            asker.on_reply(&refused, at(100)),
            Verdict::Refused("no such shard".into())
        );
        assert_eq!(asker.next_wakeup(), Some(at(5100)));
    }

    #[test]
    fn an_answer_to_another_enqueue_is_foreign() {
        let mut asker = asker();
        asker.ask(at(0));
        let other = Reply::Grant {
            v: VERSION,
            nonce: "other".into(),
            counter: 1,
        };
        assert_eq!(asker.on_reply(&other, at(1)), Verdict::Foreign);
        assert_eq!(asker.fire(at(1)), None);
    }
}
