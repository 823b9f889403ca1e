//! What the groups of a process have in common.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    broker::losses::Losses,
    gateway::{
        buffer::Budget, command::near::Near, discord::Discord, gauge::Gauges,
        remembered::Remembered, sessions::Sessions,
    },
    wire::topology::Topology,
};

/// What every group of a process shares.
pub struct Shared {
    /// The process's name.
    pub process: String,
    /// As whom shards identify, and where.
    pub discord: Arc<Discord>,
    /// How the fleet is cut.
    pub topology: watch::Receiver<Arc<Topology>>,
    /// The process's bytes.
    pub budget: Budget,
    /// Events shed first.
    pub shed: Arc<[String]>,
    /// What shards show.
    pub gauges: Gauges,
    /// Shards that run here, for commands.
    pub near: Near,
    /// Streams.
    pub partitions: u32,
    /// The lease time.
    pub ttl: Duration,
    /// What the fleet has lost in NATS.
    pub losses: Losses,
    /// Sessions that had to be left.
    pub remembered: Remembered,
    /// Names of sessions that are taken.
    pub sessions: Sessions,
}
