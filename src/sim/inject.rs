//! Makes faults happen.

use std::sync::Arc;
use std::time::Duration;

use super::answer;
use super::event::Event;
use super::fault::{Fault, Shards, span};
use super::hub::Hub;
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
            Fault::Invalidate {
                resumable,
                say,
                close,
            } => {
                let said = Order::Invalidate {
                    resumable: *resumable,
                    say: say.as_deref().map(Arc::from),
                    close: *close,
                };
                if *resumable {
                    order(said)
                } else {
                    self.end(shards, "invalidated", &said)
                }
            }
            Fault::Expire {} => self.end(shards, "expired", &Order::Drop),
            Fault::Hole {} => self.each(shards, |session| {
                session.skip();
                true
            }),
            Fault::HugeEvent { bytes } => self.huge(shards, *bytes, false),
            Fault::Inflate {
                bytes,
                dispatch: true,
            } => self.huge(shards, *bytes, true),
            Fault::Inflate { bytes, .. } => order(Order::Inflate(*bytes)),
            Fault::Raw { text, latin1 } => self.raw_to(shards, text, *latin1),
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
            Fault::MaxConcurrency { max_concurrency } => {
                self.registry().resize_buckets(*max_concurrency);
                1
            }
            Fault::RevokeToken { bot, revoked } => {
                let mut registry = self.registry();
                let whose = registry.id_of(*bot);
                whose.map_or(0, |id| registry.revoke(id, *revoked, clock::unix_ms()))
            }
            standing => usize::from(self.script().arm(standing, shards, now)),
        }
    }

    fn huge(&self, shards: &Shards, bytes: usize, hollow: bool) -> usize {
        self.each(shards, |session| {
            let mut scratch = String::new();
            self.dispatch(session, Event::GuildCreate, &mut scratch, |session, out| {
                answer::huge_guild(session, bytes, hollow, out);
            });
            true
        })
    }

    /// Sends a text to everybody who listens; a dispatch of the session's also to whoever resumes it.
    fn raw_to(&self, shards: &Shards, text: &str, latin1: bool) -> usize {
        let text: Arc<str> = text.into();
        self.each(shards, |session| {
            if session::wants_sequence(&text) {
                self.raw(session, &text, latin1);
                return true;
            }
            session.order(Order::Say(Arc::clone(&text)))
        })
    }

    /// Ends sessions; a client that listens is told with op 9 unless the session expires.
    fn end(&self, shards: &Shards, reason: &'static str, order: &Order) -> usize {
        let mut registry = self.registry();
        let ended: Vec<String> = registry
            .live()
            .filter_map(|session| {
                let session = session.lock();
                let hit = shards.has(session.identity.shard);
                if hit {
                    session.order(order.clone());
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
