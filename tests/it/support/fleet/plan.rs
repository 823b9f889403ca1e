//! What fleet a test wants: a sentence that ends in `.await`.

use std::{
    fmt::Write,
    future::{Future, IntoFuture},
    pin::Pin,
};

use super::{Fleet, pace};

/// A fleet to start. Every figure that a test does not name is one that keeps it quick.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word of the sentence that stands alone"
)]
pub(crate) struct Plan {
    pub(crate) shards: u32,
    pub(crate) group_size: u32,
    pub(crate) gateways: usize,
    pub(crate) coordinators: usize,
    pub(crate) nodes: usize,
    pub(crate) events_per_second: u32,
    /// By this, what a test waits for is more in `make chaos`.
    pub(super) longer: u64,
    pub(crate) max_concurrency: u32,
    pub(crate) max_payload: u32,
    pub(crate) max_store: Option<u32>,
    pub(crate) flags: Vec<String>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) denied: Vec<String>,
    pub(crate) allowed: Vec<String>,
    pub(crate) witnessed: bool,
    pub(crate) wired: bool,
    pub(crate) tls: bool,
    pub(crate) panics: bool,
    pub(crate) cold: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            shards: 4,
            group_size: 2,
            gateways: 1,
            coordinators: 1,
            nodes: 1,
            events_per_second: pace::rate(200),
            longer: pace::longer(200),
            // As many as any test has shards: a cold start is one round of IDENTIFYs.
            max_concurrency: 16,
            max_payload: 8 << 20,
            max_store: None,
            flags: Vec::new(),
            settings: Vec::new(),
            denied: Vec::new(),
            allowed: Vec::new(),
            witnessed: false,
            wired: false,
            tls: false,
            panics: false,
            cold: false,
        }
    }
}

impl Plan {
    pub(crate) fn shards(mut self, shards: u32) -> Self {
        self.shards = shards;
        self
    }

    pub(crate) fn group_size(mut self, group_size: u32) -> Self {
        self.group_size = group_size;
        self
    }

    pub(crate) fn gateways(mut self, gateways: usize) -> Self {
        self.gateways = gateways;
        self
    }

    pub(crate) fn coordinators(mut self, coordinators: usize) -> Self {
        self.coordinators = coordinators;
        self
    }

    /// So many nats-servers in one cluster, each with a replica of everything.
    pub(crate) fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// At least; `make chaos` sends more.
    pub(crate) fn events_per_second(mut self, events_per_second: u32) -> Self {
        self.events_per_second = pace::rate(events_per_second);
        self.longer = pace::longer(events_per_second);
        self
    }

    /// Exactly, also in `make chaos`: where the rate itself decides what is lost.
    pub(crate) fn at_exactly(mut self, events_per_second: u32) -> Self {
        self.events_per_second = events_per_second;
        self.longer = 1;
        self
    }

    pub(crate) fn max_concurrency(mut self, max_concurrency: u32) -> Self {
        self.max_concurrency = max_concurrency;
        self
    }

    /// The largest message that NATS takes, in bytes.
    pub(crate) fn max_payload(mut self, bytes: u32) -> Self {
        self.max_payload = bytes;
        self
    }

    /// The most that NATS stores, in bytes, of all streams together.
    pub(crate) fn max_store(mut self, bytes: u32) -> Self {
        self.max_store = Some(bytes);
        self
    }

    /// A flag of the simulator, such as `--session-ttl=5s`.
    pub(crate) fn discord(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// A key of the configuration of every process, such as `lease.ttl`.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Events that the fleet does not forward.
    pub(crate) fn deny(mut self, events: &[&str]) -> Self {
        self.denied = events.iter().map(ToString::to_string).collect();
        self
    }

    /// The only events that the fleet forwards.
    pub(crate) fn allow(mut self, events: &[&str]) -> Self {
        self.allowed = events.iter().map(ToString::to_string).collect();
        self
    }

    /// Every message is read as soon as it is stored: the stream will not keep it until the audit.
    pub(crate) fn witnessed(mut self) -> Self {
        self.witnessed = true;
        self
    }

    /// Gateways and coordinators reach NATS and Discord by wires that can be cut.
    pub(crate) fn wired(mut self) -> Self {
        self.wired = true;
        self
    }

    /// Discord is reached over https and wss.
    pub(crate) fn over_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Tasks panic when the test asks for it.
    pub(crate) fn panics(mut self) -> Self {
        self.panics = true;
        self
    }

    /// Without waiting for the shards.
    pub(crate) fn cold(mut self) -> Self {
        self.cold = true;
        self
    }
}

impl Plan {
    /// The simulator's flags; those of the test replace these.
    pub(super) fn flags(&self) -> Vec<String> {
        let mut flags = vec![
            format!("--shards={}", self.shards),
            format!("--max-concurrency={}", self.max_concurrency),
            format!("--events-per-second={}", self.events_per_second),
            "--guilds-per-shard=2".to_owned(),
        ];
        flags.extend(pace::flags());
        let key = |flag: &str| flag.split('=').next().map(str::to_owned);
        flags.retain(|flag| !self.flags.iter().any(|own| key(own) == key(flag)));
        flags.extend(self.flags.iter().cloned());
        flags
    }

    /// What every process reads.
    pub(super) fn configuration(&self) -> String {
        let mut sections = vec![
            ("fleet.shards".to_owned(), self.shards.to_string()),
            ("fleet.group_size".to_owned(), self.group_size.to_string()),
            ("fleet.deny".to_owned(), format!("{:?}", self.denied)),
            ("fleet.allow".to_owned(), format!("{:?}", self.allowed)),
            // Shorter than an operator would have it: a takeover waits for its end.
            ("lease.ttl".to_owned(), "\"8s\"".to_owned()),
            // Discord itself shares this machine's cores: the path to it may vary by more than usual.
            ("coordinator.margin".to_owned(), "\"1s\"".to_owned()),
            ("web.listen".to_owned(), "\"127.0.0.1:0\"".to_owned()),
            ("gateway.lanes".to_owned(), "1".to_owned()),
            ("stream.replicas".to_owned(), self.nodes.to_string()),
            ("stream.max_bytes".to_owned(), "\"1GiB\"".to_owned()),
        ];
        for (key, value) in &self.settings {
            sections.retain(|(known, _)| known != key);
            sections.push((key.clone(), value.clone()));
        }
        let mut text = String::new();
        for (key, value) in sections {
            writeln!(text, "{key} = {value}").unwrap();
        }
        text
    }
}

impl IntoFuture for Plan {
    type Output = Fleet;
    type IntoFuture = Pin<Box<dyn Future<Output = Fleet>>>;

    /// Starts every process; unless [`Plan::cold`], waits until every shard is ready.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(Fleet::launch(self))
    }
}
