//! Every session there was, and those that live.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::bot::Bot;
use super::fault::Which;
use super::limits::AllMembers;
use super::mailbox::Order;
use super::record::Limit;
use super::refusal::Refusal;
use super::session::Session;
use super::verdict::Log;
use super::world::BOT_ID;
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
    /// The bot of `--token`.
    pub(super) main: Bot,
    /// The bot of `--other-token`.
    other: Option<Bot>,
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
        let bot = |id, token: &SecretString| Bot::new(id, token.clone(), &options, now);
        let other = options.other_token.as_ref();
        Self {
            log: Log::default(),
            main: bot(BOT_ID, &options.token),
            other: other.map(|token| bot(options.other_bot_id, token)),
            all_members: AllMembers::default(),
            all: Vec::new(),
            identifies: 0,
            refused: 0,
            resumes: Vec::new(),
            counts: vec![options.shards],
            live: HashMap::new(),
            closed: HashSet::new(),
            record,
            nonce,
            options,
        }
    }

    /// The id of the bot with this token, which may follow `Bot `.
    pub(super) fn whose(&self, token: &str) -> Option<u64> {
        let bot = self.with_token(token)?;
        bot.valid.then_some(bot.id)
    }

    /// Why this token is refused: no rule is broken by one that was right until it was reset.
    pub(super) fn wrong_token(&self, token: &str, what: &str) -> Refusal {
        let known = self.with_token(token).is_some();
        Refusal::of(4004, if known { "" } else { "wrong_token" }, what)
    }

    fn with_token(&self, token: &str) -> Option<&Bot> {
        let bots = [Some(&self.main), self.other.as_ref()];
        bots.into_iter().flatten().find(|bot| bot.has(token))
    }

    /// The bot of an id that [`Self::whose`] gave.
    pub(super) fn bot(&mut self, id: u64) -> &mut Bot {
        match &mut self.other {
            Some(other) if other.id == id => other,
            _ => &mut self.main,
        }
    }

    /// Its id, if there is such a bot.
    pub(super) fn id_of(&self, which: Which) -> Option<u64> {
        match which {
            Which::Main => Some(self.main.id),
            Which::Other => self.other.as_ref().map(|bot| bot.id),
        }
    }

    /// Changes the number of identify buckets.
    pub(super) fn resize_buckets(&mut self, max: u32) {
        self.main.concurrency.resize(max);
        if let Some(other) = &mut self.other {
            other.concurrency.resize(max);
        }
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

    /// What Discord does to a bot beyond its daily limit, and takes back at another time. How many sessions end.
    pub(super) fn revoke(&mut self, bot: u64, revoked: bool, at_ms: u64) -> usize {
        self.bot(bot).valid = !revoked;
        let before = self.live.len();
        self.live.retain(|_, session| {
            let mut session = session.lock();
            let ends = revoked && session.identity.bot == bot;
            if ends {
                session.order(Order::TokenReset);
                session.end("token_reset", at_ms);
            }
            !ends
        });
        before - self.live.len()
    }

    /// The sessions that have not ended.
    pub(super) fn live(&self) -> impl Iterator<Item = &Arc<Shared>> {
        self.live.values()
    }

    /// Identifies that the main bot has left today, and the time until all are back.
    pub(super) fn identifies_left(&mut self, now: Instant) -> (u32, Duration) {
        self.main.daily.left(now)
    }
}

/// Why a session ended that its client closed.
pub(super) const CLOSED_BY_CLIENT: &str = "closed_by_client";
/// Why a session ended that was to be resumed from before what is kept of it.
const FORGOTTEN: &str = "forgotten";

#[cfg(test)]
mod tests;
