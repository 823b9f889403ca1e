//! Answers to a client's commands: heartbeats, IDENTIFY, RESUME, and what needs a session.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::admission::{Admission, Caller};
use super::answer::{self, Greeting};
use super::event::Event;
use super::frame::{Identify, Members, Resume};
use super::interrupt::{At, Then};
use super::peer::{ACK, End, INVALID, INVALID_RESUMABLE, Peer};
use super::refusal::Refusal;
use super::registry::Shared;
use super::session::Session;
use super::transport::Transport;
use crate::clock;
use crate::config::sim::Excess;

impl Peer {
    pub(super) fn on_heartbeat(&mut self, seq: Option<u64>, now: Instant) -> Result<(), End> {
        if let (Some(session), Some(seq)) = (&self.session, seq) {
            let mut session = session.lock();
            let (last, claimed) = (session.last(), session.claimed());
            session.acknowledged(seq.min(last));
            drop(session);
            if seq > claimed {
                self.note(
                    "sequence_ahead",
                    format!("heartbeat at {seq} of a session at {last}"),
                );
            }
        }
        if self.silent_until.is_some() {
            return Ok(());
        }
        let delay = self.shard.map_or(Duration::ZERO, |shard| {
            self.hub.script().ack_delay(shard, now)
        });
        if delay.is_zero() {
            return self.say(ACK);
        }
        self.acks.push_back(now + delay);
        Ok(())
    }

    pub(super) fn on_identify(&mut self, ask: &Identify, now: Instant) -> Result<(), End> {
        let at_ms = clock::unix_ms();
        // After op 9 the same socket will do: Discord's staff said so in 2020.
        if self.request.resuming && !self.invalidated {
            self.note("identify_at_resume_url", "IDENTIFY belongs to the main URL");
        }
        let admitted = self.hub.registry().admit(ask, now, at_ms);
        let pair = match admitted {
            Ok(pair) => pair,
            Err(refused) => return self.admitted(refused, 0).map(drop),
        };
        self.came(pair.shard);
        let turn = self.turn(At::Identify, Some(pair.shard));
        if let Some(turn) = turn.as_ref().filter(|turn| turn.then != Then::GoOn) {
            self.hub.registry().refused += 1;
            return self.take(turn).map(drop);
        }
        let told = self.hub.script().ready(pair.shard, now);
        let id = told.session_id.as_deref();
        let id = id.and_then(|id| serde_json::from_str::<String>(id).ok());
        let caller = self.caller();
        let session = self.hub.registry().begin(ask, pair, id, caller, at_ms);
        let Some(shared) = self.admitted(Admission::Granted(session), 0)? else {
            return Ok(());
        };
        if let Some(turn) = turn {
            self.take(&turn)?;
        }
        if ask.compress == Some(true) && matches!(self.outbox.transport, Transport::Plain) {
            self.outbox.transport = Transport::Payload;
        }
        let place = self.hub.script().place();
        let (secure, host) = (self.hub.secure, &self.request.host);
        let greeting = Greeting {
            version: self.request.version.unwrap_or(10),
            sharded: ask.shard.is_some(),
            resume_url: format!("ws{secure}://{host}{place}/resume"),
            extra: self.hub.options.extra_keys,
            told,
        };
        self.hub.dispatch(
            &mut shared.lock(),
            Event::Ready,
            &mut self.scratch,
            |session, out| {
                answer::ready(session, greeting, out);
            },
        );
        self.due_after(&shared, At::Ready);
        Ok(())
    }

    pub(super) fn on_resume(&mut self, ask: &Resume) -> Result<(), End> {
        let whose = self.hub.registry().shard_of(&ask.session_id);
        if let Some(shard) = whose {
            self.came(shard);
        }
        let refused = |shard| self.hub.script().refuses_resume(shard, clock::now());
        if whose.is_some_and(refused) {
            return self.invalid(true);
        }
        if let Some(turn) = self.turn(At::Resume, whose)
            && !self.take(&turn)?
        {
            return Ok(());
        }
        let admission = self
            .hub
            .registry()
            .resume(ask, self.caller(), clock::unix_ms());
        let Some(shared) = self.admitted(admission, ask.seq)? else {
            return Ok(());
        };
        if let Some(turn) = self.turn(At::Replayed, self.shard) {
            let goes_on = turn.then == Then::GoOn;
            self.due = Some((shared.lock().last(), turn));
            if !goes_on {
                return Ok(());
            }
        }
        self.hub.dispatch(
            &mut shared.lock(),
            Event::Resumed,
            &mut self.scratch,
            |_, out| {
                out.push_str(r#"{"_trace":[]}"#);
            },
        );
        self.due_after(&shared, At::Resumed);
        Ok(())
    }

    /// What a script has in mind for this moment waits until the session's last dispatch is sent.
    fn due_after(&mut self, shared: &Shared, at: At) {
        if let Some(turn) = self.turn(at, self.shard) {
            self.due = Some((shared.lock().last(), turn));
        }
    }

    pub(super) fn admitted(
        &mut self,
        admission: Admission,
        cursor: u64,
    ) -> Result<Option<Arc<Shared>>, End> {
        match admission {
            Admission::Refused(refusal) => Err(End::Refused(refusal)),
            Admission::Invalid => self.invalid(false).map(|()| None),
            Admission::Granted(shared) => {
                self.connection.set_authenticated(true);
                self.cursor = cursor;
                self.shard = Some(shared.lock().identity.shard);
                self.session = Some(Arc::clone(&shared));
                let every = self.hub.options.reconnect_every.0;
                self.reconnect_at = (!every.is_zero()).then(|| clock::now() + every);
                Ok(Some(shared))
            }
        }
    }

    pub(super) fn on_members(&mut self, ask: &Members, now: Instant) -> Result<(), End> {
        let Some(shared) = self.session.clone() else {
            return Ok(());
        };
        if answer::wants_all(ask) {
            let intents = shared.lock().identity.intents;
            if !Event::GuildMemberAdd.allowed(intents) {
                let refusal = Refusal::of(
                    4014,
                    "members_intent",
                    "all members asked for without GUILD_MEMBERS",
                );
                return self.excess(self.hub.options.members_without_intent, refusal);
            }
            let admitted = self.hub.registry().all_members.admit(ask.guild_id, now);
            if let Err(wait) = admitted {
                self.note(
                    "members_rate",
                    format!("all members of guild {} again within 30 s", ask.guild_id.0),
                );
                let limited = answer::rate_limited(ask, wait.as_secs_f64());
                self.answer(|_| vec![(Event::RateLimited, limited)]);
                return Ok(());
            }
        }
        self.answer(|session| answer::members(session, ask));
        Ok(())
    }

    /// Dispatches answers to a command.
    pub(super) fn answer(&mut self, make: impl FnOnce(&Session) -> Vec<(Event, String)>) {
        let Some(shared) = &self.session else {
            return;
        };
        let mut session = shared.lock();
        for (event, data) in make(&session) {
            self.hub
                .dispatch(&mut session, event, &mut self.scratch, |_, out| {
                    out.push_str(&data);
                });
        }
    }

    /// Op 9.
    pub(super) fn invalid(&mut self, resumable: bool) -> Result<(), End> {
        self.invalidated = true;
        self.say(if resumable {
            INVALID_RESUMABLE
        } else {
            INVALID
        })?;
        if !resumable && self.hub.options.invalid_session_closes {
            return Err(End::Told(Some(4000)));
        }
        Ok(())
    }

    pub(super) fn excess(&mut self, excess: Excess, refusal: Refusal) -> Result<(), End> {
        match excess {
            Excess::Close => Err(End::Refused(refusal)),
            Excess::Ignore => {
                self.note(refusal.rule, refusal.detail);
                Ok(())
            }
        }
    }

    /// The connection is of this shard: counted once.
    fn came(&mut self, shard: u32) {
        if self.came.replace(shard).is_none() {
            self.hub.arrivals().named(shard, self.opened);
        }
    }

    fn caller(&self) -> Caller {
        Caller {
            connection: self.id,
            mailbox: Arc::clone(&self.mailbox),
        }
    }
}
