//! One thread, one runtime, one NATS connection: a share of the process's groups.
//!
//! Two runtimes with a connection each cost a third less than one with two workers. And work gathers
//! for about a millisecond before the thread parks: at a real fleet's pace the cost is per wake-up,
//! not per byte.

use std::{sync::Arc, thread, time::Duration};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    buffer::Budget,
    forward::untaken::Untaken,
    group::{self, Shared},
    inbox::Inbox,
};
use crate::{
    broker::{
        Broker,
        bucket::{self, Bucket},
        start::Start,
    },
    clock, config,
    fleet::{GroupId, Layout},
    lease::Held,
    subject::Names,
    supervise::{self, Failure},
    telemetry::seldom::Seldom,
};

/// What a lane gives to its groups.
#[derive(Clone)]
pub struct Tools {
    /// Its own connection.
    pub broker: Broker,
    /// The bucket of leases.
    pub leases: Bucket,
    /// The bucket of state.
    pub state: Bucket,
    /// Where its streams answer.
    pub inbox: Inbox,
    /// What its streams refuse.
    pub refusals: Seldom,
    /// What nobody takes.
    pub untaken: Seldom,
    /// Counts the leaders that announced themselves.
    pub leader: watch::Receiver<u64>,
}

/// A group to bid for.
pub struct Bid {
    /// The cut it belongs to.
    pub layout: Layout,
    /// Which.
    pub group: GroupId,
    /// Cancelled: hand it over.
    pub stop: CancellationToken,
}

/// What became of a bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It is held.
    Won(GroupId, Held),
    /// It is not held any more, or never was.
    Ended(GroupId, group::End),
    /// The lane of this number is gone, and all that ran there with it.
    LaneGone(usize, Failure),
}

/// The way to one lane.
pub struct Lane {
    bids: mpsc::UnboundedSender<Bid>,
    thread: thread::JoinHandle<()>,
}

impl Lane {
    /// Starts the thread; returns once it is connected.
    ///
    /// # Errors
    /// Where NATS refuses, or the machine has no thread left.
    pub async fn start(
        number: usize,
        nats: config::Nats,
        names: Names,
        gather: Duration,
        shared: Arc<Shared>,
        reports: mpsc::UnboundedSender<Report>,
        start: Start,
    ) -> Result<Self> {
        let (bids, wanted) = mpsc::unbounded_channel();
        let (opened, open) = oneshot::channel();
        let runtime = runtime(gather, shared.budget.clone()).context("cannot build a runtime")?;
        let label = format!("{}-lane-{number}", shared.process);
        let end = LaneEnd {
            number,
            reports: reports.clone(),
            failure: Some(Failure::panicked(LANE)),
        };
        let thread = thread::Builder::new()
            .name(format!("lane-{number}"))
            .spawn(move || {
                // In this order: what ran on the runtime is gone when the end is told.
                let mut end = end;
                let runtime = runtime;
                let lane = async move {
                    match connect(&nats, names, &label, start).await {
                        Ok((tools, helpers)) => {
                            _ = opened.send(Ok(()));
                            serve(&tools, shared, wanted, reports, helpers).await
                        }
                        Err(error) => {
                            _ = opened.send(Err(error));
                            None
                        }
                    }
                };
                end.failure = runtime.block_on(supervise::named(LANE, lane));
            })?;
        open.await.context("the lane ended before it began")??;
        Ok(Self { bids, thread })
    }

    /// Bids for a group on this lane.
    pub fn bid(&self, bid: Bid) {
        // A lane ends only after its sender has gone.
        _ = self.bids.send(bid);
    }

    /// Waits for its groups to end, which somebody must have asked them to.
    pub async fn join(self) {
        drop(self.bids);
        _ = tokio::task::spawn_blocking(|| self.thread.join()).await;
    }
}

/// What a lane's own task is called.
const LANE: &str = "lane";

/// Tells how a lane ended, however that was.
struct LaneEnd {
    number: usize,
    reports: mpsc::UnboundedSender<Report>,
    /// None: it was asked to.
    failure: Option<Failure>,
}

impl Drop for LaneEnd {
    fn drop(&mut self) {
        if let Some(failure) = self.failure {
            _ = self.reports.send(Report::LaneGone(self.number, failure));
        }
    }
}

fn runtime(gather: Duration, budget: Budget) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all();
    if !gather.is_zero() {
        builder.on_thread_park(move || {
            // A shard whose messages go one by one is as fast as its acks are taken.
            if !budget.is_crowded() {
                // Less where a command comes: whoever hands it over unparks the thread.
                thread::park_timeout(gather);
            }
        });
    }
    builder.build()
}

/// Connects, and starts what its groups need besides: the end of one of those is the lane's.
async fn connect(
    nats: &config::Nats,
    names: Names,
    label: &str,
    start: Start,
) -> Result<(Tools, JoinSet<Failure>)> {
    let broker = Broker::connect(nats, names, label).await?;
    broker.ready(start.left()).await?;
    let leases = bucket::open(&broker, &broker.names.lease_bucket(), &start).await?;
    let state = bucket::open(&broker, &broker.names.state_bucket(), &start).await?;
    let mut words = broker.client.subscribe(broker.names.leader()).await?;
    let (heard, leader) = watch::channel(0);
    let mut helpers = JoinSet::new();
    helpers.spawn(helper("leader-watch", async move {
        while words.next().await.is_some() {
            heard.send_modify(|count| *count += 1);
        }
    }));
    let (inbox, handing_out) = Inbox::open(&broker).await?;
    helpers.spawn(helper("inbox", handing_out));
    let tools = Tools {
        broker,
        leases,
        state,
        inbox,
        refusals: Seldom::default(),
        untaken: Untaken::lines(),
        leader,
    };
    Ok((tools, helpers))
}

/// A task that runs as long as its lane does.
async fn helper(task: &'static str, future: impl Future<Output = ()>) -> Failure {
    match supervise::caught(task, future).await {
        Ok(()) => Failure::ended(task),
        Err(failure) => failure,
    }
}

/// Runs groups until nobody bids any more, or a helper of the lane is gone: why, if so.
async fn serve(
    tools: &Tools,
    shared: Arc<Shared>,
    mut wanted: mpsc::UnboundedReceiver<Bid>,
    reports: mpsc::UnboundedSender<Report>,
    mut helpers: JoinSet<Failure>,
) -> Option<Failure> {
    let mut groups = JoinSet::new();
    // Ends all groups of a lane that cannot go on; each ends by the supervisor's word too.
    let stops = CancellationToken::new();
    let mut failure = None;
    let mut limit = clock::now();
    loop {
        tokio::select! {
            bid = wanted.recv(), if failure.is_none() => {
                let Some(bid) = bid else { break };
                let (shared, tools) = (Arc::clone(&shared), tools.clone());
                groups.spawn(run_group(bid, shared, tools, reports.clone(), stops.clone()));
            }
            ended = groups.join_next(), if !groups.is_empty() => {
                if ended.is_some() && groups.is_empty() && failure.is_some() {
                    break;
                }
            }
            Some(gone) = helpers.join_next(), if failure.is_none() => {
                failure = gone.ok();
                limit = clock::now() + BROKEN_LIMIT;
                stops.cancel();
                if groups.is_empty() {
                    break;
                }
            }
            // What waits for the helper does not end by itself.
            () = tokio::time::sleep_until(limit), if failure.is_some() => break,
        }
    }
    if failure.is_some() {
        groups.abort_all();
    }
    while groups.join_next().await.is_some() {}
    // What is still on its way out, such as a withdrawal.
    _ = tokio::time::timeout(Duration::from_secs(1), tools.broker.client.flush()).await;
    failure
}

/// How long the groups of a lane that cannot go on may take to end.
const BROKEN_LIMIT: Duration = Duration::from_secs(2);

async fn run_group(
    bid: Bid,
    shared: Arc<Shared>,
    tools: Tools,
    reports: mpsc::UnboundedSender<Report>,
    stops: CancellationToken,
) {
    let Bid {
        layout,
        group,
        stop,
    } = bid;
    let told = reports.clone();
    let won = move |held| _ = told.send(Report::Won(group, held));
    let asked = stop.clone();
    let run = Box::pin(group::run(shared, tools, layout, group, stop, won));
    let run = supervise::caught("group", run);
    tokio::pin!(run);
    let end = tokio::select! {
        end = &mut run => end,
        () = stops.cancelled() => {
            asked.cancel();
            run.await
        }
    };
    // Where it panicked its lease is given up by the keeper that it dropped.
    let end = end.unwrap_or_else(group::End::Broken);
    _ = reports.send(Report::Ended(group, end));
}
