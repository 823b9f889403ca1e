//! The gateway role: bids for groups, runs their shards on its lanes, hands them over when asked.

pub mod ask;
pub mod assign;
pub mod bids;
pub mod broken;
pub mod buffer;
pub mod claims;
pub mod command;
pub mod control;
pub mod discord;
pub mod drain;
pub mod forward;
pub mod gauge;
pub mod group;
pub mod halt;
pub mod heartbeat;
pub mod holders;
pub mod inbox;
pub mod keep;
pub mod kind;
pub mod lane;
pub mod lifecycle;
pub mod metrics;
pub mod openings;
pub mod orders;
pub mod ordinal;
pub mod peek;
pub mod reach;
pub mod ready;
pub mod reconnect;
pub mod remembered;
pub mod session;
pub mod sessions;
pub mod shard;
pub mod socket;
pub mod supervisor;
pub mod topology;
pub mod track;
pub mod url;

use std::{sync::Arc, thread, time::Duration};

use anyhow::Result;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{
    buffer::Budget, command::near::Near, discord::Discord, gauge::Gauges, group::Shared,
    lane::Lane, remembered::Remembered, sessions::Sessions, supervisor::Supervisor,
};
use crate::{
    bot::{self, BotId},
    broker::{Broker, bucket, provision, start::Start, upkeep},
    config::Config,
    roster::{Board, Roster},
    supervise,
};

/// Runs groups until `shutdown`, then hands them over.
///
/// # Errors
/// [`crate::wire::topology::Halted`] where Discord refuses the bot for good, [`bot::Refused`] where it refuses
/// this process's token alone, [`bot::Other`] where the fleet is another bot's; else what could not be
/// reached or set up.
pub async fn run(
    config: Arc<Config>,
    broker: Broker,
    bot: Option<BotId>,
    board: Board,
    start: Start,
    shutdown: CancellationToken,
) -> Result<()> {
    metrics::begin();
    let names = broker.names.clone();
    let state = bucket::open(&broker, &names.state_bucket(), &start).await?;
    let halts = halt::watch(&state, &config.discord.token);
    let Some(topology) = topology::follow(&state, &config, &shutdown).await else {
        return Ok(());
    };
    bot::check(bot, &topology.borrow())?;
    // A coordinator may have taken its time.
    let start = start.again();
    let layout = topology.borrow().layout;
    let streams = || provision::streams(&broker, &config.stream, &layout);
    let provided = start.get("the streams of the events", streams);
    let Some(provided) = shutdown.run_until_cancelled(provided).await else {
        return Ok(());
    };
    provided?;

    let shared = Arc::new(Shared {
        process: board.process(),
        discord: Arc::new(Discord::new(&config, shutdown.clone())?),
        topology: topology.clone(),
        budget: Budget::new(config.gateway.buffer.0),
        shed: config.gateway.shed.0.clone().into(),
        gauges: Gauges::default(),
        near: Near::default(),
        partitions: config.stream.partitions.0,
        ttl: config.lease.ttl.0,
        losses: broker.losses.clone(),
        remembered: Remembered::default(),
        sessions: Sessions::default(),
    });
    let over = halt::of_another(&state, &config.discord.token).await;
    let over = over.inspect_err(|error| tracing::warn!("whether an old halt stands: {error}"));
    if let Ok(Some(over)) = over {
        let (shared, until) = (Arc::clone(&shared), shutdown.clone());
        let ready = move || shared.gauges.ready();
        let clearing = async move { _ = until.run_until_cancelled(over.clear(ready)).await };
        supervise::helper("halt-over", clearing);
    }
    let (reports, heard) = mpsc::unbounded_channel();
    let mut lanes = Vec::new();
    for number in 0..lane_count(config.gateway.lanes.0) {
        let (nats, names, shared) = (config.nats.clone(), names.clone(), Arc::clone(&shared));
        let gather = config.gateway.gather.0;
        let reports = reports.clone();
        lanes.push(Lane::start(number, nats, names, gather, shared, reports, start).await?);
    }
    // Ends with the supervisor, not with the order to drain.
    let gathering = CancellationToken::new();
    let kept = upkeep::streams(broker.clone(), config.stream.clone(), layout);
    let kept = gathering.clone().run_until_cancelled_owned(kept);
    supervise::vital("streams", &gathering, async { _ = kept.await });
    let roster = Roster::gather(&broker, gathering.clone()).await?;
    let near = shared.near.clone();
    command::route::route(broker.clone(), topology.clone(), near, gathering.clone()).await?;
    let leases = bucket::open(&broker, &names.lease_bucket(), &start).await?;
    let asked = CancellationToken::new();
    drain::hear(&broker, board.clone(), asked.clone(), gathering.clone()).await?;
    let (process, gauges) = (board.process(), shared.gauges.clone());
    reconnect::hear(&broker, &process, gauges, gathering.clone()).await?;
    let supervisor = Supervisor {
        ordinal: ordinal::of(&config)?,
        config,
        bot,
        board,
        state,
        leases,
        topology,
        shared,
        lanes: &lanes,
        roster,
        asked,
    };
    // Where it panics its claims are dropped, and every group is handed over all the same.
    let ended = supervise::caught("supervisor", supervisor.run(heard, halts, shutdown)).await;
    if let Err(failure) = &ended {
        supervise::report(*failure);
    }
    for lane in lanes {
        lane.join().await;
    }
    gathering.cancel();
    ended?
}

/// As many as configured, or one a core.
fn lane_count(configured: u32) -> usize {
    match configured {
        0 => thread::available_parallelism().map_or(1, usize::from),
        lanes => lanes as usize,
    }
}

/// How often the supervisor looks around, less some jitter.
const LOOK_EVERY: Duration = Duration::from_secs(1);
