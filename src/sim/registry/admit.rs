//! Who may start or resume a session: token, shard pair, intents, concurrency, daily limit.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::admission::{self, Admission, Admitted, Caller};
use super::super::frame::{Identify, Resume};
use super::super::mailbox::Order;
use super::super::refusal::Refusal;
use super::super::session::NoReplay;
use super::{FORGOTTEN, Registry, Shared};
use crate::config::sim::{Answer, Takeover};

/// Shard counts remembered.
const MOST_COUNTS: usize = 8;

impl Registry {
    /// Op 2: whether a session may begin. It costs an identify.
    pub(in super::super) fn admit(
        &mut self,
        ask: &Identify,
        now: Instant,
        at_ms: u64,
    ) -> Result<Admitted, Admission> {
        let whose = self.whose(&ask.token);
        let known = whose.ok_or_else(|| self.wrong_token(&ask.token, "identify"));
        let pair = match known.and_then(|bot| admission::check(ask, &self.options, bot)) {
            Ok(pair) => pair,
            Err(refusal) => {
                self.refuse(whose, now);
                return Err(Admission::Refused(refusal));
            }
        };
        let shard = pair.shard;
        let bot = self.bot(pair.bot);
        let (buckets, total) = (bot.concurrency.max, bot.daily.total);
        if let Err(ago) = bot.concurrency.admit(shard, now) {
            let detail = format!(
                "bucket {} was used {} ms before",
                shard % buckets,
                ago.as_millis()
            );
            self.log
                .add("identify_concurrency", Some(shard), at_ms, detail);
            self.refuse(whose, now);
            return Err(Admission::Invalid);
        }
        if !bot.daily.spend(now) {
            let detail = format!("all {total} identifies were used");
            self.log.add("daily_limit", Some(shard), at_ms, detail);
            self.revoke(pair.bot, true, at_ms);
            let refusal = Refusal::of(4004, "", "the token was reset");
            return Err(Admission::Refused(refusal));
        }
        Ok(pair)
    }

    /// The session of an IDENTIFY that was admitted; with this id, unless a session that lives has it.
    pub(in super::super) fn begin(
        &mut self,
        ask: &Identify,
        pair: Admitted,
        id: Option<String>,
        caller: Caller,
        at_ms: u64,
    ) -> Arc<Shared> {
        let shards = pair.shards;
        for other in self.live.values() {
            let other = other.lock();
            let identity = &other.identity;
            if (identity.bot, identity.shard, identity.shards) == (pair.bot, pair.shard, shards) {
                other.order(Order::Witness);
            }
        }
        self.identifies += 1;
        self.counts.retain(|count| *count != shards);
        self.counts.push(shards);
        if self.counts.len() > MOST_COUNTS {
            self.counts.remove(0);
        }
        self.create(ask, pair, id, caller, at_ms)
    }

    /// Op 6.
    pub(in super::super) fn resume(
        &mut self,
        ask: &Resume,
        caller: Caller,
        at_ms: u64,
    ) -> Admission {
        let Some(whose) = self.whose(&ask.token) else {
            let Refusal { code, rule, detail } = self.wrong_token(&ask.token, "resume");
            return Self::no(self.options.resume_wrong_token, code, rule, &detail);
        };
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
        if session.identity.bot != whose {
            let shard = Some(session.identity.shard);
            let detail = "a RESUME with another bot's token";
            self.log.add("foreign_session", shard, at_ms, detail);
            return Admission::Invalid;
        }
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
                // A script's own text may have misled the client.
                let rule = if ask.seq > session.claimed() {
                    "sequence_ahead"
                } else {
                    ""
                };
                return Self::no(self.options.resume_ahead, 4007, rule, &detail);
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

    fn refuse(&mut self, whose: Option<u64>, now: Instant) {
        self.refused += 1;
        if self.options.count_failed_identifies {
            let bot = whose.unwrap_or(self.main.id);
            self.bot(bot).daily.spend(now);
        }
    }

    fn no(answer: Answer, code: u16, rule: &'static str, detail: &str) -> Admission {
        match answer {
            Answer::Close => Admission::Refused(Refusal::of(code, rule, detail)),
            Answer::Invalid => Admission::Invalid,
        }
    }
}
