//! Every session, and who may start or resume one: token, shard pair, intents, concurrency, daily limit.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::admission::{self, Admission, Caller};
use super::dice::Dice;
use super::frame::{Identify, Resume};
use super::limits::{AllMembers, Concurrency, Daily};
use super::mailbox::Order;
use super::record::{Limit, Rows};
use super::refusal::Refusal;
use super::session::{Bounds, Identity, NoReplay, Session};
use super::traffic::Traffic;
use super::verdict::Log;
use super::world::World;
use crate::config::sim::{Answer, SimOptions, Takeover};

/// Shard counts remembered.
const MOST_COUNTS: usize = 8;

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
    /// `nonce` makes session ids that no other run has.
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

    /// Op 2.
    pub(super) fn identify(
        &mut self,
        ask: &Identify,
        caller: Caller,
        now: Instant,
        at_ms: u64,
    ) -> Admission {
        let (shard, shards, intents) =
            match admission::check(ask, &self.options, self.knows(&ask.token)) {
                Ok(checked) => checked,
                Err(refusal) => {
                    self.refuse(now);
                    return Admission::Refused(refusal);
                }
            };
        if let Err(ago) = self.concurrency.admit(shard, now) {
            let detail = format!(
                "bucket {} was used {} ms before",
                shard % self.concurrency.max,
                ago.as_millis()
            );
            self.log
                .add("identify_concurrency", Some(shard), at_ms, detail);
            self.refuse(now);
            return Admission::Invalid;
        }
        if !self.daily.spend(now) {
            self.log.add(
                "daily_limit",
                Some(shard),
                at_ms,
                format!("all {} identifies were used", self.daily.total),
            );
            self.reset_token(at_ms);
            return Admission::Refused(Refusal::of(4004, "", "the token was reset"));
        }
        for other in self.live.values() {
            let other = other.lock();
            if (other.identity.shard, other.identity.shards) == (shard, shards) {
                other.order(Order::Witness);
            }
        }
        self.identifies += 1;
        self.counts.retain(|count| *count != shards);
        self.counts.push(shards);
        if self.counts.len() > MOST_COUNTS {
            self.counts.remove(0);
        }
        let session = self.create(ask, (shard, shards, intents), caller, at_ms);
        Admission::Granted(session)
    }

    /// Op 6.
    pub(super) fn resume(&mut self, ask: &Resume, caller: Caller, at_ms: u64) -> Admission {
        if !self.knows(&ask.token) {
            return Self::no(
                self.options.resume_wrong_token,
                4004,
                "wrong_token",
                "resume",
            );
        }
        if self.closed.contains(&ask.session_id) {
            let detail = format!(
                "session {} was closed by its client with 1000 or 1001",
                ask.session_id
            );
            self.log.add("resume_after_close", None, at_ms, detail);
            return Admission::Invalid;
        }
        let Some(found) = self.live.get(&ask.session_id).cloned() else {
            return Admission::Invalid;
        };
        let mut session = found.lock();
        match session.can_replay(ask.seq) {
            Ok(()) => {}
            Err(NoReplay::Forgotten) => {
                // Nobody can have it back any more, unless somebody listens to it.
                let over = session.listener().is_none();
                drop(session);
                if over {
                    self.end(&ask.session_id, FORGOTTEN, at_ms);
                }
                return Admission::Invalid;
            }
            Err(NoReplay::Ahead) => {
                let detail = format!("resume at {} of a session at {}", ask.seq, session.last());
                return Self::no(self.options.resume_ahead, 4007, "sequence_ahead", &detail);
            }
        }
        let shard = session.identity.shard;
        if ask.seq > session.delivered() {
            let detail = format!(
                "resume at {}, but only {} was ever written to a socket",
                ask.seq,
                session.delivered()
            );
            self.log.add("sequence_ahead", Some(shard), at_ms, detail);
        }
        if session.listener().is_some() {
            if self.options.resume_while_live == Takeover::Refuse {
                session.order(Order::Witness);
                return Admission::Invalid;
            }
            session.order(Order::Superseded);
        }
        session.attach(caller.connection, caller.mailbox);
        drop(session);
        self.resumes.push((shard, ask.session_id.clone(), at_ms));
        Admission::Granted(found)
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

    fn create(
        &mut self,
        ask: &Identify,
        (shard, shards, intents): (u32, u32, u64),
        caller: Caller,
        at_ms: u64,
    ) -> Arc<Shared> {
        let options = &self.options;
        let world = World {
            seed: options.seed,
            guilds_per_shard: options.guilds_per_shard,
        };
        let nth = self
            .all
            .iter()
            .filter(|other| other.lock().identity.shard == shard)
            .count() as u64;
        let mut name = Dice::of(&[self.nonce, self.all.len() as u64]);
        let identity = Identity {
            id: format!("{:016x}{:016x}", name.next(), name.next()),
            shard,
            shards,
            intents,
            large_threshold: ask.large_threshold.unwrap_or(50).clamp(50, 250),
            guilds: world.guilds(shard, shards),
            started_ms: at_ms,
        };
        let dice = Dice::of(&[options.seed, u64::from(shard), u64::from(shards), nth]);
        let traffic = Traffic::new(
            dice,
            identity.guilds.clone(),
            intents,
            options.presences,
            shard == 0,
        );
        let bounds = Bounds {
            events: options.replay_buffer,
            bytes: options.replay_bytes,
            trim_at_heartbeat: options.replay_trim_at_heartbeat,
        };
        let id = identity.id.clone();
        let mut session = Session::new(
            identity,
            bounds,
            traffic,
            Rows::new(Arc::clone(&self.record)),
        );
        session.attach(caller.connection, caller.mailbox);
        let made = Arc::new(Shared(Mutex::new(session)));
        self.all.push(Arc::clone(&made));
        self.live.insert(id, Arc::clone(&made));
        made
    }

    fn refuse(&mut self, now: Instant) {
        self.refused += 1;
        if self.options.count_failed_identifies {
            self.daily.spend(now);
        }
    }

    fn no(answer: Answer, code: u16, rule: &'static str, detail: &str) -> Admission {
        match answer {
            Answer::Close => Admission::Refused(Refusal::of(code, rule, detail)),
            Answer::Invalid => Admission::Invalid,
        }
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
mod tests {
    use super::*;
    use crate::config::sim::Span;
    use serde_json::json;

    fn registry(change: impl FnOnce(&mut SimOptions)) -> (Registry, Instant) {
        let mut options = SimOptions {
            guilds_per_shard: 1,
            ..SimOptions::default()
        };
        change(&mut options);
        let now = crate::clock::now();
        let record = Arc::new(Limit::new(1000));
        (Registry::new(Arc::new(options), record, 1, now), now)
    }

    fn ask(shard: u32, shards: u32) -> Identify {
        let d = json!({ "token": "Bot simulated", "properties": {}, "intents": 1, "shard": [shard, shards] });
        serde_json::from_value(d).unwrap()
    }

    fn caller(connection: u64) -> Caller {
        Caller {
            connection,
            mailbox: Arc::default(),
        }
    }

    fn granted(admission: Admission) -> Arc<Shared> {
        match admission {
            Admission::Granted(session) => session,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refused_identify_costs_nothing_of_the_day() {
        let (mut registry, now) = registry(|_| ());
        granted(registry.identify(&ask(0, 32), caller(1), now, 0));
        let second = registry.identify(&ask(16, 32), caller(2), now, 0);
        assert!(matches!(second, Admission::Invalid));
        assert_eq!(registry.identifies_left(now).0, 999);
        assert_eq!(registry.log.count, 1);
        let later = now + Duration::from_secs(5);
        granted(registry.identify(&ask(16, 32), caller(2), later, 0));
        assert_eq!(registry.log.count, 1);
    }

    #[test]
    fn a_resume_replays_to_its_caller_alone() {
        let (mut registry, now) = registry(|_| ());
        let session = granted(registry.identify(&ask(0, 1), caller(1), now, 0));
        let id = session.lock().identity.id.clone();
        let mut resume = Resume {
            token: "simulated".to_owned(),
            session_id: id.clone(),
            seq: 0,
        };
        granted(registry.resume(&resume, caller(2), 0));
        assert_eq!(session.lock().listener(), Some(2));
        resume.seq = 1;
        let Admission::Refused(refusal) = registry.resume(&resume, caller(3), 0) else {
            panic!("granted");
        };
        assert_eq!(refusal.code, 4007);
        registry.end(&id, CLOSED_BY_CLIENT, 0);
        resume.seq = 0;
        assert!(matches!(
            registry.resume(&resume, caller(4), 0),
            Admission::Invalid
        ));
        assert_eq!(registry.log.count, 1);
    }

    #[test]
    fn a_resume_from_before_what_is_kept_ends_the_session() {
        let (mut registry, now) = registry(|options| options.replay_trim_at_heartbeat = true);
        let session = granted(registry.identify(&ask(0, 1), caller(1), now, 0));
        let id = session.lock().identity.id.clone();
        for _ in 0..3 {
            let (event, mut scratch) = (super::super::event::Event::Resumed, String::new());
            session
                .lock()
                .dispatch(event, 0, &mut scratch, |_, out| out.push_str("{}"));
        }
        session.lock().acknowledged(2);
        let resume = Resume {
            token: "simulated".to_owned(),
            session_id: id,
            seq: 1,
        };
        // Whoever listens keeps it.
        assert!(matches!(
            registry.resume(&resume, caller(2), 5),
            Admission::Invalid
        ));
        assert_eq!(session.lock().ended, None);
        session.lock().detach(1, now, Duration::from_secs(1));
        assert!(matches!(
            registry.resume(&resume, caller(2), 6),
            Admission::Invalid
        ));
        assert_eq!(session.lock().ended, Some((FORGOTTEN, 6)));
    }

    #[test]
    fn the_knobs_of_a_resume_that_cannot_be() {
        let (mut registry, now) = registry(|options| {
            options.resume_wrong_token = Answer::Invalid;
            options.resume_ahead = Answer::Invalid;
            options.resume_while_live = Takeover::Refuse;
            options.identify_window = Span(Duration::ZERO);
        });
        let session = granted(registry.identify(&ask(0, 1), caller(1), now, 0));
        let id = session.lock().identity.id.clone();
        for (token, seq) in [("wrong", 0), ("simulated", 9), ("simulated", 0)] {
            let resume = Resume {
                token: token.to_owned(),
                session_id: id.clone(),
                seq,
            };
            assert!(matches!(
                registry.resume(&resume, caller(2), 0),
                Admission::Invalid
            ));
        }
        assert_eq!(session.lock().listener(), Some(1));
    }

    #[test]
    fn a_reset_token_is_wrong_from_then_on() {
        let (mut registry, now) = registry(|options| options.session_start_total = 1);
        let session = granted(registry.identify(&ask(0, 2), caller(1), now, 0));
        let refused = registry.identify(&ask(1, 2), caller(2), now, 7);
        assert!(matches!(
            refused,
            Admission::Refused(Refusal { code: 4004, .. })
        ));
        assert_eq!(session.lock().ended, Some(("token_reset", 7)));
        assert!(!registry.knows("simulated"));
    }
}
