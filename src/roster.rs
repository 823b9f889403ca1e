//! How the fleet is: each process says its status every second, anybody gathers everyone's.

mod footing;
pub mod looks;
pub mod namesake;
pub mod overview;
pub mod waits;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use async_nats::{Client, connection::State};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub use self::footing::Footing;
use self::overview::{Overview, Shared};
use crate::{
    broker::{Broker, bucket::Bucket},
    clock,
    subject::{self, Names},
    supervise,
    telemetry::{VERSION, seldom::Seldom},
    wire::{
        self,
        status::{CoordinatorStatus, GatewayStatus, Status},
    },
};

/// How often a process says its status.
pub const SAY_EVERY: Duration = Duration::from_secs(1);
/// A process silent for this long is gone.
pub const GONE_AFTER_MS: u64 = 5_000;
/// Nobody at all has spoken for this long: it is not the processes that are silent.
const SILENT_AFTER_MS: u64 = 3_000;

/// What this process says of itself; its roles write on it.
#[derive(Clone)]
pub struct Board {
    status: Arc<Mutex<Status>>,
    footing: Arc<Mutex<Footing>>,
    urgent: Arc<Notify>,
    drains: CancellationToken,
}

impl Board {
    /// The board of the process called `process`.
    pub fn new(process: &str) -> Self {
        let status = Status {
            v: wire::VERSION,
            process: process.to_owned(),
            version: VERSION.to_owned(),
            pid: std::process::id(),
            started_ms: clock::unix_ms(),
            ..Status::default()
        };
        Self {
            status: Arc::new(Mutex::new(status)),
            footing: Arc::default(),
            urgent: Arc::default(),
            drains: CancellationToken::new(),
        }
    }

    /// The process's name.
    pub fn process(&self) -> String {
        self.update(|status| status.process.clone())
    }

    /// The gateway role says how it is, and that so many groups that nobody holds are its share.
    pub fn gateway(&self, gateway: GatewayStatus, free: usize) {
        let mut footing = self.lock_footing();
        footing.saw(&gateway);
        footing.free = free;
        drop(footing);
        self.update(|status| status.gateway = Some(gateway));
    }

    /// How firmly the gateway role stands.
    pub fn footing(&self) -> Footing {
        *self.lock_footing()
    }

    fn lock_footing(&self) -> MutexGuard<'_, Footing> {
        self.footing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The coordinator role says how it is.
    pub fn coordinator(&self, coordinator: CoordinatorStatus) {
        self.update(|status| status.coordinator = Some(coordinator));
    }

    /// From now on the process hands over what it holds. Said at once: others take it over.
    pub fn draining(&self) {
        if !self.update(|status| std::mem::replace(&mut status.draining, true)) {
            self.urgent.notify_one();
        }
        self.drains.cancel();
    }

    /// Cancelled once the process hands over what it holds.
    pub fn drains(&self) -> CancellationToken {
        self.drains.clone()
    }

    /// Whether Discord's REST refuses the process's token.
    pub fn token_refused(&self, refused: bool) {
        self.update(|status| status.token_refused = refused);
    }

    /// Where the process serves its page.
    pub fn page(&self, url: &str) {
        self.update(|status| status.page = Some(url.to_owned()));
    }

    /// The status as of now.
    pub fn status(&self) -> Status {
        self.update(|status| {
            status.at_ms = clock::unix_ms();
            status.clone()
        })
    }

    fn update<T>(&self, change: impl FnOnce(&mut Status) -> T) -> T {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says this process's status every second, and whenever it is urgent, until `shutdown`.
pub async fn say(broker: Broker, board: Board, shutdown: CancellationToken) {
    let subject = broker.names.status(&board.process());
    let mut tick = tokio::time::interval(SAY_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
            () = board.urgent.notified() => {}
        }
        // Nobody may be listening, and the next word follows in a second.
        if broker.connected() {
            let status = Status {
                missing: broker.losses.missing(),
                differing: broker.losses.differing(),
                ..board.status()
            };
            let word = wire::encode(&status);
            _ = broker.client.publish(subject.clone(), word).await;
        }
    }
}

/// Who was heard when.
struct Known {
    /// Each one's last word, and since when it may be silent.
    said: BTreeMap<String, (Status, u64)>,
    /// When anybody spoke last.
    heard_ms: u64,
    /// Changes with each connection.
    connects: watch::Receiver<u64>,
}

impl Known {
    /// While NATS was away nobody could be heard: each may be silent from the new connection on.
    fn forgive(&mut self, now_ms: u64) {
        if self.connects.has_changed().unwrap_or(false) {
            self.connects.mark_unchanged();
            for (_, since) in self.said.values_mut() {
                *since = now_ms;
            }
        }
    }
}

/// Everyone's last word.
#[derive(Clone)]
pub struct Roster {
    known: Arc<Mutex<Known>>,
    client: Client,
    /// Counts gateways that came or began to leave.
    moves: watch::Sender<u64>,
}

impl Roster {
    /// Gathers until `shutdown`; returns once it listens.
    ///
    /// # Errors
    /// Where the subscription is refused.
    pub async fn gather(broker: &Broker, shutdown: CancellationToken) -> Result<Self> {
        let mut words = broker.client.subscribe(broker.names.statuses()).await?;
        let known = Known {
            said: BTreeMap::new(),
            heard_ms: clock::unix_ms(),
            connects: broker.connects(),
        };
        let roster = Self {
            known: Arc::new(Mutex::new(known)),
            client: broker.client.clone(),
            moves: watch::Sender::new(0),
        };
        let gathered = roster.clone();
        let until = shutdown.clone();
        let seldom = Seldom::default();
        supervise::vital("roster", &until, async move {
            while let Some(Some(word)) = shutdown.run_until_cancelled(words.next()).await {
                match wire::decode::<Status>(&word.payload) {
                    Ok(status) => gathered.heard(status, clock::unix_ms()),
                    Err(error) => {
                        if let Some(unsaid) = seldom.one_more(clock::now()) {
                            tracing::warn!(
                                unsaid,
                                "a status was not understood, and is passed over: {error}"
                            );
                        }
                    }
                }
            }
        });
        Ok(roster)
    }

    /// The processes that spoke lately, by name; while NATS is away, those that spoke before.
    pub fn processes(&self) -> Vec<Status> {
        let now = clock::unix_ms();
        let mut known = self.known();
        known.forgive(now);
        if self.client.connection_state() == State::Connected {
            known
                .said
                .retain(|_, (_, since)| now.saturating_sub(*since) < GONE_AFTER_MS);
        }
        let said = known.said.values();
        said.map(|(status, _)| status.clone()).collect()
    }

    /// True if nobody at all has spoken for a while.
    pub fn is_silent(&self) -> bool {
        clock::unix_ms().saturating_sub(self.known().heard_ms) >= SILENT_AFTER_MS
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever a process comes, or begins to drain.
    pub fn moves(&self) -> watch::Receiver<u64> {
        self.moves.subscribe()
    }

    /// The fleet as of now.
    pub fn overview(&self, names: &Names, shared: Shared) -> Overview {
        Overview::new(names.fleet(), shared, self.processes(), clock::unix_ms())
    }

    fn heard(&self, mut status: Status, now_ms: u64) {
        // Its clock may differ from ours: what counts is when we heard it.
        status.at_ms = now_ms;
        let draining = status.draining;
        let mut known = self.known();
        known.forgive(now_ms);
        known.heard_ms = now_ms;
        let before = known.said.insert(status.process.clone(), (status, now_ms));
        drop(known);
        if before.is_none_or(|(before, _)| before.draining != draining) {
            self.moves.send_modify(|moves| *moves += 1);
        }
    }
}

/// What the fleet shares, from the state bucket; nothing where that does not exist yet.
///
/// # Errors
/// Where NATS does not answer, or a value is not understood.
pub async fn shared(broker: &Broker) -> Result<Shared> {
    let bucket = Bucket::open(broker, &broker.names.state_bucket()).await?;
    Ok(Shared {
        topology: read(&bucket, subject::TOPOLOGY).await?,
        halt: read(&bucket, subject::HALT).await?,
    })
}

async fn read<T: DeserializeOwned>(bucket: &Bucket, key: &str) -> Result<Option<T>> {
    let entry = bucket.get(key).await?;
    let value = entry.map(|entry| wire::decode(&entry.value)).transpose();
    value.with_context(|| format!("the key {key} of the state bucket is not understood"))
}
