//! The coordinator role: says when a shard may IDENTIFY, so that Discord's limits hold whatever fails.
//!
//! Every coordinator campaigns for one lease. The holder runs [`leader::Leader`], the sole owner of
//! queue, budget and ledger; this file turns the world into its inputs and its effects into the world.
//! Nothing slow stands in the loop: ledger, limits and answers each have a task of their own.

pub mod buckets;
pub mod budget;
pub mod compat;
mod desk;
mod inquiry;
pub mod leader;
mod leaving;
mod ledger;
mod limits;
pub mod metrics;
mod news;
mod service;
pub mod slowdown;
mod standstill;
mod topology;
mod unheld;
mod watch;
mod yielding;

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tokio::sync::{mpsc, watch as channel};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    desk::{Desk, News},
    inquiry::{Inquiry, ask_discord},
    leader::{Leader, Options},
    leaving::Leaving,
    limits::Discord,
    service::Answers,
    standstill::Standstill,
    topology::Seed,
    unheld::Leases,
    yielding::Yielding,
};
use crate::{
    bot::BotId,
    broker::{Broker, bucket, start::Start},
    clock::Boottime,
    config::Config,
    lease::Owner,
    roster::{Board, Roster},
    supervise,
};

/// Runs the role until `shutdown`, then settles the ledger and gives the lease back.
///
/// # Errors
/// Where it cannot start: an unusable token, no buckets, an address in use; [`crate::bot::Other`] where the
/// fleet is another bot's, [`crate::wire::topology::Halted`] where it is halted because Discord refuses this
/// process's token.
pub async fn run(
    config: Arc<Config>,
    broker: Broker,
    bot: Option<BotId>,
    board: Board,
    start: Start,
    shutdown: CancellationToken,
) -> Result<()> {
    let state = bucket::open(&broker, &broker.names.state_bucket(), &start).await?;
    // Before it campaigns; afterwards whenever the topology changes.
    let same = shutdown.run_until_cancelled(topology::is_of(&state, bot));
    match same.await {
        Some(same) => same?,
        None => return Ok(()),
    }
    metrics::begin();
    let leases = bucket::open(&broker, &broker.names.lease_bucket(), &start).await?;
    let discord = Discord::new(&config.discord.api, &config.discord.token)?;
    let tasks = TaskTracker::new();
    let ended = CancellationToken::new();
    let (events, heard) = mpsc::channel(EVENTS);
    let (requests, requested) = mpsc::channel(REQUESTS);
    let (jobs, todo) = mpsc::channel(JOBS);
    let (questions, asked) = mpsc::channel(1);
    let (open, opened) = channel::channel(false);
    let leads = open.subscribe();
    let answers = Answers::new(broker.client.clone());

    let spawn = Spawn(&tasks, &ended);
    spawn.vital("ledger", ledger::keep(state.clone(), todo, events.clone()));
    let hearing = service::hear(broker.clone(), opened, requests, answers.clone());
    spawn.vital("identify-requests", hearing);
    let roster = Roster::gather(&broker, ended.clone()).await?;
    let seed = Seed::new(state.clone(), &config, bot, roster.clone());
    let (refused, said) = channel::channel(false);
    let inquiry = Inquiry {
        discord,
        seed,
        refused,
    };
    let asking = ask_discord(inquiry, asked, events.clone());
    spawn.vital("discord-limits", asking);
    let left = Leases {
        bucket: leases.clone(),
        ttl: config.lease.ttl.0,
    };
    let counting = unheld::count(broker.clone(), roster, left, leads, ended.clone());
    spawn.vital("unheld", counting);
    let token = config.discord.token.fingerprint();
    let leave = shutdown.child_token();
    let leaving = Leaving::new(bot, &token, leave.clone());
    news::watch(&spawn, &state, &events, &token, &leaving);
    let hearing = news::losses(state.clone(), events.clone(), ended.clone());
    spawn.vital("state-losses", hearing);
    if let Some(address) = config.coordinator.http.0 {
        let front = compat::Front::new(broker.clone(), board.process());
        let listening = compat::listen(address, front, ended.clone()).await?;
        spawn.vital("gateway-queue", listening);
    }

    let owner = Owner {
        broker: broker.clone(),
        bucket: leases,
        process: board.process(),
        ttl: config.lease.ttl.0,
    };
    let options = Options {
        process: board.process(),
        margin: config.coordinator.margin.0,
        reserve: config.coordinator.reserve.0,
    };
    let desk = Desk {
        leader: Leader::new(options),
        broker,
        board,
        answers,
        jobs,
        questions,
        open,
        shown: Boottime::default(),
        settled: false,
        announced: false,
        standstill: Standstill::default(),
        yielding: Yielding::default(),
        ended: ended.clone(),
    };
    let news = News {
        events: heard,
        requests: requested,
        refused: said,
    };
    // Where it panics its lease is given up by the keeper that it dropped.
    let led = supervise::caught("leader", desk.run(owner, news, leave)).await;
    let led = led.and_then(|led| led);
    if let Err(failure) = &led {
        supervise::report(*failure);
    }
    ended.cancel();
    tasks.close();
    // What still waits for NATS or Discord ends with its own time limit; nobody needs its answer.
    _ = tokio::time::timeout(LAST_WORD, tasks.wait()).await;
    led?;
    leaving.outcome()
}

/// Begins the tasks of the role, which run until it ends: that of one before is the process's.
struct Spawn<'a>(&'a TaskTracker, &'a CancellationToken);

impl Spawn<'_> {
    fn vital(&self, task: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(supervise::watched(task, self.1, future));
    }
}

/// Watches and answers that wait for the loop.
const EVENTS: usize = 64;
/// Requests that wait for the loop; more wait in the subscription, and then are lost and repeated.
const REQUESTS: usize = 4_096;
/// One job is under way and one can follow it, of this leadership and of the one before.
const JOBS: usize = 8;
/// How long the last ledger write may take when the role ends.
const LAST_WORD: Duration = Duration::from_secs(3);
