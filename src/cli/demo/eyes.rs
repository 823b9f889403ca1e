//! Looks at the fleet from outside: its own words, the simulator's figures, the stream's length.

use std::{collections::VecDeque, time::Duration};

use super::{
    notes::{Notes, Pages},
    simulator::{Simulator, State},
    stage::Stage,
};
use crate::{
    broker::Broker,
    clock::{self, Instant},
    roster::Roster,
    wire::status::{CoordinatorStatus, ShardState, Status},
};

/// Rates kept, one a look.
const KEPT: usize = 36;
/// What a rate is the mean of: the simulator sends in bursts, a single look would only show those.
const MEAN: Duration = Duration::from_secs(1);

/// What looks.
pub(super) struct Eyes {
    simulator: Simulator,
    broker: Broker,
    roster: Roster,
    notes: Notes,
    shards: u32,
    /// When so many were stored: the looks of the last second, and one before it.
    counts: VecDeque<(Instant, u64)>,
    rates: VecDeque<f64>,
}

/// What one look saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// Since the beginning.
    pub(super) elapsed: Duration,
    /// Each shard's state and holder; none: nobody runs it.
    pub(super) shards: Vec<Option<(ShardState, String)>>,
    /// The gateways that live, and how many groups each holds.
    pub(super) gateways: Vec<(String, usize)>,
    /// Who leads.
    pub(super) leader: Option<(String, CoordinatorStatus)>,
    /// The simulator's figures.
    pub(super) discord: State,
    /// Messages in the stream.
    pub(super) stored: u64,
    /// Stored a second, over the last second, look by look.
    pub(super) rates: Vec<f64>,
    /// The story's notes.
    pub(super) notes: Pages,
}

impl Eyes {
    /// Eyes on a stage.
    pub(super) fn new(stage: &Stage) -> Self {
        Self {
            simulator: stage.simulator.clone(),
            broker: stage.broker.clone(),
            roster: stage.roster.clone(),
            notes: stage.notes.clone(),
            shards: stage.shards,
            counts: VecDeque::new(),
            rates: VecDeque::new(),
        }
    }

    /// One look. What does not answer just now is shown as it was, or as nothing: it is only a view.
    pub(super) async fn look(&mut self) -> Sight {
        let notes = self.notes.read();
        let mut living = self.roster.processes();
        living.retain(|status| !notes.dead.contains(&status.process));
        let stream = self
            .broker
            .jetstream
            .get_stream(self.broker.names.stream(0, 1))
            .await;
        let stored = stream.map_or(0, |stream| stream.cached_info().state.messages);
        self.measure(stored);
        Sight {
            elapsed: self.notes.elapsed(),
            shards: self.shards(&living),
            gateways: living
                .iter()
                .filter_map(|it| Some((it.process.clone(), it.gateway.as_ref()?.groups.len())))
                .collect(),
            leader: living
                .into_iter()
                .filter_map(|it| Some((it.process, it.coordinator.filter(|it| it.leader)?)))
                .max_by_key(|(_, coordinator)| coordinator.epoch),
            discord: self.simulator.state().await.unwrap_or_default(),
            stored,
            rates: self.rates.iter().copied().collect(),
            notes,
        }
    }

    fn measure(&mut self, stored: u64) {
        let now = clock::now();
        self.counts.push_back((now, stored));
        while self.counts.get(1).is_some_and(|(at, _)| now - *at >= MEAN) {
            self.counts.pop_front();
        }
        let (since, before) = self.counts.front().copied().unwrap_or((now, stored));
        let seconds = (now - since).as_secs_f64();
        if seconds > 0.0 {
            self.rates
                .push_back(stored.saturating_sub(before) as f64 / seconds);
        }
        if self.rates.len() > KEPT {
            self.rates.pop_front();
        }
    }

    fn shards(&self, living: &[Status]) -> Vec<Option<(ShardState, String)>> {
        let mut shards = vec![None; self.shards as usize];
        for status in living {
            for shard in status.gateway.iter().flat_map(|gateway| &gateway.shards) {
                if let Some(place) = shards.get_mut(shard.shard as usize) {
                    *place = Some((shard.state, status.process.clone()));
                }
            }
        }
        shards
    }
}
