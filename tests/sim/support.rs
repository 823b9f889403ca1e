//! A simulator in this process, on a free port, ended with its guard.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use shardfleet::config::sim::SimOptions;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::schema;

/// Longest that any condition is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: SimOptions,
}

/// Options as the command line gives them.
pub(crate) fn options(flags: &str) -> SimOptions {
    Cli::try_parse_from(std::iter::once("sim").chain(flags.split_whitespace()))
        .unwrap()
        .options
}

pub(crate) struct Sim {
    pub(crate) address: SocketAddr,
    base: String,
    http: reqwest::Client,
    _running: DropGuard,
}

impl Sim {
    /// With quiet guilds and an identify window that tests do not wait for, unless `flags` say else.
    pub(crate) async fn start(flags: &str) -> Self {
        let mut all = String::from("--guilds-per-shard 2 --events-per-second 500 ");
        if !flags.contains("--identify-window") {
            all.push_str("--identify-window 0ms ");
        }
        all.push_str(flags);
        // A later flag of the same name would be refused: the defaults above give way.
        for name in ["--guilds-per-shard", "--events-per-second"] {
            if flags.contains(name) {
                let rest = all
                    .split_once(name)
                    .unwrap()
                    .1
                    .trim_start()
                    .split_once(' ')
                    .unwrap()
                    .1
                    .to_owned();
                all = format!("{}{rest}", all.split_once(name).unwrap().0);
            }
        }
        Self::with(options(&all), None).await
    }

    /// The same over TLS; `flags` name the certificate that is also given.
    pub(crate) async fn start_secure(flags: &str, certificate: &[u8]) -> Self {
        let flags = format!("--guilds-per-shard 2 --events-per-second 500 {flags}");
        Self::with(options(&flags), Some(certificate)).await
    }

    async fn with(options: SimOptions, certificate: Option<&[u8]>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = shardfleet::sim::serve(options, listener, shutdown.clone());
        tokio::spawn(async move { serving.await.unwrap() });
        // reqwest brings no TLS provider of its own; the second test to come here finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder().no_proxy().timeout(LIMIT);
        let mut base = format!("http://{address}");
        if let Some(certificate) = certificate {
            let root = reqwest::Certificate::from_der(certificate).unwrap();
            http = http.add_root_certificate(root);
            base = format!("https://localhost:{}", address.port());
        }
        Self {
            address,
            base,
            http: http.build().unwrap(),
            _running: shutdown.drop_guard(),
        }
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> (u16, Value) {
        let mut request = self.http.get(format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let response = request.send().await.unwrap();
        (
            response.status().as_u16(),
            response.json().await.unwrap_or_default(),
        )
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .body(body.to_owned());
        let response = request.send().await.unwrap();
        (
            response.status().as_u16(),
            response.json().await.unwrap_or_default(),
        )
    }

    pub(crate) async fn post_as(&self, path: &str, body: &str, token: &str) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .header("authorization", token)
            .body(body.to_owned());
        let response = request.send().await.unwrap();
        (
            response.status().as_u16(),
            response.json().await.unwrap_or_default(),
        )
    }

    /// Injects a fault; how many it was applied to.
    pub(crate) async fn fault(&self, body: &str) -> u64 {
        let (status, answer) = self.post("/sim/fault", body).await;
        assert_eq!(status, 200, "{answer}");
        answer["applied"].as_u64().unwrap()
    }

    /// What was seen; it has to be as its schema says.
    pub(crate) async fn verdict(&self) -> Value {
        let verdict = self.get("/sim/verdict", None).await.1;
        let faults = schema::faults(&verdict);
        assert!(faults.is_empty(), "{faults:?}");
        verdict
    }

    /// The rules broken so far.
    pub(crate) async fn broken(&self) -> Vec<String> {
        let verdict = self.verdict().await;
        let rules = verdict["violations"].as_array().unwrap().iter();
        rules
            .map(|one| one["rule"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until the verdict is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut verdict = Value::Null;
        for _ in 0..400 {
            verdict = self.verdict().await;
            if wanted(&verdict) {
                return verdict;
            }
            tokio::time::sleep(LIMIT / 400).await;
        }
        panic!("never {what}: {verdict}");
    }

    /// The record: (session, sequence) to its line.
    pub(crate) async fn record(&self) -> HashMap<(String, u64), Value> {
        let url = format!("{}/sim/record", self.base);
        let text = self
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| {
                (
                    (
                        line["session"].as_str().unwrap().to_owned(),
                        line["seq"].as_u64().unwrap(),
                    ),
                    line,
                )
            })
            .collect()
    }
}

/// The hash that the record carries.
pub(crate) fn hash(payload: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, payload);
    let first: [u8; 16] = digest.as_ref()[..16].try_into().unwrap();
    format!("{:032x}", u128::from_be_bytes(first))
}
