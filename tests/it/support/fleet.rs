//! A fleet of real processes, and what can be done to it.

pub(crate) mod cluster;
pub(crate) mod discord;
pub(crate) mod folder;
pub(crate) mod judge;
mod lost;
pub(crate) mod member;
pub(crate) mod pace;
pub(crate) mod plan;
mod row;
mod server;
mod silence;
pub(crate) mod tls;
pub(crate) mod wait;
mod watch;
mod witness;

pub(crate) use self::watch::State;

use std::{path::PathBuf, time::Duration};

use rustix::process::Signal;
use serde_json::Value;
use shardfleet::{
    broker::Broker,
    clock::{self, Instant},
    config,
    roster::Roster,
    subject::Names,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{
    discord::{Discord, Tls, Verdict},
    folder::Folder,
    member::{Process, Start},
    plan::Plan,
    server::Nats,
    wait::LIMIT,
    witness::Witness,
};
use super::{chaos::Wire, process::BIN};

/// The bot token of every fleet: nothing but a search for it may ever find it.
pub(crate) const TOKEN: &str = "it.bot-token.that-nobody.may-see-7d31f0c2";

/// The fleet. Its parts end with it, in this order.
pub(crate) struct Fleet {
    gateways: Vec<Member>,
    coordinators: Vec<Member>,
    pub(crate) discord: Discord,
    pub(crate) nats: Nats,
    /// A connection of the test's own, to read what is there.
    pub(crate) broker: Broker,
    roster: Roster,
    _gathering: DropGuard,
    tls: Option<Tls>,
    witness: Option<Witness>,
    began: Instant,
    /// What processes that start from now on take for the bot's token.
    pub(crate) token: String,
    /// What else they are told, over everything.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// The build that they are.
    pub(crate) program: PathBuf,
    pub(crate) plan: Plan,
    pub(crate) folder: Folder,
}

/// A place in the fleet; its process may be gone.
struct Member {
    role: &'static str,
    name: String,
    process: Option<Process>,
    wires: Option<Wires>,
}

/// The wires of a process.
pub(crate) struct Wires {
    pub(crate) nats: Wire,
    pub(crate) discord: Wire,
}

impl Fleet {
    /// A sentence begins: `Fleet::start().shards(8).gateways(2).await`.
    pub(crate) fn start() -> Plan {
        Plan::default()
    }

    pub(super) async fn launch(plan: Plan) -> Self {
        let began = clock::now();
        let folder = Folder::new();
        std::fs::write(folder.path().join("config.toml"), plan.configuration()).unwrap();
        let tls = plan.tls.then(|| tls::issue(folder.path()));
        let discord = Discord::start(folder.path(), &plan.flags(), tls.as_ref());
        let nats = Nats::start(folder.path(), &plan).await;
        let settings = config::Nats {
            url: nats.url(),
            ..config::Nats::default()
        };
        let names = Names::new("discord");
        let broker = Broker::connect(&settings, names, "judge").await.unwrap();
        broker.ready(LIMIT).await.unwrap();
        let gathering = CancellationToken::new();
        let roster = Roster::gather(&broker, gathering.clone()).await.unwrap();
        let (gateways, coordinators) = (Vec::new(), Vec::new());
        let cold = plan.cold;
        let stream = broker.names.stream(0, 1);
        let witness = plan.witnessed.then(|| Witness::follow(&broker, stream));
        let mut fleet = Self {
            gateways,
            coordinators,
            discord,
            nats,
            broker,
            roster,
            _gathering: gathering.drop_guard(),
            tls,
            witness,
            began,
            token: TOKEN.to_owned(),
            variables: Vec::new(),
            program: BIN.into(),
            plan,
            folder,
        };
        fleet.cluster_formed().await;
        for _ in 0..fleet.plan.coordinators {
            fleet.start_coordinator().await;
        }
        for _ in 0..fleet.plan.gateways {
            fleet.start_gateway().await;
        }
        if !cold {
            fleet.ready().await;
        }
        fleet
    }

    /// One more gateway. Returns its place.
    pub(crate) async fn start_gateway(&mut self) -> usize {
        let at = self.gateways.len();
        let (role, name) = ("gateway", format!("gateway-{at}"));
        let wires = self.wire_up().await;
        let process = Some(self.run(role, &name, wires.as_ref()));
        self.gateways.push(Member {
            role,
            name,
            process,
            wires,
        });
        at
    }

    /// One more coordinator. Returns its place.
    pub(crate) async fn start_coordinator(&mut self) -> usize {
        let at = self.coordinators.len();
        let (role, name) = ("coordinator", format!("coordinator-{at}"));
        let wires = self.wire_up().await;
        let process = Some(self.run(role, &name, wires.as_ref()));
        self.coordinators.push(Member {
            role,
            name,
            process,
            wires,
        });
        at
    }

    /// Starts a gateway anew in its place, under its name.
    pub(crate) fn restart_gateway(&mut self, at: usize) {
        let Member {
            role, name, wires, ..
        } = &self.gateways[at];
        let process = self.run(role, name, wires.as_ref());
        self.gateways[at].process = Some(process);
    }

    /// Starts a coordinator anew in its place, under its name.
    pub(crate) fn restart_coordinator(&mut self, at: usize) {
        let Member {
            role, name, wires, ..
        } = &self.coordinators[at];
        let process = self.run(role, name, wires.as_ref());
        self.coordinators[at].process = Some(process);
    }

    /// `kill -9`.
    pub(crate) fn kill_gateway(&mut self, at: usize) {
        self.gateways[at].process.take().unwrap().kill();
    }

    /// `kill -9`.
    pub(crate) fn kill_coordinator(&mut self, at: usize) {
        self.coordinators[at].process.take().unwrap().kill();
    }

    /// SIGTERM. Returns the exit code, once it has ended.
    pub(crate) async fn stop_gateway(&mut self, at: usize) -> Option<i32> {
        let process = self.gateways[at].process.take().unwrap();
        process.stop(LIMIT).await
    }

    /// Waits until it ends by itself. Returns the exit code.
    pub(crate) async fn gateway_ends(&mut self, at: usize, limit: Duration) -> Option<i32> {
        let process = self.gateways[at].process.take().unwrap();
        process.end(limit).await
    }

    /// Waits until it ends by itself. Returns the exit code.
    pub(crate) async fn coordinator_ends(&mut self, at: usize, limit: Duration) -> Option<i32> {
        let process = self.coordinators[at].process.take().unwrap();
        process.end(limit).await
    }

    /// SIGSTOP.
    pub(crate) fn pause_gateway(&self, at: usize) {
        self.gateways[at]
            .process
            .as_ref()
            .unwrap()
            .signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn resume_gateway(&self, at: usize) {
        self.gateways[at]
            .process
            .as_ref()
            .unwrap()
            .signal(Signal::CONT);
    }

    /// SIGTERM. Returns the exit code, once it has ended.
    pub(crate) async fn stop_coordinator(&mut self, at: usize) -> Option<i32> {
        let process = self.coordinators[at].process.take().unwrap();
        process.stop(LIMIT).await
    }

    /// SIGSTOP.
    pub(crate) fn pause_coordinator(&self, at: usize) {
        let process = self.coordinators[at].process.as_ref();
        process.unwrap().signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn resume_coordinator(&self, at: usize) {
        let process = self.coordinators[at].process.as_ref();
        process.unwrap().signal(Signal::CONT);
    }

    /// The wires of a coordinator.
    pub(crate) fn coordinator_wires(&self, at: usize) -> &Wires {
        let wires = self.coordinators[at].wires.as_ref();
        wires.expect("the plan says nothing of wires")
    }

    /// The wires of a gateway.
    pub(crate) fn wires(&self, gateway: usize) -> &Wires {
        let wires = self.gateways[gateway].wires.as_ref();
        wires.expect("the plan says nothing of wires")
    }

    /// One task of this name panics in a process of a fleet with [`Plan::panics`].
    pub(crate) fn panic(&self, process: &str, task: &str) {
        std::fs::write(self.panics(process).join(task), "").unwrap();
    }

    fn panics(&self, process: &str) -> PathBuf {
        self.folder.path().join(format!("panics-of-{process}"))
    }

    /// Where a process serves its page, as it tells.
    pub(crate) async fn page(&mut self, process: &str) -> String {
        let mut page = None;
        self.wait_until("a process tells of its page", LIMIT, |state| {
            let mut processes = state.fleet.processes.iter();
            let status = processes.find(|status| status.process == process);
            page = status.and_then(|status| status.page.clone());
            page.is_some()
        })
        .await;
        page.unwrap().trim_end_matches('/').to_owned()
    }

    /// Makes something go wrong at Discord. Returns how many shards or settings it touched.
    pub(crate) async fn fault(&self, fault: Value) -> u64 {
        self.discord.fault(fault).await
    }

    /// All that Discord saw.
    pub(crate) async fn sim_verdict(&self) -> Verdict {
        self.discord.verdict().await
    }

    /// The wires of one more process, where the plan has any. That to NATS ends at whichever node
    /// takes the connection.
    async fn wire_up(&self) -> Option<Wires> {
        if !self.plan.wired {
            return None;
        }
        let nats = Wire::to(self.nats.addresses()).await;
        let discord = Wire::to(vec![self.discord.address]).await;
        Some(Wires { nats, discord })
    }

    fn run(&self, role: &str, name: &str, wires: Option<&Wires>) -> Process {
        let nats = wires.map_or_else(
            || self.nats.url(),
            |wires| format!("nats://{}", wires.nats.address),
        );
        let api = self.discord.api(wires.map(|wires| wires.discord.address));
        let mut variables = vec![
            ("DISCORD_TOKEN", self.token.clone()),
            ("NATS_URL", nats),
            ("SHARDFLEET_DISCORD__API", api),
            ("SHARDFLEET_PROCESS__NAME", name.to_owned()),
        ];
        if self.plan.panics {
            let folder = self.panics(name);
            std::fs::create_dir_all(&folder).unwrap();
            variables.push(("SHARDFLEET_TEST_PANIC", folder.display().to_string()));
        }
        if let Some(tls) = &self.tls {
            variables.push(("SSL_CERT_FILE", tls.authority.display().to_string()));
            variables.push(("SSL_CERT_DIR", self.folder.path().display().to_string()));
        }
        variables.extend(self.variables.iter().cloned());
        Process::start(&Start {
            name,
            program: &self.program,
            arguments: &[role.to_owned()],
            variables: &variables,
            folder: self.folder.path(),
        })
    }
}
