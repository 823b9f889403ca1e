//! Permits to IDENTIFY: asked of the coordinator, and used at once or not at all.
//!
//! Where no coordinator answers, that is said: it is no fault of the shard, and lasts.
//!
//! Whoever polls the shard checks a permit's age, fires and sends, with no await that waits between.

use std::time::Duration;

use async_nats::Subscriber;
use futures_util::{FutureExt, StreamExt};
use rand::Rng;

use super::metrics;
use crate::{
    broker::Broker,
    clock::{self, Boottime},
    fleet::ShardId,
    identify::{Asker, Verdict},
    telemetry::seldom::Seldom,
    wire::{
        self,
        identify::{Confirm, Reply, Request},
    },
};

/// Asks for one shard.
pub struct Asking {
    broker: Broker,
    shard: ShardId,
    shards: u32,
    process: String,
    inbox: String,
    waiting: Option<Waiting>,
    /// Answers of the coordinator; only while somebody waits, for it is seldom and takes memory.
    answers: Option<Subscriber>,
    /// What was said of the IDENTIFY that left last.
    confirmed: Option<Confirm>,
    /// Lines about coordinators that do not answer, of the whole process.
    unanswered: Seldom,
}

struct Waiting {
    asker: Asker,
    since: Boottime,
    /// When a coordinator has answered last, or the waiting began.
    heard: Boottime,
}

/// An election of a leader takes a lease time; one that leads answers within a second.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often is said that nobody answers.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Lines about coordinators that do not answer.
pub fn unanswered() -> Seldom {
    Seldom::once_in(SAY_EVERY)
}

impl Asking {
    /// Asks nothing yet.
    pub fn new(
        broker: &Broker,
        shard: ShardId,
        shards: u32,
        process: String,
        unanswered: Seldom,
    ) -> Self {
        Self {
            broker: broker.clone(),
            shard,
            shards,
            process,
            inbox: broker.client.new_inbox(),
            waiting: None,
            answers: None,
            confirmed: None,
            unanswered,
        }
    }

    /// A connection has said HELLO, and there is no session: begins to ask. Whoever asked before asks no more.
    pub fn begin(&mut self) {
        self.withdraw();
        let nonce = format!("{:016x}", rand::rng().random::<u64>());
        let since = clock::boottime();
        let asker = Asker::new(self.shard, self.shards, nonce, self.process.clone(), since);
        self.waiting = Some(Waiting {
            asker,
            since,
            heard: since,
        });
    }

    /// When to ask next.
    pub fn next_wakeup(&self) -> Option<Boottime> {
        self.waiting
            .as_ref()
            .and_then(|waiting| waiting.asker.next_wakeup())
    }

    /// Asks, if it is time.
    pub fn ask(&mut self) {
        let now = clock::boottime();
        if let Some(waiting) = &mut self.waiting
            && waiting.asker.next_wakeup().is_some_and(|next| now >= next)
        {
            let request = waiting.asker.ask(now);
            let silent = now.since(waiting.heard);
            self.send(&request, true);
            self.say_unanswered(silent);
        }
    }

    fn say_unanswered(&self, silent: Duration) {
        if silent < PATIENCE || !self.broker.connected() {
            return;
        }
        if let Some(more) = self.unanswered.one_more(clock::now()) {
            let (shard, subject) = (self.shard, self.broker.names.identify());
            let seconds = silent.as_secs();
            tracing::warn!(
                %shard, subject, more,
                "shard {shard} waits to identify, and no coordinator has answered on {subject} for {seconds} s: is \
                 one there, does it lead, may it listen there? See `shardfleet status` and `shardfleet check --role \
                 coordinator`"
            );
        }
    }

    /// Another coordinator leads.
    pub fn on_leader(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            waiting.asker.on_leader(clock::boottime());
        }
    }

    /// Waits for an answer.
    pub async fn answer(&mut self) -> async_nats::Message {
        let answer = match &mut self.answers {
            Some(answers) => answers.next().await,
            None => None,
        };
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// An answer. True: call [`Asking::fire`] and send IDENTIFY, with no await between.
    pub fn on_answer(&mut self, message: &async_nats::Message) -> bool {
        let shard = self.shard;
        let Some(waiting) = &mut self.waiting else {
            return false;
        };
        // NATS says so itself where no coordinator listens; the next ask follows in a second.
        if message.status == Some(async_nats::StatusCode::NO_RESPONDERS) {
            return false;
        }
        let reply = match wire::decode::<Reply>(&message.payload) {
            Ok(reply) => reply,
            Err(error) => {
                tracing::warn!(%shard, "an answer to shard {shard} was not understood: {error}");
                return false;
            }
        };
        waiting.heard = clock::boottime();
        match waiting.asker.on_reply(&reply, clock::boottime()) {
            Verdict::Fire => true,
            Verdict::Refused(reason) => {
                tracing::warn!(%shard, "the coordinator refuses shard {shard}: {reason}");
                false
            }
            Verdict::Stale => {
                tracing::info!(%shard, "an identify permit for shard {shard} arrived too late and is discarded; it asks again");
                false
            }
            Verdict::Wait { .. } | Verdict::Foreign => false,
        }
    }

    /// Uses the permit, if it is still fresh. Send IDENTIFY at once, then [`Asking::confirm`].
    pub fn fire(&mut self) -> Option<Request> {
        let confirm = self.waiting.as_mut()?.asker.fire(clock::boottime())?;
        let waiting = self.waiting.take()?;
        self.answers = None;
        metrics::identify_waited(clock::boottime().since(waiting.since));
        Some(confirm)
    }

    /// The IDENTIFY left.
    pub fn confirm(&mut self, confirm: &Request) {
        if let Request::Confirm(confirm) = confirm {
            self.confirmed = Some(confirm.clone());
        }
        self.send(confirm, false);
    }

    /// Discord answered the IDENTIFY that left last with op 9: a limit may have fallen, which concerns
    /// everybody who waits. Said once; lost, the coordinator reads the limits a little later.
    pub fn rejected(&mut self) {
        if let Some(confirm) = self.confirmed.take() {
            let refused = Confirm {
                refused: true,
                ..confirm
            };
            self.send(&Request::Confirm(refused), false);
        }
    }

    /// Nobody waits any more.
    pub fn withdraw(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.answers = None;
            self.send(&waiting.asker.withdraw(), false);
        }
    }

    /// Sends without waiting: what NATS cannot take now is repeated, or not needed.
    fn send(&mut self, request: &Request, answered: bool) {
        let (subject, payload) = (self.broker.names.identify(), wire::encode(request));
        if !self.broker.connected() {
            return;
        }
        let client = &self.broker.client;
        if answered {
            if self.answers.is_none() {
                let answers = client.subscribe(self.inbox.clone()).now_or_never();
                self.answers = answers.and_then(Result::ok);
            }
            let reply = self.inbox.clone();
            _ = client
                .publish_with_reply(subject, reply, payload)
                .now_or_never();
        } else {
            _ = client.publish(subject, payload).now_or_never();
        }
    }
}
