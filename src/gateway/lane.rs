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
    group::{self, Shared},
    inbox::Inbox,
};
use crate::{
    broker::{
        Broker,
        bucket::{self, Bucket},
        start::Start,
    },
    config,
    fleet::{GroupId, Layout},
    lease::Held,
    subject::Names,
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
        let thread = thread::Builder::new()
            .name(format!("lane-{number}"))
            .spawn(move || {
                runtime.block_on(async move {
                    match connect(&nats, names, &label, start).await {
                        Ok(tools) => {
                            _ = opened.send(Ok(()));
                            serve(&tools, shared, wanted, reports).await;
                        }
                        Err(error) => _ = opened.send(Err(error)),
                    }
                });
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

async fn connect(nats: &config::Nats, names: Names, label: &str, start: Start) -> Result<Tools> {
    let broker = Broker::connect(nats, names, label).await?;
    broker.ready(start.left()).await?;
    let leases = bucket::open(&broker, &broker.names.lease_bucket(), &start).await?;
    let state = bucket::open(&broker, &broker.names.state_bucket(), &start).await?;
    let mut words = broker.client.subscribe(broker.names.leader()).await?;
    let (heard, leader) = watch::channel(0);
    tokio::spawn(async move {
        while words.next().await.is_some() {
            heard.send_modify(|count| *count += 1);
        }
    });
    let inbox = Inbox::open(&broker).await?;
    Ok(Tools {
        broker,
        leases,
        state,
        inbox,
        refusals: Seldom::default(),
        leader,
    })
}

async fn serve(
    tools: &Tools,
    shared: Arc<Shared>,
    mut wanted: mpsc::UnboundedReceiver<Bid>,
    reports: mpsc::UnboundedSender<Report>,
) {
    let mut groups = JoinSet::new();
    loop {
        tokio::select! {
            bid = wanted.recv() => {
                let Some(Bid { layout, group, stop }) = bid else { break };
                let (shared, tools) = (Arc::clone(&shared), tools.clone());
                let (won, ended) = (reports.clone(), reports.clone());
                groups.spawn(async move {
                    let won = move |held| _ = won.send(Report::Won(group, held));
                    let end = Box::pin(group::run(shared, tools, layout, group, stop, won)).await;
                    _ = ended.send(Report::Ended(group, end));
                });
            }
            Some(_) = groups.join_next() => {}
        }
    }
    while groups.join_next().await.is_some() {}
    // What is still on its way out, such as a withdrawal.
    _ = tokio::time::timeout(Duration::from_secs(1), tools.broker.client.flush()).await;
}
