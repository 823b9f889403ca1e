//! Seeds what the whole fleet shares, once; and writes it again where it was lost.

use std::time::Duration;

use crate::{
    bot::{self, BotId, Other},
    broker::{
        bucket::{Bucket, KvError},
        losses::Hearing,
    },
    clock::{self, Instant},
    config::{Config, Fleet, Shards},
    fleet::Layout,
    roster::Roster,
    subject::TOPOLOGY,
    wire::{self, topology::Topology},
};

/// Returns once the topology was read: that the fleet is this process's bot's, as far as both are known.
pub(super) async fn is_of(bucket: &Bucket, bot: Option<BotId>) -> Result<(), Other> {
    let entry = loop {
        match bucket.get(TOPOLOGY).await {
            Ok(entry) => break entry,
            Err(error) => tracing::warn!("cannot read the fleet's topology: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    // One that is not understood is somebody's to mend; the watch of it says so.
    match entry.map(|entry| wire::decode::<Topology>(&entry.value)) {
        Some(Ok(topology)) => bot::check(bot, &topology),
        _ => Ok(()),
    }
}

/// Who seeds it.
pub(super) struct Seed {
    state: Bucket,
    losses: Hearing,
    fleet: Fleet,
    /// Whose fleet it is, where this process knows.
    application: Option<String>,
    /// So long those that run by a topology are left to write it themselves.
    patience: Duration,
    roster: Roster,
    /// As it was last seen.
    known: Option<Topology>,
    /// Since when it is missing although others run by one.
    missing: Option<Instant>,
}

impl Seed {
    /// With what is configured; `roster` tells who runs by a topology.
    pub(super) fn new(state: Bucket, config: &Config, bot: Option<BotId>, roster: Roster) -> Self {
        Self {
            losses: state.losses(),
            state,
            fleet: config.fleet.clone(),
            application: bot.map(|bot| bot.to_string()),
            patience: config.lease.ttl.0,
            roster,
            known: None,
            missing: None,
        }
    }

    /// Waits until the bucket has lost what was in it.
    pub(super) async fn lost(&mut self) {
        self.losses.lost().await;
    }

    /// Writes the topology where there is none: the last one known, else from the configuration;
    /// `recommended` is Discord's answer. Whoever comes first decides; afterwards `shardfleet set` alone
    /// changes it, and never its cut. False: NATS did not say what became of it, so try again: the whole fleet waits for it.
    /// Where it names no bot, as one that an older release wrote, this process's is filled in.
    pub(super) async fn see(&mut self, recommended: Option<u32>) -> bool {
        let seen = self.see_once(recommended).await;
        if let Err(error) = &seen {
            tracing::warn!("cannot see to the fleet's topology: {error}");
        }
        seen.unwrap_or(false)
    }

    async fn see_once(&mut self, recommended: Option<u32>) -> Result<bool, KvError> {
        if let Some(entry) = self.state.get(TOPOLOGY).await? {
            self.missing = None;
            // What is not understood is told by those that watch it.
            if let Ok(topology) = wire::decode(&entry.value) {
                self.known = Some(self.name_bot(topology, entry.revision).await?);
            }
            return Ok(true);
        }
        let Some(topology) = self.known.clone().or_else(|| self.configured(recommended)) else {
            return Ok(true);
        };
        if self.known.is_none() && self.others_know() {
            return Ok(false);
        }
        let shards = topology.layout.shards;
        match self.state.create(TOPOLOGY, wire::encode(&topology)).await {
            Ok(_) => tracing::info!(
                shards,
                "the fleet has {shards} shards from now on; nothing changes that while it runs"
            ),
            Err(KvError::Conflict) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Fills in whose fleet it is, where nobody has said so; gives back what stands then.
    async fn name_bot(&self, topology: Topology, revision: u64) -> Result<Topology, KvError> {
        let (None, Some(bot)) = (&topology.application, &self.application) else {
            return Ok(topology);
        };
        let named = Topology {
            application: Some(bot.clone()),
            ..topology.clone()
        };
        let value = wire::encode(&named);
        match self.state.update(TOPOLOGY, value, revision).await {
            Ok(_) => {
                tracing::info!(bot, "the fleet is the bot {bot}'s from now on");
                Ok(named)
            }
            // Somebody else has changed it: the next look is at that.
            Err(KvError::Conflict) => Ok(topology),
            Err(error) => Err(error),
        }
    }

    fn configured(&self, recommended: Option<u32>) -> Option<Topology> {
        let shards = match (self.fleet.shards, recommended) {
            (Shards::Fixed(shards), _) => shards,
            (Shards::Auto, recommended) => recommended?.max(1),
        };
        Some(Topology {
            v: wire::VERSION,
            layout: Layout {
                generation: 1,
                shards,
                group_size: self.fleet.group_size.0,
            },
            application: self.application.clone(),
            allow: self.fleet.allow.0.clone(),
            deny: self.fleet.deny.0.clone(),
        })
    }

    /// True while a gateway runs by a topology that it may write itself: it knows better.
    fn others_know(&mut self) -> bool {
        let processes = self.roster.processes();
        let mut gateways = processes
            .iter()
            .filter_map(|status| status.gateway.as_ref());
        if !gateways.any(|gateway| !gateway.groups.is_empty()) {
            return false;
        }
        let now = clock::now();
        now < *self.missing.get_or_insert(now) + self.patience
    }
}
