//! The coordinator role: says when a shard may IDENTIFY, so that Discord's limits hold whatever fails.
//!
//! Every coordinator campaigns for one lease. The holder runs [`leader::Leader`], the sole owner of
//! queue, budget and ledger; this file turns the world into its inputs and its effects into the world.
//! Nothing slow stands in the loop: ledger, limits and answers each have a task of their own.

pub mod buckets;
pub mod budget;
pub mod compat;
mod inquiry;
pub mod leader;
mod ledger;
mod limits;
pub mod metrics;
mod news;
mod service;
pub mod slowdown;
mod topology;
mod unheld;
mod watch;

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use tokio::sync::{mpsc, watch as channel};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    inquiry::ask_discord,
    leader::{Effect, Input, Leader, Options, Unreadable, Written},
    ledger::Job,
    limits::Discord,
    news::Outsider,
    service::{Answers, ReplyTo},
    topology::Seed,
    unheld::Leases,
};
use crate::{
    bot::BotId,
    broker::{Broker, bucket, start::Start},
    clock::{self, Boottime},
    config::Config,
    lease::{self, Keeper, Owner},
    roster::{Board, Roster},
    subject::COORDINATOR_LEASE,
    supervise::{self, Failure},
    wire::{self, identify::Leader as Announcement},
};

/// Runs the role until `shutdown`, then settles the ledger and gives the lease back.
///
/// # Errors
/// Where it cannot start: an unusable token, no buckets, an address in use; [`crate::bot::Other`] where the
/// fleet is another bot's.
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
    let asking = ask_discord(discord, seed, asked, events.clone());
    spawn.vital("discord-limits", asking);
    let left = Leases {
        bucket: leases.clone(),
        ttl: config.lease.ttl.0,
    };
    let counting = unheld::count(broker.clone(), roster, left, leads, ended.clone());
    spawn.vital("unheld", counting);
    let token = config.discord.token.fingerprint();
    let leave = shutdown.child_token();
    let (outsider, found) = Outsider::new(bot, leave.clone());
    news::watch(&spawn, &state, &events, &token, &outsider);
    let hearing = news::losses(state.clone(), events.clone(), ended.clone());
    spawn.vital("state-losses", hearing);
    if let Some(address) = config.coordinator.http.0 {
        let front = compat::Front::new(broker.clone(), board.process());
        let listening = compat::listen(address, front, ended.clone()).await?;
        spawn.vital("gateway-queue", listening);
    }

    let keeper = Keeper::campaign(
        Owner {
            broker: broker.clone(),
            bucket: leases,
            process: board.process(),
            ttl: config.lease.ttl.0,
        },
        COORDINATOR_LEASE.to_owned(),
    );
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
        ended: ended.clone(),
    };
    // Where it panics its lease is given up by the keeper that it dropped.
    let led = supervise::caught("leader", desk.run(keeper, heard, requested, leave)).await;
    let led = led.and_then(|led| led);
    if let Err(failure) = &led {
        supervise::report(*failure);
    }
    ended.cancel();
    tasks.close();
    // What still waits for NATS or Discord ends with its own time limit; nobody needs its answer.
    _ = tokio::time::timeout(LAST_WORD, tasks.wait()).await;
    led?;
    match found.get() {
        Some(other) => Err((*other).into()),
        None => Ok(()),
    }
}

/// Begins the tasks of the role, which run until it ends: that of one before is the process's.
struct Spawn<'a>(&'a TaskTracker, &'a CancellationToken);

impl Spawn<'_> {
    fn vital(&self, task: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(supervise::watched(task, self.1, future));
    }
}

/// The loop: one input at a time.
struct Desk {
    leader: Leader<ReplyTo>,
    broker: Broker,
    board: Board,
    answers: Answers,
    jobs: mpsc::Sender<Job>,
    questions: mpsc::Sender<()>,
    open: channel::Sender<bool>,
    shown: Boottime,
    settled: bool,
    announced: bool,
    /// Cancelled before anything ends that others of the role wait for.
    ended: CancellationToken,
}

impl Desk {
    async fn run(
        mut self,
        keeper: Keeper,
        mut events: mpsc::Receiver<Input<ReplyTo>>,
        mut requests: mpsc::Receiver<Input<ReplyTo>>,
        shutdown: CancellationToken,
    ) -> Result<(), Failure> {
        // However this ends: the tasks that lose their way here ended because they should.
        let _first = self.ended.clone().drop_guard();
        let mut outcome = Ok(());
        let mut held = keeper.held();
        held.mark_changed();
        let mut draining = None;
        loop {
            let now = clock::boottime();
            let until = draining.map_or(SHOW_EVERY, |until: Boottime| until.since(now));
            if until.is_zero() || (draining.is_some() && self.settled) {
                break;
            }
            let nap = self.leader.next_wakeup().map_or(until, |at| at.since(now));
            let input = tokio::select! {
                biased;
                () = shutdown.cancelled(), if draining.is_none() => {
                    draining = Some(now.plus(LAST_WORD));
                    Input::Drain
                }
                changed = held.changed() => {
                    if changed.is_err() {
                        // It campaigns as long as it is there.
                        outcome = Err(Failure::panicked(lease::TASK));
                        break;
                    }
                    Input::Held(*held.borrow_and_update())
                }
                Some(event) = events.recv() => event,
                () = tokio::time::sleep(nap.min(until)) => Input::Tick,
                Some(request) = requests.recv() => request,
            };
            self.take(input);
        }
        self.open.send_replace(false);
        keeper.release().await;
        outcome
    }

    fn take(&mut self, input: Input<ReplyTo>) {
        let now = clock::boottime();
        let mut next = Some(input);
        while let Some(input) = next.take() {
            for effect in self.leader.apply(input, now) {
                next = self.carry_out(effect).or(next);
            }
        }
        self.open
            .send_if_modified(|open| std::mem::replace(open, self.leader.leads()) != *open);
        if now.since(self.shown) >= SHOW_EVERY {
            self.shown = now;
            let status = self.leader.status(now);
            if self.announced && !status.leader {
                self.announced = false;
                tracing::warn!("this coordinator leads no more");
            }
            metrics::show(&status);
            metrics::limits_unread(self.leader.limits_unread(now));
            self.board.coordinator(status);
        }
    }

    /// Gives back what the leader must hear of it at once.
    fn carry_out(&mut self, effect: Effect<ReplyTo>) -> Option<Input<ReplyTo>> {
        match effect {
            Effect::Read => {
                let refused = self.jobs.try_send(Job::Read).is_err();
                return refused.then_some(Input::Read(Err(Unreadable::Away)));
            }
            Effect::Write(ledger, over) => {
                let refused = self.jobs.try_send(Job::Write(ledger, over)).is_err();
                return refused.then_some(Input::Wrote(Written::Unknown));
            }
            Effect::AskLimits => {
                let refused = self.questions.try_send(()).is_err();
                return refused.then_some(Input::NoLimits(None));
            }
            Effect::Reply(to, reply) => self.answers.send(to, &reply),
            Effect::Granted(grants) => metrics::granted(grants),
            Effect::Refused { shard, holds } => {
                metrics::refused();
                if holds {
                    tracing::warn!(
                        shard,
                        "Discord refused the IDENTIFY of shard {shard} (op 9): nobody is granted \
                         leave before its limits are read again"
                    );
                }
            }
            Effect::Drained => self.settled = true,
            Effect::Announce => self.announce(),
        }
        None
    }

    fn announce(&mut self) {
        let status = self.leader.status(clock::boottime());
        let (epoch, process) = (status.epoch, self.board.process());
        tracing::info!(epoch, "this coordinator leads");
        self.announced = true;
        self.shown = Boottime::default();
        let announcement = wire::encode(&Announcement {
            v: wire::VERSION,
            epoch,
            process,
        });
        let subject = self.broker.names.leader();
        self.answers.publish(subject.into(), announcement);
    }
}

/// Watches and answers that wait for the loop.
const EVENTS: usize = 64;
/// Requests that wait for the loop; more wait in the subscription, and then are lost and repeated.
const REQUESTS: usize = 4_096;
/// One job is under way and one can follow it, of this leadership and of the one before.
const JOBS: usize = 8;
/// How often status and metrics are brought up to date.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// How long the last ledger write may take when the role ends.
const LAST_WORD: Duration = Duration::from_secs(3);
