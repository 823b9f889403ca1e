//! A fleet of real processes, and what can be done to it.

pub(crate) mod discord;
pub(crate) mod folder;
pub(crate) mod judge;
pub(crate) mod member;
mod plan;
mod server;
mod tls;
pub(crate) mod wait;

use std::{fmt::Write, path::Path, time::Duration};

use rustix::process::Signal;
use serde_json::Value;
use shardfleet::{
    broker::Broker,
    config,
    roster::{self, Roster, overview::Overview},
    subject::Names,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{
    discord::{Discord, Figures, Tls, Verdict},
    folder::Folder,
    member::{Process, Start},
    plan::Plan,
    server::Nats,
    wait::{LIMIT, eventually},
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
    /// What processes that start from now on take for the bot's token.
    pub(crate) token: String,
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

/// How a fleet is, as Discord and as its processes see it.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) discord: Figures,
    pub(crate) fleet: Overview,
}

impl Fleet {
    /// A sentence begins: `Fleet::start().shards(8).gateways(2).await`.
    pub(crate) fn start() -> Plan {
        Plan::default()
    }

    pub(super) async fn launch(plan: Plan) -> Self {
        let folder = Folder::new();
        std::fs::write(folder.path().join("config.toml"), configuration(&plan)).unwrap();
        let tls = plan.tls.then(|| tls::issue(folder.path()));
        let discord = Discord::start(folder.path(), &flags(&plan), tls.as_ref());
        let nats = Nats::start(folder.path(), plan.max_payload).await;
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
        let mut fleet = Self {
            gateways,
            coordinators,
            discord,
            nats,
            broker,
            roster,
            _gathering: gathering.drop_guard(),
            tls,
            token: TOKEN.to_owned(),
            plan,
            folder,
        };
        for _ in 0..fleet.plan.coordinators {
            fleet.start_coordinator();
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
        let wires = if self.plan.wired {
            let (nats, discord) = (self.nats.address, self.discord.address);
            let (nats, discord) = (Wire::to(nats).await, Wire::to(discord).await);
            Some(Wires { nats, discord })
        } else {
            None
        };
        let at = self.gateways.len();
        let (role, name) = ("gateway", format!("gateway-{at}"));
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
    pub(crate) fn start_coordinator(&mut self) -> usize {
        let at = self.coordinators.len();
        let (role, name) = ("coordinator", format!("coordinator-{at}"));
        let process = Some(self.run(role, &name, None));
        self.coordinators.push(Member {
            role,
            name,
            process,
            wires: None,
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

    /// The wires of a gateway.
    pub(crate) fn wires(&self, gateway: usize) -> &Wires {
        let wires = self.gateways[gateway].wires.as_ref();
        wires.expect("the plan says nothing of wires")
    }

    /// Makes something go wrong at Discord. Returns how many shards or settings it touched.
    pub(crate) async fn fault(&self, fault: Value) -> u64 {
        self.discord.fault(fault).await
    }

    /// All that Discord saw.
    pub(crate) async fn sim_verdict(&self) -> Verdict {
        self.discord.verdict().await
    }

    /// Waits until every shard receives events.
    pub(crate) async fn ready(&mut self) {
        let shards = self.plan.shards;
        self.wait_until("all shards ready", LIMIT, |state| {
            state.discord.connected == shards && state.discord.ready == shards
        })
        .await;
    }

    /// Waits until `wanted` holds. A process that ends unasked meanwhile fails the test.
    pub(crate) async fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut wanted: impl FnMut(&State) -> bool,
    ) -> State {
        let mut seen = None;
        let look = async || {
            self.check();
            let state = self.state().await;
            seen = Some(format!("{:?}; {:?}", state.discord, state.fleet.shards));
            wanted(&state).then_some(state)
        };
        let found = tokio::time::timeout(limit, eventually(what, limit * 2, look)).await;
        found.unwrap_or_else(|_| panic!("not within {limit:?}: {what}; {seen:?}"))
    }

    /// How the fleet is.
    pub(crate) async fn state(&self) -> State {
        // Where NATS is away, Discord's view alone has news.
        let shared = async { roster::shared(&self.broker).await.unwrap_or_default() };
        let (discord, shared) = tokio::join!(self.discord.figures(), shared);
        let fleet = self.roster.overview(&self.broker.names, shared);
        State { discord, fleet }
    }

    /// Waits for what Discord alone sees, whatever is with NATS.
    pub(crate) async fn discord_sees(&self, what: &str, wanted: impl Fn(&Figures) -> bool) {
        eventually(what, LIMIT, async || {
            wanted(&self.discord.figures().await).then_some(())
        })
        .await;
    }

    /// Waits until so many more events were sent.
    pub(crate) async fn flow(&mut self, events: u64) {
        let before = self.discord.figures().await.sent;
        eventually("traffic flows", LIMIT, async || {
            let sent = self.discord.figures().await.sent;
            (sent >= before + events).then_some(())
        })
        .await;
    }

    /// Waits until `resumes` more sessions were resumed and every shard is ready; not one IDENTIFY was
    /// spent on it.
    pub(crate) async fn resumed_since(&mut self, before: &Figures, resumes: u64) {
        let shards = self.plan.shards;
        self.wait_until("the shards are resumed", LIMIT, |state| {
            let now = &state.discord;
            let back = now.connected == shards && now.ready == shards;
            back && now.resumes >= before.resumes + resumes
        })
        .await;
        let identifies = self.discord.figures().await.identifies;
        assert_eq!(identifies, before.identifies, "an IDENTIFY was spent");
    }

    /// The shards that a gateway runs, once it runs as many as its share.
    pub(crate) async fn shards_of(&mut self, gateway: usize, count: usize) -> Vec<u32> {
        let name = self.gateways[gateway].name.clone();
        let mut shards = Vec::new();
        let what = format!("{name} runs {count} shards");
        self.wait_until(&what, LIMIT, |state| {
            let mut processes = state.fleet.processes.iter();
            let status = processes.find(|status| status.process == name);
            let gateway = status.and_then(|status| status.gateway.as_ref());
            shards = gateway.map_or(Vec::new(), |gateway| {
                gateway.shards.iter().map(|shard| shard.shard).collect()
            });
            shards.len() == count
        })
        .await;
        shards
    }

    /// The names of those that run.
    pub(crate) fn running(&self) -> Vec<&str> {
        let members = self.gateways.iter().chain(&self.coordinators);
        let running = members.filter(|member| member.process.is_some());
        running.map(|member| member.name.as_str()).collect()
    }

    /// What a process has logged so far.
    pub(crate) fn log(&self, name: &str) -> String {
        let path = self.folder.path().join(format!("{name}.log"));
        std::fs::read_to_string(path).unwrap()
    }

    /// Which coordinator leads, once one does.
    pub(crate) async fn leader(&mut self) -> usize {
        let leads = |state: &State| state.fleet.leader.is_some();
        let state = self.wait_until("a coordinator leads", LIMIT, leads).await;
        let leader = state.fleet.leader.unwrap().process;
        let named = |member: &Member| member.name == leader;
        self.coordinators.iter().position(named).unwrap()
    }

    fn check(&mut self) {
        for member in self.gateways.iter_mut().chain(&mut self.coordinators) {
            let ended = member.process.as_mut().and_then(Process::ended);
            assert!(ended.is_none(), "{} ended: {ended:?}", member.name);
        }
    }

    fn run(&self, role: &str, name: &str, wires: Option<&Wires>) -> Process {
        let nats = wires.map_or(self.nats.address, |wires| wires.nats.address);
        let api = self.discord.api(wires.map(|wires| wires.discord.address));
        let mut variables = vec![
            ("DISCORD_TOKEN", self.token.clone()),
            ("NATS_URL", format!("nats://{nats}")),
            ("SHARDFLEET_DISCORD__API", api),
            ("SHARDFLEET_PROCESS__NAME", name.to_owned()),
        ];
        if let Some(tls) = &self.tls {
            variables.push(("SSL_CERT_FILE", tls.authority.display().to_string()));
            variables.push(("SSL_CERT_DIR", self.folder.path().display().to_string()));
        }
        Process::start(&Start {
            name,
            program: Path::new(BIN),
            arguments: &[role.to_owned()],
            variables: &variables,
            folder: self.folder.path(),
        })
    }
}

fn flags(plan: &Plan) -> Vec<String> {
    let mut flags = vec![
        format!("--shards={}", plan.shards),
        format!("--max-concurrency={}", plan.max_concurrency),
        format!("--events-per-second={}", plan.events_per_second),
        "--guilds-per-shard=2".to_owned(),
    ];
    flags.extend(plan.flags.iter().cloned());
    flags
}

fn configuration(plan: &Plan) -> String {
    let mut sections = vec![
        ("fleet.shards".to_owned(), plan.shards.to_string()),
        ("fleet.group_size".to_owned(), plan.group_size.to_string()),
        ("fleet.deny".to_owned(), format!("{:?}", plan.denied)),
        // Shorter than an operator would have it: a takeover waits for its end.
        ("lease.ttl".to_owned(), "\"8s\"".to_owned()),
        ("web.listen".to_owned(), "\"127.0.0.1:0\"".to_owned()),
        ("gateway.lanes".to_owned(), "1".to_owned()),
        ("stream.max_bytes".to_owned(), "\"1GiB\"".to_owned()),
    ];
    for (key, value) in &plan.settings {
        sections.retain(|(known, _)| known != key);
        sections.push((key.clone(), value.clone()));
    }
    let mut text = String::new();
    for (key, value) in sections {
        writeln!(text, "{key} = {value}").unwrap();
    }
    text
}
