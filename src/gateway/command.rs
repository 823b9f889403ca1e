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
    intents: Intents,
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
            intents,
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
        let command = match read(&message.payload, self.shards) {
            Ok((owner, command)) => match self.objection(owner, &command) {
                None => command,
                Some(refused) => {
                    let refused = Reply::Refused(refused);
                    return self.answer(message.reply.as_ref(), command.op.as_str(), &refused);
                }
            },
            Err((op, refused)) => {
                return self.answer(message.reply.as_ref(), op, &Reply::Refused(refused));
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

    /// Why this shard does not send a command that is good in itself.
    fn objection(&self, owner: Option<ShardId>, command: &Command) -> Option<Refused> {
        if let Some(owner) = owner.filter(|owner| *owner != self.shard) {
            let detail = format!("the guild belongs to shard {owner} of {}", self.shards);
            return Some(Refused::new(Reason::WrongShard, detail));
        }
        // Without it Discord refuses who lists members, and may refuse the bot.
        let detail = if command.lists_members && !self.intents.contains(Intents::GUILD_MEMBERS) {
            "a list of members needs the intent GUILD_MEMBERS in discord.intents"
        // Without it Discord answers without presences, as if nobody had asked for them.
        } else if command.presences && !self.intents.contains(Intents::GUILD_PRESENCES) {
            "presences need the intent GUILD_PRESENCES in discord.intents"
        } else {
            return None;
        };
        Some(Refused::new(Reason::Malformed, detail))
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

/// Reads a command of a fleet of so many shards, and whose it is; none for a presence.
///
/// # Errors
/// The refusal that its asker gets, and the label that it is counted by.
fn read(
    payload: &[u8],
    shards: u32,
) -> Result<(Option<ShardId>, Command), (&'static str, Refused)> {
    let command = Command::parse(payload).map_err(|refused| ("other", refused))?;
    match command.shard(shards) {
        Ok(owner) => Ok((owner, command)),
        Err(refused) => Err((command.op.as_str(), refused)),
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
    count(op, reply);
    if let Some(to) = to {
        let said = client.publish(to.clone(), wire::encode(reply));
        // Many answers in one poll of the task would use up its budget, and then be lost.
        _ = unconstrained(said).now_or_never();
    }
}

/// Counts what became of a command: once, by whoever decided it.
fn count(op: &'static str, reply: &Reply) {
    let result = match reply {
        Reply::Refused(refused) => refused.reason.as_str(),
        Reply::Accepted(_) | Reply::Spread(_) => "accepted",
    };
    counter!(table::COMMANDS.name, "op" => op, "result" => result).increment(1);
}
