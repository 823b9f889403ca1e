//! What the demo asks of the simulated Discord, over HTTP like anybody.

use std::{fmt, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

/// A simulator that runs.
#[derive(Clone)]
pub(super) struct Simulator {
    http: reqwest::Client,
    /// Where: `http://127.0.0.1:PORT`.
    pub(super) url: String,
}

/// Its figures.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct State {
    /// Sessions whose traffic flows.
    pub(super) ready: u32,
    /// Sessions with a socket.
    pub(super) connected: u32,
    /// Dispatches so far.
    pub(super) sent: u64,
    /// IDENTIFYs that began a session.
    pub(super) identifies: u64,
    /// Left of the day.
    pub(super) identifies_remaining: u64,
    /// Rules broken.
    pub(super) violations: u64,
}

/// What it saw; the audit reads more of it from the evidence.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    pub(super) identifies: u64,
    pub(super) identifies_remaining: u64,
    pub(super) resumes: u64,
    pub(super) record_full: bool,
    pub(super) violations: Vec<Violation>,
    pub(super) sessions: Vec<Session>,
    pub(super) resumed: Vec<Resumed>,
}

/// A rule of Discord's that the fleet broke.
#[derive(Debug, Deserialize)]
pub(super) struct Violation {
    pub(super) rule: String,
    pub(super) shard: Option<u32>,
    pub(super) detail: String,
}

/// A session.
#[derive(Debug, Deserialize)]
pub(super) struct Session {
    pub(super) shard: u32,
    pub(super) started_ms: u64,
    pub(super) last_seq: u64,
    pub(super) delivered_seq: u64,
    pub(super) connected: bool,
    pub(super) end_reason: Option<String>,
}

/// A RESUME that was answered.
#[derive(Debug, Deserialize)]
pub(super) struct Resumed {
    pub(super) shard: u32,
    pub(super) at_ms: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shard {
            Some(shard) => write!(f, "{} by shard {shard}: {}", self.rule, self.detail),
            None => write!(f, "{}: {}", self.rule, self.detail),
        }
    }
}

impl Simulator {
    /// The one at a URL.
    pub(super) fn new(url: &str) -> Result<Self> {
        // Loopback over plain HTTP; still the client wants to know its cryptography.
        _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            url: url.to_owned(),
        })
    }

    /// Its figures; cheap.
    pub(super) async fn state(&self) -> Result<State> {
        self.get("state").await
    }

    /// Everything it saw.
    pub(super) async fn seen(&self) -> Result<Seen> {
        self.get("verdict").await
    }

    /// How many events a second from now on.
    pub(super) async fn traffic(&self, events_per_second: u32) -> Result<()> {
        self.post("traffic", json!({ "events_per_second": events_per_second }))
            .await
    }

    /// Makes something go wrong.
    pub(super) async fn fault(&self, fault: Value) -> Result<()> {
        self.post("fault", fault).await
    }

    /// Writes what it answers on `/sim/<what>` to a file, piece by piece.
    pub(super) async fn save(&self, what: &str, path: &Path) -> Result<()> {
        let asked = || format!("cannot read /sim/{what}");
        let answer = self
            .http
            .get(self.at(what))
            .send()
            .await
            .with_context(asked)?;
        let mut answer = answer.error_for_status()?;
        let mut file = tokio::fs::File::create(path)
            .await
            .with_context(|| format!("cannot write {}", path.display()))?;
        while let Some(piece) = answer.chunk().await.with_context(asked)? {
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        Ok(())
    }

    async fn get<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        let answer = self
            .http
            .get(self.at(what))
            .send()
            .await?
            .error_for_status()?;
        let answer = answer.json().await;
        answer.with_context(|| format!("the simulator's answer on /sim/{what} is another"))
    }

    async fn post(&self, what: &str, body: Value) -> Result<()> {
        let answer = self.http.post(self.at(what)).json(&body).send().await?;
        answer
            .error_for_status()
            .with_context(|| format!("the simulator refused {body}"))?;
        Ok(())
    }

    fn at(&self, what: &str) -> String {
        format!("{}/sim/{what}", self.url)
    }
}
