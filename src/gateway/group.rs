//! One group: bids for its lease, runs its shards while it holds, stops them before it ends.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use rand::Rng;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    ask::Asking,
    buffer::Budget,
    command::Commands,
    forward::{self, Outlet, Publisher},
    gauge::Gauges,
    keep,
    lane::Tools,
    metrics::{self, Meters},
    session::{self, SessionKey},
    shard::{self, Shard, Sink},
    track::{Session, Track},
};
use crate::{
    fleet::{GroupId, Layout, ShardId},
    lease::{Held, Keeper, Owner},
    subject::{self, Names},
    wire::topology::Topology,
};

/// What every group of a process shares.
pub struct Shared {
    /// The process's name.
    pub process: String,
    /// twilight's configuration.
    pub twilight: Arc<twilight_gateway::Config>,
    /// Where a session is begun.
    pub gateway_url: watch::Receiver<Option<Arc<str>>>,
    /// How the fleet is cut.
    pub topology: watch::Receiver<Arc<Topology>>,
    /// The process's bytes.
    pub budget: Budget,
    /// Events shed first.
    pub shed: Arc<[String]>,
    /// What shards show.
    pub gauges: Gauges,
    /// Streams.
    pub partitions: u32,
    /// The lease time.
    pub ttl: Duration,
}

/// How a group's stay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Another was faster.
    NotWon,
    /// Handed over: the lease is free.
    Released,
    /// The lease was lost, or a later owner stores.
    Lost,
    /// Discord refuses this bot with this code, on this shard.
    Fatal(ShardId, u16),
}

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
    tracing::info!(%group, epoch = %first.epoch, "holds group {group}");

    let end = Stay {
        shared,
        tools,
        layout,
        group,
        held,
        epoch: first.epoch,
    }
    .run_shards(&stop)
    .await;
    if matches!(end, End::Released | End::Fatal(..)) {
        // After a fatal close too nothing runs here any more: who mends it need not wait for the end.
        keeper.release().await;
        tracing::info!(%group, "handed group {group} over");
    } else if end == End::Lost {
        ::metrics::counter!(metrics::LEASES_LOST.name).increment(1);
        tracing::warn!(%group, "lost group {group}");
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
}

impl Stay {
    async fn run_shards(self, stop: &CancellationToken) -> End {
        let stay = Arc::new(self);
        // One shard that may not go on stops the others: the lease covers them all.
        let stop = stop.child_token();
        let mut shards = JoinSet::new();
        for id in stay.layout.shards_of(stay.group) {
            let (stay, stop) = (Arc::clone(&stay), stop.clone());
            shards.spawn(async move { (id, Box::pin(stay.run_shard(id, stop)).await) });
        }
        let mut end = End::Released;
        while let Some(ended) = shards.join_next().await {
            let (id, ended) = match ended {
                Ok(ended) => ended,
                Err(error) => {
                    tracing::error!(group = %stay.group, "a shard of group {} broke: {error}", stay.group);
                    (ShardId(0), shard::End::LeaseLost)
                }
            };
            end = match (ended, end) {
                (_, End::Fatal(..)) | (shard::End::Stopped, _) => end,
                (shard::End::Fatal(code), _) => End::Fatal(id, code),
                (shard::End::LeaseLost | shard::End::PublisherGone, _) => End::Lost,
            };
            if ended != shard::End::Stopped {
                stop.cancel();
            }
        }
        end
    }

    async fn run_shard(&self, id: ShardId, stop: CancellationToken) -> shard::End {
        let mut pause =
            crate::backoff::Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        loop {
            match self.open_shard(id, &stop).await {
                Ok(open) => return Box::pin(open.run()).await,
                Err(error) => tracing::warn!(shard = %id, "shard {id} cannot begin yet: {error:#}"),
            }
            let delay = pause.next(&mut rand::rng()) + jitter();
            let mut held = self.held.clone();
            tokio::select! {
                () = stop.cancelled() => return shard::End::Stopped,
                _ = held.wait_for(Option::is_none) => return shard::End::LeaseLost,
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    /// Reads where the shard is and opens its ways, under the lease in hand.
    async fn open_shard(&self, id: ShardId, stop: &CancellationToken) -> Result<Open> {
        let (shared, tools) = (&self.shared, &self.tools);
        let generation = self.layout.generation;
        let partition = Names::partition_of(self.group, shared.partitions);
        let stream = tools.broker.names.stream(partition, shared.partitions);
        let (key, stored) =
            SessionKey::open(tools.state.clone(), generation, id, self.epoch).await?;
        let (turn, refusals) = (tools.turn.clone(), tools.refusals.clone());
        let outlet = Outlet::open(&tools.broker, id, &stream, turn, refusals).await?;
        let (last, gap) = outlet.last_and_gap().await;
        if last == forward::Last::Unknown {
            anyhow::bail!("the leader of the stream {stream} does not answer");
        }
        let ready = session::last_ready(&tools.broker, &stream, id).await?;
        let point = session::resume_point(stored, &last, gap.as_ref(), ready);
        let shards = self.layout.shards;
        let process = shared.process.clone();
        let asking = Asking::open(&tools.broker, id, shards, process)
            .await
            .context("cannot ask for leave")?;
        let commands = Commands::open(&tools.broker, id, shards, shared.twilight.intents())
            .await
            .context("cannot listen for commands")?;

        let gauge = shared.gauges.add(id);
        let (queue, waiting) = mpsc::unbounded_channel();
        let (ready, readies) = mpsc::unbounded_channel();
        let (points, moved) = mpsc::unbounded_channel();
        let publisher = Publisher {
            outlet,
            queue: waiting,
            held: self.held.clone(),
            budget: shared.budget.clone(),
            progress: Arc::clone(&gauge.progress),
            meters: Meters::default(),
            refused: false,
            ready,
        };
        let budget = shared.budget.clone();
        let sink = Sink {
            queue,
            budget,
            shed: Arc::clone(&shared.shed),
            gauge: Arc::clone(&gauge),
        };
        let runner = Shard {
            id,
            config: Arc::clone(&shared.twilight),
            gateway_url: shared.gateway_url.clone(),
            topology: shared.topology.clone(),
            held: self.held.clone(),
            leader: tools.leader.clone(),
            asking,
            commands,
            sink,
            points,
            stop: stop.clone(),
        };
        let shown = Shown {
            gauges: shared.gauges.clone(),
            id,
            gauge,
        };
        Ok(Open {
            shard: runner,
            point,
            publisher,
            key,
            readies,
            moved,
            shown,
        })
    }
}

/// A shard with its ways open.
struct Open {
    shard: Shard,
    point: session::ResumePoint,
    publisher: Publisher,
    key: SessionKey,
    readies: mpsc::UnboundedReceiver<forward::Message>,
    moved: mpsc::UnboundedReceiver<Session>,
    shown: Shown,
}

impl Open {
    /// Runs the shard, its publisher and its session's keeper until all have ended: after a stop
    /// everything that was taken is stored, and the resume point written.
    async fn run(self) -> shard::End {
        let shown = self.shown;
        let publisher = tokio::spawn(self.publisher.run(self.point.last));
        let keeper = tokio::spawn(keep::keep(self.key, self.readies, self.moved));
        let points = self.shard.points.clone();
        let track = Track::new(self.point.session, self.point.hole_told);
        let (end, last) = self.shard.run(track).await;
        // The queue's sender went with the shard: the publisher stores what is left and ends.
        let outcome = publisher.await;
        if let (shard::End::Stopped, Ok(forward::End::Flushed), Some(session)) =
            (end, &outcome, last)
        {
            _ = points.send(session);
        }
        drop(points);
        _ = keeper.await;
        match outcome {
            Ok(forward::End::Flushed) => end,
            Ok(forward::End::LeaseLost) | Err(_) => shard::End::LeaseLost,
            Ok(forward::End::Usurped) => {
                tracing::warn!(shard = %shown.id, "a later owner stores for shard {}", shown.id);
                shard::End::PublisherGone
            }
        }
    }
}

/// Takes the shard off the status when it ends, however it ends.
struct Shown {
    gauges: Gauges,
    id: ShardId,
    gauge: Arc<super::gauge::Gauge>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.gauges.remove(self.id, &self.gauge);
    }
}

fn jitter() -> Duration {
    Duration::from_millis(rand::rng().random_range(0..100))
}
