//! What the simulator's tasks share. Locks are held for decisions only, never while something is sent;
//! where two are needed the registry's comes before a session's.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api::Desk;
use super::arrivals::Arrivals;
use super::event::Event;
use super::fault::Shards;
use super::record::Limit;
use super::registry::{Registry, Shared};
use super::script::Script;
use super::session::Session;
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
    /// Requests to REST, those too that a fault answered.
    pub(super) rest_requests: AtomicU64,
    /// Events a second.
    pub(super) rate: AtomicU32,
    /// Unix milliseconds.
    pub(super) started_ms: u64,
    record: Arc<Limit>,
    registry: Mutex<Registry>,
    script: Mutex<Script>,
    desk: Mutex<Desk>,
    arrivals: Mutex<Arrivals>,
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
            rest_requests: AtomicU64::new(0),
            rate: AtomicU32::new(options.events_per_second),
            started_ms: clock::unix_ms(),
            record,
            registry: Mutex::new(registry),
            script: Mutex::default(),
            desk: Mutex::default(),
            arrivals: Mutex::default(),
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

    pub(super) fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Sends a script's text into a session.
    pub(super) fn raw(&self, session: &mut Session, text: &str, latin1: bool) {
        if session.ended.is_none() {
            let at = clock::unix_ms().saturating_sub(self.started_ms);
            session.raw(text, latin1, at);
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
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

    pub(super) fn each(&self, shards: &Shards, mut act: impl FnMut(&mut Session) -> bool) -> usize {
        let sessions: Vec<Arc<Shared>> = self.registry().live().map(Arc::clone).collect();
        let touched = sessions.iter().filter(|session| {
            let mut session = session.lock();
            shards.has(session.identity.shard) && act(&mut session)
        });
        touched.count()
    }
}
