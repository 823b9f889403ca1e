//! The simulated Discord of one test, a process of its own, and what it says of what it saw.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    super::process::BIN,
    TOKEN,
    member::{Process, Start},
    wait::SOON,
};

/// The simulator.
pub(crate) struct Discord {
    pub(crate) address: SocketAddr,
    http: reqwest::Client,
    scheme: &'static str,
    _process: Process,
}

/// Certificate and key of a simulator that speaks https and wss.
pub(crate) struct Tls {
    /// Who signed.
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Its figures, cheap to ask for.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Figures {
    /// Sessions that it keeps, with a socket or without.
    pub(crate) sessions_live: u32,
    /// Sessions with a socket.
    pub(crate) connected: u32,
    /// Of these, with their guilds sent and traffic flowing.
    pub(crate) ready: u32,
    pub(crate) sent: u64,
    pub(crate) identifies: u64,
    pub(crate) resumes: u64,
    pub(crate) connections: u64,
}

/// All that it saw.
#[derive(Debug, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) identifies: u64,
    /// Requests for a gateway socket, those refused too.
    pub(crate) attempts: u64,
    /// Most of them within any one second.
    pub(crate) worst_second: u64,
    pub(crate) violations: Vec<Value>,
    pub(crate) sessions: Vec<Session>,
    /// Every IDENTIFY that began a session.
    pub(crate) ready: Vec<Moment>,
}

/// When a session began.
#[derive(Debug, Deserialize)]
pub(crate) struct Moment {
    pub(crate) shard: u32,
    /// Milliseconds since the Unix epoch.
    pub(crate) at_ms: u64,
}

/// A session as it saw it.
#[derive(Debug, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) shard: u32,
    pub(crate) last_seq: u64,
    pub(crate) delivered_seq: u64,
    pub(crate) end_reason: Option<String>,
}

impl Discord {
    /// Starts one.
    pub(crate) fn start(folder: &Path, flags: &[String], tls: Option<&Tls>) -> Self {
        let mut arguments = vec!["sim".to_owned(), "--listen=127.0.0.1:0".to_owned()];
        arguments.push(format!("--token={TOKEN}"));
        arguments.extend_from_slice(flags);
        if let Some(tls) = tls {
            arguments.push(format!("--tls-cert={}", tls.certificate.display()));
            arguments.push(format!("--tls-key={}", tls.key.display()));
        }
        let (process, line) = Process::start_and_hear(&Start {
            name: "discord",
            program: Path::new(BIN),
            arguments: &arguments,
            variables: &[("RUST_LOG", "info".to_owned())],
            folder,
        });
        let (_, address) = line.rsplit_once("//").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        Self {
            address: address.parse().unwrap(),
            http: client(tls),
            scheme,
            _process: process,
        }
    }

    /// The base of REST, at this address or by way of another.
    pub(crate) fn api(&self, by_way_of: Option<SocketAddr>) -> String {
        let address = by_way_of.unwrap_or(self.address);
        format!("{}://{address}/api/v10", self.scheme)
    }

    /// Where its gateway is.
    pub(crate) fn gateway(&self) -> String {
        format!("ws://{}/?v=10&encoding=json", self.address)
    }

    /// Makes something go wrong. Returns how many shards or settings it touched.
    pub(crate) async fn fault(&self, fault: Value) -> u64 {
        self.post("fault", fault).await["applied"].as_u64().unwrap()
    }

    /// So many events a second from now on.
    pub(crate) async fn traffic(&self, events_per_second: u32) {
        let body = json!({ "events_per_second": events_per_second });
        self.post("traffic", body).await;
    }

    /// Its figures.
    pub(crate) async fn figures(&self) -> Figures {
        self.get("state").await
    }

    /// All that it saw.
    pub(crate) async fn verdict<T: DeserializeOwned>(&self) -> T {
        self.get("verdict").await
    }

    /// Every event sent, a line of JSON each.
    pub(crate) async fn record(&self) -> String {
        let answer = self.http.get(self.at("record")).send().await.unwrap();
        answer.text().await.unwrap()
    }

    async fn get<T: DeserializeOwned>(&self, what: &str) -> T {
        let answer = self.http.get(self.at(what)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn post(&self, what: &str, body: Value) -> Value {
        let request = self.http.post(self.at(what)).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
        answer.json().await.unwrap()
    }

    fn at(&self, what: &str) -> String {
        format!("{}://{}/sim/{what}", self.scheme, self.address)
    }
}

/// A client that trusts the simulator's own authority, if it has one, and goes by no proxy.
pub(crate) fn client(tls: Option<&Tls>) -> reqwest::Client {
    // The second test to come here finds it there.
    _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder().no_proxy().timeout(SOON * 3);
    if let Some(tls) = tls {
        let pem = std::fs::read(&tls.authority).unwrap();
        builder = builder.add_root_certificate(reqwest::Certificate::from_pem(&pem).unwrap());
    }
    builder.build().unwrap()
}
