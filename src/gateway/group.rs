//! One group: bids for its lease, runs its shards while it holds, stops them before it ends.

mod begin;
mod end;
mod open;
mod own;
mod parts;
mod shared;
mod tended;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use rand::Rng;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    begin::{Again, Begin},
    open::{Open, Shown},
    parts::{GiveUp, Parts},
};
pub use self::{end::End, shared::Shared};
use super::{
    ask::Asking,
    command::Commands,
    forward::{GroupBatch, Handover, Publisher, Told, tend::Tender},
    keep::Way,
    lane::Tools,
    metrics::{self, Meters},
    shard::{self, Shard, Sink},
};
use crate::{
    backoff::Backoff,
    broker::losses::Hearing,
    clock::{self, Instant},
    fleet::{GroupId, Layout, ShardId},
    lease::{Held, Keeper, Owner},
    subject::{self, Names},
    supervise::{self, Failure},
};

/// Bids for a group and runs it until `stop`, the end of its lease, or a fatal close.
/// `won` is told when the lease is in hand.
pub async fn run(
    shared: Arc<Shared>,
    tools: Tools,
    layout: Layout,
    group: GroupId,
    stop: CancellationToken,
    won: impl FnOnce(Held),
) -> End {
    let owner = Owner {
        broker: tools.broker.clone(),
        bucket: tools.leases.clone(),
        process: shared.process.clone(),
        ttl: shared.ttl,
    };
    let keeper = Keeper::bid(owner, subject::group_lease(layout.generation, group));
    let mut held = keeper.held();
    let first = async {
        held.wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|held| *held)
    };
    let first = tokio::select! {
        first = first => first,
        () = stop.cancelled() => {
            // A bid lasts as long as NATS does not answer: that is no reason to stay.
            keeper.release().await;
            return End::NotWon;
        }
    };
    let Some(first) = first else {
        return End::NotWon;
    };
    won(first);
    tracing::info!(%group, epoch = %first.epoch, "this process holds group {group}");

    let end = Stay {
        shared,
        tools,
        layout,
        group,
        held,
        epoch: first.epoch,
        batch: None,
        made: 0,
    }
    .run_shards(&stop)
    .await;
    if matches!(end, End::Broken(_)) {
        // What a broken stay may have left running ends with the word that nothing is held.
        keeper.release().await;
    } else if matches!(end, End::Released | End::Fatal(..)) {
        // After a fatal close too nothing runs here any more: who mends it need not wait for the end.
        keeper.release().await;
        tracing::info!(%group, "this process handed group {group} over");
    } else if end == End::Lost {
        ::metrics::counter!(metrics::LEASES_LOST.name).increment(1);
        keeper.release_lost();
        tracing::warn!(%group, "this process lost group {group}: its lease was not renewed in time, or is another's. Its shards are closed resumably");
    }
    end
}

struct Stay {
    shared: Arc<Shared>,
    tools: Tools,
    layout: Layout,
    group: GroupId,
    held: watch::Receiver<Option<Held>>,
    epoch: crate::fleet::Epoch,
    /// None where the stream takes no batches.
    batch: Option<GroupBatch>,
    /// When the stream was made, as the group began.
    made: i128,
}

/// What the tasks of a shard are called.
const SHARD: &str = "shard";
/// How long the shards of a group that broke may take to close: others wait for its lease.
const BROKEN_LIMIT: Duration = Duration::from_secs(1);

async fn until(limit: Option<Instant>) {
    match limit {
        Some(limit) => tokio::time::sleep_until(limit).await,
        None => std::future::pending().await,
    }
}

impl Stay {
    /// The stream of the group's shards.
    fn stream(&self) -> String {
        let partitions = self.shared.partitions;
        let partition = Names::partition_of(self.group, partitions);
        self.tools.broker.names.stream(partition, partitions)
    }

    /// What the bucket of state loses. Nobody looks at it over a lane's own connection.
    fn state_losses(&self) -> Hearing {
        let bucket = self.tools.broker.names.state_bucket();
        self.shared.losses.of_bucket(&bucket)
    }

    async fn run_shards(mut self, stop: &CancellationToken) -> End {
        let (tender, made) = match Box::pin(self.tender(stop)).await {
            Ok(opened) => opened,
            Err(end) => return end,
        };
        self.made = made;
        self.batch = tender.as_ref().map(Tender::batch);
        let _given_up = self.batch.clone().map(|batch| {
            let budget = self.shared.budget.clone();
            GiveUp { batch, budget }
        });
        let mut parts = Parts::new(tender, self.held.clone());
        let stay = Arc::new(self);
        // One shard that may not go on stops the others: the lease covers them all.
        let stop = stop.child_token();
        let mut shards = JoinSet::new();
        for id in stay.layout.shards_of(stay.group) {
            let (stay, stop) = (Arc::clone(&stay), stop.clone());
            let running = async move { (id, Box::pin(stay.run_shard(id, stop)).await) };
            shards.spawn(supervise::named(SHARD, running));
        }
        let mut end = End::Released;
        let mut limit = None;
        loop {
            let ended = tokio::select! {
                ended = shards.join_next() => match ended {
                    Some(ended) => End::of_shard(&ended),
                    None => return end,
                },
                failure = parts.failed() => End::Broken(failure),
                // What waits for the part that is gone does not end by itself: it ends with its handle.
                () = until(limit) => return end,
            };
            if let (End::Broken(_), None) = (ended, limit) {
                limit = Some(clock::now() + BROKEN_LIMIT);
            }
            if ended != End::Released {
                stop.cancel();
            }
            end = end.and(ended);
        }
    }

    /// Waits before the next try; an end where there is none.
    async fn again(&self, pause: &mut Backoff, stop: &CancellationToken) -> Result<(), End> {
        let delay = pause.next(&mut rand::rng()) + jitter();
        let mut held = self.held.clone();
        tokio::select! {
            () = stop.cancelled() => Err(End::Released),
            _ = held.wait_for(Option::is_none) => Err(End::Lost),
            () = tokio::time::sleep(delay) => Ok(()),
        }
    }

    async fn run_shard(&self, id: ShardId, stop: CancellationToken) -> Result<shard::End, Failure> {
        let mut pause = pause();
        let mut begins = Again::First;
        loop {
            // In a box while it opens: that needs far more room than to run.
            let opened = Box::pin(self.open_shard(id, &stop, begins)).await;
            if begins == Again::First {
                begins = Again::Retry;
            }
            match opened.map(Open::run) {
                Ok(running) => match running.await? {
                    shard::End::Behind => begins = Again::Behind,
                    end => return Ok(end),
                },
                Err(error) => tracing::warn!(shard = %id, "shard {id} cannot begin yet: {error:#}"),
            }
            match self.again(&mut pause, &stop).await {
                Ok(()) => {}
                Err(End::Released) => return Ok(shard::End::Stopped),
                Err(_) => return Ok(shard::End::LeaseLost),
            }
        }
    }

    /// Reads where the shard is and opens its ways, under the lease in hand.
    async fn open_shard(
        &self,
        id: ShardId,
        stop: &CancellationToken,
        again: Again,
    ) -> Result<Open> {
        let (shared, tools) = (&self.shared, &self.tools);
        let (generation, stream) = (self.layout.generation, self.stream());
        let Begin {
            key,
            outlet,
            point,
            lost,
            held_ms,
        } = self.begin(id, again).await?;
        let shards = self.layout.shards;
        let process = shared.process.clone();
        let unanswered = shared.discord.unanswered.clone();
        let asking = Asking::new(&tools.broker, id, shards, process, unanswered);
        let (commands, asks) = Commands::open(
            &tools.broker,
            id,
            shards,
            shared.discord.identity.intents,
            &shared.near,
        )
        .await
        .context("cannot listen for commands")?;

        let gauge = shared.gauges.add(id);
        let (queue, waiting) = mpsc::unbounded_channel();
        let (ready, readies) = mpsc::unbounded_channel();
        let (points, moved) = mpsc::unbounded_channel();
        let progress = Arc::clone(&gauge.progress);
        progress.is_held_since(held_ms);
        let told = Told { progress, ready };
        let batch = self.batch.as_ref();
        let seat = batch.map(|batch| batch.join(told.clone(), outlet.form.clone()));
        let losses = self.state_losses();
        let publisher = Publisher {
            losses: shared.losses.of(&stream),
            stored: point.stored(lost),
            lost,
            outlet,
            queue: waiting,
            held: self.held.clone(),
            budget: shared.budget.clone(),
            told,
            meters: Meters::default(),
            seat: seat.clone(),
            renamed: None,
        };
        let budget = shared.budget.clone();
        let sink = Sink {
            handover: Handover {
                queue,
                seat,
                progress: Arc::clone(&gauge.progress),
            },
            budget,
            gauge: Arc::clone(&gauge),
            sessions: shared.sessions.clone(),
        };
        let runner = Shard {
            id,
            discord: Arc::clone(&shared.discord),
            topology: shared.topology.clone(),
            held: self.held.clone(),
            leader: tools.leader.clone(),
            asking,
            commands,
            sink,
            names: tools.broker.names.clone(),
            shed: Arc::clone(&shared.shed),
            points,
            stop: stop.clone(),
        };
        let shown = Shown {
            gauges: shared.gauges.clone(),
            remembered: shared.remembered.clone(),
            generation,
            id,
            gauge,
        };
        let way = Way::new(tools.broker.clone(), stream, id);
        Ok(Open {
            shard: runner,
            asks,
            point,
            publisher,
            key,
            readies,
            moved,
            losses,
            shown,
            way,
        })
    }
}

fn pause() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(2))
}

fn jitter() -> Duration {
    Duration::from_millis(rand::rng().random_range(0..100))
}
