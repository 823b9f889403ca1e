//! Everything that runs, and how the story waits for it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio_util::sync::CancellationToken;

use super::{
    Options,
    crew::{Crew, first_line},
    folder::Folder,
    notes::Notes,
    simulator::Simulator,
};
use crate::{
    broker::{Broker, server::Server},
    clock,
    roster::Roster,
    subject::Names,
    wire::status::Status,
};

/// Identify buckets of the simulated Discord: a large bot's.
pub(super) const MAX_CONCURRENCY: u32 = 16;
/// Small groups, so that both gateways hold several.
const GROUP_SIZE: u32 = 4;
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a process may take to be there.
const START_LIMIT: Duration = Duration::from_secs(15);

/// The stage.
pub(super) struct Stage {
    pub(super) simulator: Simulator,
    pub(super) broker: Broker,
    pub(super) roster: Roster,
    pub(super) notes: Notes,
    pub(super) shards: u32,
    crew: Crew,
    server: Server,
    logs: String,
    /// Page of each role's process.
    pages: Vec<(String, String)>,
    gathering: CancellationToken,
}

impl Stage {
    /// Starts simulator and server, then two of each role.
    pub(super) async fn open(options: &Options, folder: &Folder, notes: &Notes) -> Result<Self> {
        notes.wait_for("the simulator and nats-server");
        let mut crew = Crew::new(&folder.logs())?;
        let simulator = simulator(&mut crew, options).await?;
        let server = Server::start(&folder.store()).await?;
        let broker =
            Broker::connect(&server.nats(), Names::new("discord"), "shardfleet demo").await?;
        broker.ready(START_LIMIT).await?;
        let gathering = CancellationToken::new();
        let roster = Roster::gather(&broker, gathering.clone()).await?;
        let mut stage = Self {
            simulator,
            broker,
            roster,
            notes: notes.clone(),
            crew,
            server,
            shards: options.shards,
            logs: folder.logs().display().to_string(),
            pages: Vec::new(),
            gathering,
        };
        for (name, role) in [
            ("coordinator-a", "coordinator"),
            ("coordinator-b", "coordinator"),
            ("gateway-a", "gateway"),
            ("gateway-b", "gateway"),
        ] {
            stage.join(name, role)?;
        }
        notes.say("started: simulator, nats-server, 2 coordinators, 2 gateways");
        Ok(stage)
    }

    /// Starts a process of the fleet.
    pub(super) fn join(&mut self, name: &str, role: &str) -> Result<()> {
        let page = free_address()?;
        let variables = [
            ("DISCORD_TOKEN", "simulated".to_owned()),
            (
                "SHARDFLEET_DISCORD__API",
                format!("{}/api/v10", self.simulator.url),
            ),
            ("SHARDFLEET_FLEET__SHARDS", self.shards.to_string()),
            ("SHARDFLEET_FLEET__GROUP_SIZE", GROUP_SIZE.to_string()),
            // One gateway must be able to take all that the other leaves behind.
            ("SHARDFLEET_GATEWAY__MAX_GROUPS", self.groups().to_string()),
            // Discord itself shares this machine's cores: the path to it may vary by more than usual.
            ("SHARDFLEET_COORDINATOR__MARGIN", "1s".to_owned()),
            ("SHARDFLEET_PROCESS__NAME", name.to_owned()),
            ("SHARDFLEET_WEB__LISTEN", page.clone()),
            ("SHARDFLEET_LOG__FORMAT", "text".to_owned()),
        ];
        // The way into NATS: its password is in a file, not in a variable.
        let keys = self.server.keys();
        let ways = keys.map(|(key, value)| {
            let key = key.replace('.', "__").to_uppercase();
            (format!("SHARDFLEET_{key}"), value)
        });
        let ways = ways
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone()));
        let variables: Vec<_> = variables.into_iter().chain(ways).collect();
        self.crew.start(name, &[role.to_owned()], &variables)?;
        self.pages
            .push((name.to_owned(), format!("http://{page}/")));
        Ok(())
    }

    /// `kill -9`.
    pub(super) async fn kill(&mut self, name: &str) -> Result<()> {
        self.notes.killed(name);
        self.pages.retain(|(member, _)| member != name);
        self.crew.kill(name).await
    }

    /// Waits for a condition, no longer than `limit`, and while everybody lives.
    pub(super) async fn until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl AsyncFnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        self.notes.wait_for(what);
        let deadline = clock::now() + limit;
        loop {
            self.crew.check()?;
            if let Some(found) = look(self).await? {
                return Ok(found);
            }
            if clock::now() >= deadline {
                bail!(
                    "waited {limit:?} in vain for {what}; the logs are in {}",
                    self.logs
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What the living said last.
    pub(super) fn living(&self) -> Vec<Status> {
        let dead = self.notes.read().dead;
        let mut said = self.roster.processes();
        said.retain(|status| !dead.contains(&status.process));
        said
    }

    /// Who leads, by its own word: name and epoch.
    pub(super) fn leader(&self) -> Option<(String, u64)> {
        let leads = |status: Status| {
            let coordinator = status.coordinator.filter(|it| it.leader)?;
            Some((status.process, coordinator.epoch))
        };
        self.living()
            .into_iter()
            .filter_map(leads)
            .max_by_key(|(_, epoch)| *epoch)
    }

    /// How many groups the fleet is cut into.
    pub(super) fn groups(&self) -> usize {
        self.shards.div_ceil(GROUP_SIZE) as usize
    }

    /// Where everything is reached.
    pub(super) fn places(&self) -> impl Iterator<Item = (&str, String)> {
        let login = self.server.url_file().display().to_string();
        [
            ("nats", self.server.url.clone()),
            ("nats login", format!("NATS_URL=$(cat '{login}')")),
            ("simulator", self.simulator.url.clone()),
        ]
        .into_iter()
        .chain(
            self.pages
                .iter()
                .map(|(name, page)| (name.as_str(), page.clone())),
        )
    }

    /// Ends everything.
    pub(super) async fn close(self) {
        self.gathering.cancel();
        self.crew.end().await;
        _ = self.server.stop(Duration::from_secs(2)).await;
    }
}

async fn simulator(crew: &mut Crew, options: &Options) -> Result<Simulator> {
    let arguments = [
        ("--listen", "127.0.0.1:0".to_owned()),
        ("--shards", options.shards.to_string()),
        ("--max-concurrency", MAX_CONCURRENCY.to_string()),
        ("--events-per-second", options.events_per_second.to_string()),
    ];
    let mut words = vec!["sim".to_owned()];
    words.extend(
        arguments
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value]),
    );
    let child = crew.start("simulator", &words, &[])?;
    let line = tokio::time::timeout(START_LIMIT, first_line(child)).await;
    let line = line.context("the simulator said nothing")??;
    let at = line.find("http").context("the simulator said no address")?;
    Simulator::new(&line[at..])
}

/// A loopback address that nobody listens on just now.
fn free_address() -> Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.to_string())
}
