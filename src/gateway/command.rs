//! Commands of workers, for one shard: taken from NATS or from this process's own router, checked, queued, answered.
//!
//! The shard's own loop owns it and sends: a command goes out only while there is a session, one at a
//! time, and is answered once it is on the socket. Nothing waits for a session, so that nothing is
//! sent twice after a reconnect, or late.

pub mod limits;
pub mod near;
pub mod route;

use std::{collections::VecDeque, time::Duration};

use anyhow::Result;
use async_nats::{Client, Message, Subject};
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};
use metrics::counter;
use tokio::task::unconstrained;
use twilight_model::gateway::Intents;

use self::{limits::Limits, near::Near};
use super::metrics as table;
use crate::{
    broker::Broker,
    clock::{self, Instant},
    fleet::ShardId,
    wire::{
        self, VERSION,
        command::{ASKER, Accepted, Command, Reason, Refused, Reply, rate_limited},
    },
};

/// Commands that wait for their turn on one shard.
const MOST_WAITING: usize = 64;
/// Requests whose asker is remembered, should Discord refuse them.
const MOST_REMEMBERED: usize = 128;
/// Discord says `RATE_LIMITED` at once, or not at all.
const REMEMBER: Duration = Duration::from_secs(10);
/// A full queue is worth another try after this long.
const CROWDED: Duration = Duration::from_millis(100);

/// Where workers ask, by NATS or by this process's own router.
pub type Asks = BoxStream<'static, Message>;

/// The commands of one shard.
pub struct Commands {
    client: Client,
    shard: ShardId,
    shards: u32,
    /// Without it Discord refuses who asks for all members, and may refuse the bot.
    may_list_members: bool,
    urgent: VecDeque<Asked>,
    patient: VecDeque<Asked>,
    limits: Limits,
    remembered: VecDeque<Remembered>,
}

/// A command and where its answer goes.
pub struct Asked {
    /// What to send.
    pub command: Command,
    reply: Option<Subject>,
    asker: Option<Subject>,
}

struct Remembered {
    guild: u64,
    nonce: Option<String>,
    asker: Subject,
    at: Instant,
}

impl Commands {
    /// Begins to listen: what is asked comes by the stream.
    ///
    /// # Errors
    /// Where NATS refuses the subscription.
    pub async fn open(
        broker: &Broker,
        shard: ShardId,
        shards: u32,
        intents: Intents,
        near: &Near,
    ) -> Result<(Self, Asks)> {
        let client = broker.client.clone();
        let asks = client.subscribe(broker.names.command(shard)).await?;
        let said_no = client.clone();
        let near = near.list(shard, move |message| turn_away(&said_no, &message));
        let commands = Self {
            client,
            shard,
            shards,
            may_list_members: intents.contains(Intents::GUILD_MEMBERS),
            urgent: VecDeque::new(),
            patient: VecDeque::new(),
            limits: Limits::default(),
            remembered: VecDeque::new(),
        };
        Ok((commands, stream::select(near, asks).boxed()))
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.patient.is_empty()
    }

    /// The next that may go out now; what may not is answered.
    pub fn next(&mut self, now: Instant) -> Option<Asked> {
        while let Some(asked) = self.urgent.pop_front().or_else(|| self.patient.pop_front()) {
            match self.limits.admit(&asked.command, now) {
                Ok(()) => return Some(asked),
                Err(wait) => {
                    let refused = Refused::new(Reason::Limited, wait.limit).retry_after(wait.after);
                    self.refuse(&asked, refused);
                }
            }
        }
        None
    }

    /// It is on the socket.
    pub fn sent(&mut self, asked: Asked, now: Instant) {
        self.answer(
            asked.reply.as_ref(),
            asked.command.op.as_str(),
            &Reply::Accepted(Accepted {
                v: VERSION,
                shard: self.shard.0,
                sent_at_ms: clock::unix_ms(),
            }),
        );
        let Asked {
            command,
            reply,
            asker,
        } = asked;
        if let (true, Some(guild), Some(asker)) =
            (command.all_members, command.guilds.first(), asker.or(reply))
        {
            self.remembered
                .retain(|known| now.duration_since(known.at) < REMEMBER);
            self.remembered.truncate(MOST_REMEMBERED - 1);
            self.remembered.push_front(Remembered {
                guild: *guild,
                nonce: command.nonce,
                asker,
                at: now,
            });
        }
    }

    /// There is no session: whatever waits is refused.
    pub fn no_session(&mut self) {
        while let Some(asked) = self.urgent.pop_front().or_else(|| self.patient.pop_front()) {
            self.broke(&asked, "the shard has no session at this moment");
        }
    }

    /// It did not go out, or nobody knows.
    pub fn broke(&self, asked: &Asked, detail: &str) {
        let refused = Refused::new(Reason::NoSession, detail);
        self.refuse(asked, refused.retry_after(Duration::from_secs(1)));
    }

    /// Discord said `RATE_LIMITED`: so does whoever asked for it hear.
    pub fn rate_limited(&mut self, payload: &str, now: Instant) {
        let Some(said) = rate_limited(payload).filter(|said| said.opcode == 8) else {
            return;
        };
        let wait = Duration::try_from_secs_f64(said.retry_after).unwrap_or_default();
        let guild = said.meta.guild_id.0;
        self.limits.limited(guild, wait, now);
        let known = |known: &Remembered| known.guild == guild && known.nonce == said.meta.nonce;
        let asker = self.remembered.iter().position(known);
        if let Some(Remembered { asker, .. }) = asker.and_then(|at| self.remembered.remove(at)) {
            let refused = Refused::new(Reason::Limited, "Discord says RATE_LIMITED for this guild");
            let reply = Reply::Refused(refused.retry_after(wait));
            self.answer(Some(&asker), "members", &reply);
        }
    }

    /// Takes what is asked: it waits for its turn, or is refused.
    pub fn take(&mut self, message: Message) {
        let asker = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get(ASKER));
        // The server has checked a reply subject, but not this.
        let asker = asker.map(|asker| Subject::from(asker.as_str()));
        let asker = asker.filter(Subject::is_valid);
        let parsed = Command::parse(&message.payload)
            .and_then(|command| Ok((command.shard(self.shards)?, command)));
        let command = match parsed {
            Ok((_, command)) if command.all_members && !self.may_list_members => {
                let detail = "all members need the intent GUILD_MEMBERS in discord.intents";
                let refused = Reply::Refused(Refused::new(Reason::Malformed, detail));
                return self.answer(message.reply.as_ref(), command.op.as_str(), &refused);
            }
            Ok((owner, command)) if owner.is_none_or(|owner| owner == self.shard) => command,
            Ok((owner, command)) => {
                let owner = owner.unwrap_or(self.shard);
                let detail = format!("the guild belongs to shard {owner} of {}", self.shards);
                let refused = Reply::Refused(Refused::new(Reason::WrongShard, detail));
                return self.answer(message.reply.as_ref(), command.op.as_str(), &refused);
            }
            Err(refused) => {
                return self.answer(message.reply.as_ref(), "other", &Reply::Refused(refused));
            }
        };
        let waiting = Asked {
            command,
            reply: message.reply,
            asker,
        };
        let queue = if limits::urgent(waiting.command.op) {
            &mut self.urgent
        } else {
            &mut self.patient
        };
        if queue.len() < MOST_WAITING {
            queue.push_back(waiting);
        } else {
            let refused = Refused::new(Reason::Limited, "too many commands wait for this shard");
            self.refuse(&waiting, refused.retry_after(CROWDED));
        }
    }

    fn refuse(&self, asked: &Asked, refused: Refused) {
        let op = asked.command.op.as_str();
        self.answer(asked.reply.as_ref(), op, &Reply::Refused(refused));
    }

    fn answer(&self, to: Option<&Subject>, op: &'static str, reply: &Reply) {
        answer(&self.client, to, op, reply);
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        self.no_session();
    }
}

/// What this process's router handed over and nobody has taken: only the shard can answer it.
fn turn_away(client: &Client, message: &Message) {
    let refused = Refused::new(Reason::NoSession, "the shard ends here at this moment");
    let refused = Reply::Refused(refused.retry_after(Duration::from_secs(1)));
    answer(client, message.reply.as_ref(), "other", &refused);
}

/// Answers without waiting: an asker who hears nothing has a time limit of its own.
fn answer(client: &Client, to: Option<&Subject>, op: &'static str, reply: &Reply) {
    let result = match reply {
        Reply::Refused(refused) => refused.reason.as_str(),
        Reply::Accepted(_) | Reply::Spread(_) => "accepted",
    };
    counter!(table::COMMANDS.name, "op" => op, "result" => result).increment(1);
    if let Some(to) = to {
        let said = client.publish(to.clone(), wire::encode(reply));
        // Many answers in one poll of the task would use up its budget, and then be lost.
        _ = unconstrained(said).now_or_never();
    }
}
