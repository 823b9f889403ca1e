//! What every shard of a process needs of Discord: as whom it identifies, where, and how often.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

use super::{
    ask,
    openings::Openings,
    socket::{Tls, native_tls},
    url::Address,
};
use crate::{
    clock::Instant,
    config::{Config, Identity},
    telemetry::seldom::Seldom,
};

/// Shared by the shards of a process.
pub struct Discord {
    /// As whom they identify.
    pub identity: Identity,
    /// Where.
    pub address: Address,
    /// Whom they trust.
    pub tls: Tls,
    /// Lines about connections that end.
    pub lines: Seldom,
    /// Lines about coordinators that do not answer.
    pub unanswered: Seldom,
    openings: Mutex<Openings>,
}

impl Discord {
    /// As configured; follows the gateway's URL until `shutdown`.
    ///
    /// # Errors
    /// A presence that is none.
    pub fn new(config: &Config, shutdown: CancellationToken) -> Result<Self> {
        let discord = &config.discord;
        Ok(Self {
            identity: Identity::of(discord).context("discord.presence")?,
            address: Address::follow(discord, shutdown),
            tls: native_tls(),
            lines: Seldom::up_to(MOST_LINES),
            unanswered: ask::unanswered(),
            openings: Mutex::new(Openings::new(config.gateway.connects_per_second.0 as usize)),
        })
    }

    /// When a shard that asks at `now` may open its connection.
    pub fn reserve(&self, now: Instant) -> Instant {
        let mut openings = self.openings.lock().unwrap_or_else(PoisonError::into_inner);
        openings.reserve(now)
    }
}

/// Lines about connections in five seconds, of the whole process: a gateway that refuses them all is said,
/// and does not fill a disk.
const MOST_LINES: u64 = 20;
