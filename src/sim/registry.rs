//! Every session there was, and those that live.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::limits::{AllMembers, Concurrency, Daily};
use super::mailbox::Order;
use super::record::Limit;
use super::session::Session;
use super::verdict::Log;
use crate::config::sim::SimOptions;

mod admit;
mod create;

/// A session that its connection, the traffic and the record share.
#[derive(Debug)]
pub(super) struct Shared(Mutex<Session>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sessions and the limits on starting them.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) log: Log,
    pub(super) concurrency: Concurrency,
    pub(super) daily: Daily,
    pub(super) all_members: AllMembers,
    /// Every session there ever was, in order.
    pub(super) all: Vec<Arc<Shared>>,
    pub(super) identifies: u64,
    pub(super) refused: u64,
    pub(super) resumes: Vec<(u32, String, u64)>,
    /// Shard counts in use, the latest last; which guilds exist follows from them.
    pub(super) counts: Vec<u32>,
    options: Arc<SimOptions>,
    /// Sessions that have not ended.
    live: HashMap<String, Arc<Shared>>,
    /// Sessions that their own client closed with 1000 or 1001.
    closed: HashSet<String>,
    token_valid: bool,
    record: Arc<Limit>,
    nonce: u64,
}

impl Registry {
    /// Session ids follow from `nonce`.
    pub(super) fn new(
        options: Arc<SimOptions>,
        record: Arc<Limit>,
        nonce: u64,
        now: Instant,
    ) -> Self {
        let remaining = options
            .session_start_remaining
            .unwrap_or(options.session_start_total);
        Self {
            log: Log::default(),
            concurrency: Concurrency::new(
                options.max_concurrency,
                options.identify_window.0,
                options.identify_window_kind,
                now,
            ),
            daily: Daily::new(
                options.session_start_total,
                remaining,
                options.session_start_reset.0,
                now,
            ),
            all_members: AllMembers::default(),
            all: Vec::new(),
            identifies: 0,
            refused: 0,
            resumes: Vec::new(),
            counts: vec![options.shards],
            live: HashMap::new(),
            closed: HashSet::new(),
            token_valid: true,
            record,
            nonce,
            options,
        }
    }

    /// Whether `token`, with or without `Bot `, is right.
    pub(super) fn knows(&self, token: &str) -> bool {
        use secrecy::ExposeSecret;
        let token = token.strip_prefix("Bot ").unwrap_or(token);
        self.token_valid && token == self.options.token.expose_secret()
    }

    /// The shard of a session that lives.
    pub(super) fn shard_of(&self, id: &str) -> Option<u32> {
        self.live
            .get(id)
            .map(|session| session.lock().identity.shard)
    }

    /// Ends a session.
    pub(super) fn end(&mut self, id: &str, reason: &'static str, at_ms: u64) {
        if let Some(session) = self.live.remove(id) {
            session.lock().end(reason, at_ms);
        }
        if reason == CLOSED_BY_CLIENT {
            self.closed.insert(id.to_owned());
        }
    }

    /// Forgets the sessions whose time without a socket is over.
    pub(super) fn expire(&mut self, now: Instant, at_ms: u64) {
        self.live
            .retain(|_, session| !session.lock().expire(now, at_ms));
    }

    /// What Discord does to a bot beyond its daily limit.
    pub(super) fn reset_token(&mut self, at_ms: u64) {
        self.token_valid = false;
        for (_, session) in self.live.drain() {
            let mut session = session.lock();
            session.order(Order::TokenReset);
            session.end("token_reset", at_ms);
        }
    }

    /// The sessions that have not ended.
    pub(super) fn live(&self) -> impl Iterator<Item = &Arc<Shared>> {
        self.live.values()
    }

    /// Identifies left today, and the time until all are back.
    pub(super) fn identifies_left(&mut self, now: Instant) -> (u32, Duration) {
        self.daily.left(now)
    }
}

/// Why a session ended that its client closed.
pub(super) const CLOSED_BY_CLIENT: &str = "closed_by_client";
/// Why a session ended that was to be resumed from before what is kept of it.
const FORGOTTEN: &str = "forgotten";

#[cfg(test)]
mod tests;
