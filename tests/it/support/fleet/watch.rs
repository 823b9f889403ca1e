//! How a fleet is, and waiting until it is as wanted.

use std::time::Duration;

use shardfleet::roster::{self, overview::Overview};

use super::{
    Fleet, Member,
    discord::Figures,
    member::Process,
    pace,
    wait::{LIMIT, eventually},
};

/// How a fleet is, as Discord and as its processes see it.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) discord: Figures,
    pub(crate) fleet: Overview,
}

impl Fleet {
    /// Waits until every shard receives events.
    pub(crate) async fn ready(&mut self) {
        let shards = self.plan.shards;
        self.wait_until("all shards ready", LIMIT, |state| {
            state.discord.connected == shards && state.discord.ready == shards
        })
        .await;
    }

    /// Waits until every shard has its guilds, however long that takes while more of them come.
    pub(crate) async fn loaded(&mut self) {
        let shards = self.plan.shards;
        loop {
            let before = self.discord.figures().await;
            let now = eventually("more guilds come", LIMIT, async || {
                let now = self.discord.figures().await;
                (now.ready == shards || now.sent > before.sent).then_some(now)
            });
            if now.await.ready == shards {
                return;
            }
        }
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

    /// Waits until so many more events were sent; several times as many in `make chaos`.
    pub(crate) async fn flow(&mut self, events: u64) {
        self.sent(events * self.plan.longer).await;
    }

    /// Waits while Discord sends for so many seconds.
    pub(crate) async fn flow_for(&mut self, seconds: u64) {
        let rate = u64::from(self.plan.events_per_second);
        self.sent(seconds * rate).await;
    }

    async fn sent(&self, events: u64) {
        let before = self.discord.figures().await.sent;
        let limit = pace::cut(LIMIT, LIMIT * 4);
        eventually("traffic flows", limit, async || {
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
}
