//! What the simulator's tasks share. Locks are held for decisions only, never while something is sent;
//! where two are needed the registry's comes before a session's.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api::Desk;
use super::event::Event;
use super::fault::{Fault, Shards, span};
use super::mailbox::Order;
use super::record::Limit;
use super::registry::{Registry, Shared};
use super::script::Script;
use super::session::Session;
use super::{answer, fault};
use crate::clock;
use crate::config::sim::SimOptions;

/// The simulator.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) options: Arc<SimOptions>,
    /// `s` of https and wss, or nothing.
    pub(super) secure: &'static str,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
    /// Dispatches numbered, of all sessions.
    pub(super) sent: AtomicU64,
    /// Sockets that spoke to the gateway.
    pub(super) connections: AtomicU64,
    /// Events a second.
    pub(super) rate: AtomicU32,
    /// Unix milliseconds.
    pub(super) started_ms: u64,
    record: Arc<Limit>,
    registry: Mutex<Registry>,
    script: Mutex<Script>,
    desk: Mutex<Desk>,
}

impl Hub {
    pub(super) fn new(options: SimOptions, shutdown: CancellationToken) -> Self {
        let options = Arc::new(options);
        let record = Arc::new(Limit::new(options.record_limit));
        let registry = Registry::new(
            Arc::clone(&options),
            Arc::clone(&record),
            options.seed.unwrap_or_else(rand::random),
            clock::now(),
        );
        Self {
            secure: if options.tls_cert.is_some() { "s" } else { "" },
            tasks: TaskTracker::new(),
            shutdown,
            sent: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            rate: AtomicU32::new(options.events_per_second),
            started_ms: clock::unix_ms(),
            record,
            registry: Mutex::new(registry),
            script: Mutex::default(),
            desk: Mutex::default(),
            options,
        }
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record_full(&self) -> bool {
        self.record.full()
    }

    /// Sends an event into a session.
    pub(super) fn dispatch(
        &self,
        session: &mut Session,
        event: Event,
        scratch: &mut String,
        write: impl FnOnce(&mut Session, &mut String),
    ) {
        if session.ended.is_some() {
            return;
        }
        let at = clock::unix_ms().saturating_sub(self.started_ms);
        session.dispatch(event, at, scratch, write);
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// The next event of a session's traffic; false: nothing can happen.
    pub(super) fn flow(&self, session: &mut Session, scratch: &mut String) -> bool {
        if session.ended.is_some() {
            return false;
        }
        let at = clock::unix_ms().saturating_sub(self.started_ms);
        let happened = session.flow(at, scratch).is_some();
        self.sent.fetch_add(u64::from(happened), Ordering::Relaxed);
        happened
    }

    /// Makes a fault happen; how many shards or settings it touched.
    pub(super) fn apply(&self, fault: &Fault, shards: &Shards) -> usize {
        let now = clock::now();
        let order = |order: Order| self.each(shards, |session| session.order(order.clone()));
        match fault {
            Fault::Drop {} => order(Order::Drop),
            Fault::Close { code } => order(Order::Close(*code)),
            Fault::Reconnect {} => order(Order::Reconnect),
            Fault::Silence { for_ms } => {
                order(Order::Silence(std::time::Duration::from_millis(*for_ms)))
            }
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
                self.script().set_no_hello(*count, span(*for_ms), now);
                1
            }
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
                let delay = std::time::Duration::from_millis(*ms);
                self.script()
                    .set_slow_ack(shards.clone(), delay, fault::span(*for_ms), now);
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

    pub(super) fn each(&self, shards: &Shards, mut act: impl FnMut(&mut Session) -> bool) -> usize {
        let sessions: Vec<Arc<Shared>> = self.registry().live().map(Arc::clone).collect();
        let touched = sessions.iter().filter(|session| {
            let mut session = session.lock();
            shards.has(session.identity.shard) && act(&mut session)
        });
        touched.count()
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
