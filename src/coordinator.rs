//! The coordinator role: says when a shard may IDENTIFY, so that Discord's limits hold whatever fails.
//!
//! Every coordinator campaigns for one lease. The holder runs [`leader::Leader`], the sole owner of
//! queue, budget and ledger; this file turns the world into its inputs and its effects into the world.
//! Nothing slow stands in the loop: ledger, limits and answers each have a task of their own.

pub mod buckets;
pub mod budget;
pub mod compat;
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
    leader::{Effect, Input, Leader, Options, Unreadable, Written},
    ledger::Job,
    limits::{Discord, LimitsError},
    service::{Answers, ReplyTo},
    topology::Seed,
};
use crate::{
    broker::{Broker, bucket, start::Start},
    clock::{self, Boottime},
    config::Config,
    lease::{Keeper, Owner},
    roster::{Board, Roster},
    subject::COORDINATOR_LEASE,
    wire::{self, identify::Leader as Announcement},
};

/// Runs the role until `shutdown`, then settles the ledger and gives the lease back.
///
/// # Errors
/// Where it cannot start: an unusable token, no buckets, an address in use.
pub async fn run(
    config: Arc<Config>,
    broker: Broker,
    board: Board,
    start: Start,
    shutdown: CancellationToken,
) -> Result<()> {
    let state = bucket::open(&broker, &broker.names.state_bucket(), &start).await?;
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

    tasks.spawn(ledger::keep(state.clone(), todo, events.clone()));
    tasks.spawn(service::hear(
        broker.clone(),
        opened,
        requests,
        answers.clone(),
    ));
    let roster = Roster::gather(&broker, ended.clone()).await?;
    let seed = Seed::new(state.clone(), &config, roster.clone());
    tasks.spawn(ask_discord(discord, seed, asked, events.clone()));
    tasks.spawn(unheld::count(broker.clone(), roster, leads, ended.clone()));
    let token = config.discord.token.fingerprint();
    news::watch(&tasks, &state, &events, &ended, &token);
    tasks.spawn(news::losses(state.clone(), events.clone(), ended.clone()));
    if let Some(address) = config.coordinator.http.0 {
        let front = compat::Front::new(broker.clone(), board.process());
        let listening = compat::listen(address, front, ended.clone()).await?;
        tasks.spawn(listening);
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
    };
    desk.run(keeper, heard, requested, shutdown).await;
    ended.cancel();
    tasks.close();
    // What still waits for NATS or Discord ends with its own time limit; nobody needs its answer.
    _ = tokio::time::timeout(LAST_WORD, tasks.wait()).await;
    Ok(())
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
}

impl Desk {
    async fn run(
        mut self,
        keeper: Keeper,
        mut events: mpsc::Receiver<Input<ReplyTo>>,
        mut requests: mpsc::Receiver<Input<ReplyTo>>,
        shutdown: CancellationToken,
    ) {
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
                changed = held.changed() => match changed {
                    Ok(()) => Input::Held(*held.borrow_and_update()),
                    Err(_) => break,
                },
                Some(event) = events.recv() => event,
                () = tokio::time::sleep(nap.min(until)) => Input::Tick,
                Some(request) = requests.recv() => request,
            };
            self.take(input);
        }
        self.open.send_replace(false);
        keeper.release().await;
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
                return refused.then_some(Input::NoLimits);
            }
            Effect::Reply(to, reply) => self.answers.send(to, &reply),
            Effect::Granted(grants) => metrics::granted(grants),
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

/// Puts each question to Discord, and seeds the topology with the answer where there is none.
async fn ask_discord(
    discord: Discord,
    mut seed: Seed,
    mut questions: mpsc::Receiver<()>,
    answers: mpsc::Sender<Input<ReplyTo>>,
) {
    let mut recommended = None;
    let mut seeded = true;
    loop {
        tokio::select! {
            question = questions.recv() => if question.is_none() { return },
            () = tokio::time::sleep(SEED_AGAIN), if !seeded => {
                seeded = seed.see(recommended).await;
                continue;
            }
            () = seed.lost() => {
                seeded = seed.see(recommended).await;
                continue;
            }
        }
        let answer = discord.ask().await;
        if let Ok(answer) = &answer
            && recommended.replace(answer.shards) != Some(answer.shards)
        {
            let shards = answer.shards;
            tracing::info!(shards, "Discord recommends {shards} shards");
        }
        seeded = seed.see(recommended).await;
        let input = match answer {
            Ok(answer) => Input::Limits(answer),
            Err(error) => {
                if matches!(error, LimitsError::Token) {
                    tracing::error!("{error}");
                } else {
                    tracing::warn!("{error}");
                }
                if let LimitsError::RateLimited(pause) = error {
                    tokio::time::sleep(pause).await;
                }
                Input::NoLimits
            }
        };
        if answers.send(input).await.is_err() {
            return;
        }
    }
}

/// Watches and answers that wait for the loop.
const EVENTS: usize = 64;
/// Requests that wait for the loop; more wait in the subscription, and then are lost and repeated.
const REQUESTS: usize = 4_096;
/// One job is under way and one can follow it, of this leadership and of the one before.
const JOBS: usize = 8;
/// How soon the topology is seeded again where NATS did not answer, as in an election.
const SEED_AGAIN: Duration = Duration::from_millis(500);
/// How often status and metrics are brought up to date.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// How long the last ledger write may take when the role ends.
const LAST_WORD: Duration = Duration::from_secs(3);
