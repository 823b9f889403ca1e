//! Makes faults happen.

use std::sync::Arc;
use std::time::Duration;

use super::answer;
use super::armed::Term;
use super::event::Event;
use super::fault::{Fault, Shards, span};
use super::hub::Hub;
use super::interrupt::{At, Turn};
use super::mailbox::Order;
use super::session;
use crate::clock;

impl Hub {
    /// Makes a fault happen; how many shards or settings it touched.
    pub(super) fn apply(&self, fault: &Fault, shards: &Shards) -> usize {
        let now = clock::now();
        let order = |order: Order| self.each(shards, |session| session.order(order.clone()));
        match fault {
            Fault::Drop {} => order(Order::Drop),
            Fault::Close { code } => order(Order::Close(*code)),
            Fault::Reconnect {} => order(Order::Reconnect),
            Fault::Silence { for_ms } => order(Order::Silence(Duration::from_millis(*for_ms))),
            Fault::HeartbeatRequest {} => order(Order::AskHeartbeat),
            Fault::Garbage {} => order(Order::Garbage),
            Fault::Invalidate { resumable: true } => order(Order::Invalidate { resumable: true }),
            Fault::Invalidate { resumable: false } => self.end(shards, "invalidated"),
            Fault::Expire {} => self.end(shards, "expired"),
            Fault::Hole {} => self.each(shards, |session| {
                session.skip();
                true
            }),
            Fault::HugeEvent { bytes } => self.each(shards, |session| {
                let mut scratch = String::new();
                self.dispatch(session, Event::GuildCreate, &mut scratch, |session, out| {
                    answer::huge_guild(session, *bytes, out);
                });
                true
            }),
            Fault::NoHello { count, for_ms } => {
                let term = term(*count, *for_ms);
                let mut script = self.script();
                script.set_turn(At::Connect, Shards::All, term, Turn::default(), now);
                1
            }
            Fault::Interrupt {
                at,
                say,
                then,
                code,
                count,
                for_ms,
            } => {
                let turn = Turn {
                    say: say.clone(),
                    then: *then,
                    code: *code,
                };
                let term = term(*count, *for_ms);
                self.script().set_turn(*at, shards.clone(), term, turn, now);
                1
            }
            Fault::Raw { text } => self.raw_to(shards, text),
            Fault::ResumeHost { mode, for_ms } => {
                self.script().set_resume(*mode, span(*for_ms), now);
                1
            }
            Fault::RefuseConnect { mode, for_ms } => {
                self.script().set_gateway(*mode, span(*for_ms), now);
                1
            }
            Fault::RefuseResume { for_ms } => {
                let mut script = self.script();
                script.set_refuse_resume(shards.clone(), span(*for_ms), now);
                1
            }
            Fault::SlowAck { ms, for_ms } => {
                let delay = Duration::from_millis(*ms);
                self.script()
                    .set_slow_ack(shards.clone(), delay, span(*for_ms), now);
                1
            }
            Fault::Outage { guilds, for_ms } => {
                let most = guilds.unwrap_or(usize::MAX);
                self.script()
                    .set_outage(shards.clone(), most, span(*for_ms), now);
                self.each(shards, |session| self.darken(session, most))
            }
            Fault::Raid { joins, for_ms } => {
                self.script().set_raid(shards.clone(), *joins, *for_ms, now);
                self.each(shards, |_| true)
            }
            Fault::RestLimit {
                count,
                retry_after,
                global,
            } => {
                self.script().set_rest_limit(*count, *retry_after, *global);
                1
            }
            Fault::MaxConcurrency { max_concurrency } => {
                self.registry().concurrency.resize(*max_concurrency);
                1
            }
        }
    }

    /// Sends a text to everybody who listens; a dispatch of the session's also to whoever resumes it.
    fn raw_to(&self, shards: &Shards, text: &str) -> usize {
        let text: Arc<str> = text.into();
        self.each(shards, |session| {
            if session::wants_sequence(&text) {
                self.raw(session, &text);
                return true;
            }
            session.order(Order::Say(Arc::clone(&text)))
        })
    }

    /// Ends sessions; a client that listens is told with op 9 unless the session expires.
    fn end(&self, shards: &Shards, reason: &'static str) -> usize {
        let mut registry = self.registry();
        let ended: Vec<String> = registry
            .live()
            .filter_map(|session| {
                let session = session.lock();
                let hit = shards.has(session.identity.shard);
                if hit {
                    let gone = reason == "expired";
                    session.order(if gone {
                        Order::Drop
                    } else {
                        Order::Invalidate { resumable: false }
                    });
                }
                hit.then(|| session.identity.id.clone())
            })
            .collect();
        let now_ms = clock::unix_ms();
        for id in &ended {
            registry.end(id, reason, now_ms);
        }
        ended.len()
    }
}

fn term(count: Option<u32>, for_ms: Option<u64>) -> Term {
    Term {
        count,
        span: span(for_ms),
    }
}
