//! How a process gets to NATS: a server of its own where none is configured, then a connection,
//! then the buckets.

use std::{fs::File, path::Path, time::Duration};

use anyhow::{Result, anyhow};
use rand::Rng;
use tokio_util::sync::CancellationToken;

use crate::{
    broker::{
        Broker, provision,
        server::{self, Server},
        start::Start,
        upkeep,
    },
    config::Config,
    subject::Names,
};

/// How long the server may take to write what it holds.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A NATS server of this process, alone on its store.
pub(super) struct OwnNats {
    pub(super) server: Server,
    /// Held as long as the server may write.
    _alone: File,
}

impl OwnNats {
    /// Starts a server whose store is the folder `data`.
    pub(super) async fn start(data: &Path) -> Result<Self> {
        server::create_store(data)?;
        let data = data.canonicalize()?;
        // The server itself takes no lock: two on one store would ruin it.
        let lock = File::create(data.join("lock"))?;
        lock.try_lock().map_err(|_| {
            anyhow!(
                "{} is in use by another `shardfleet up`: choose another folder with --data, or \
                 set nats.url to the server that runs",
                data.display()
            )
        })?;
        let server = Server::start(&data).await?;
        Ok(Self {
            server,
            _alone: lock,
        })
    }

    /// Returns when the server has ended unasked.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match self.server.ended().await {
            Ok(status) => anyhow!("nats-server ended by itself: {status}"),
            Err(error) => error,
        }
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.server.stop(STOP_LIMIT).await
    }
}

/// Connects, waits until NATS answers, and sees to the buckets: no longer than the start may take.
pub(super) async fn reach(config: &Config, process: &str, start: &Start) -> Result<Broker> {
    let names = Names::new(config.fleet.name.0.clone());
    let broker = Broker::connect(&config.nats, names, process).await?;
    broker.reached(&config.nats, start.left()).await?;
    let buckets = || provision::buckets(&broker, &config.stream, &config.lease);
    start
        .get("the buckets of leases and state", buckets)
        .await?;
    Ok(broker)
}

/// Sees that the buckets stay there, until `closed`.
pub(super) async fn keep(broker: Broker, config: Config, closed: CancellationToken) {
    let keeping = upkeep::buckets(broker, config.stream, config.lease);
    closed.run_until_cancelled(keeping).await;
}

/// The name of this process in the fleet: as configured, or the host's with a nonce.
pub(super) fn process_name(configured: &str) -> String {
    if !configured.is_empty() {
        return configured.to_owned();
    }
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let nonce: u16 = rand::rng().random();
    format!("{}-{nonce:04x}", one_token(&host))
}

/// A host name as one token of a subject.
fn one_token(host: &str) -> String {
    let host: String = host
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    if host.is_empty() {
        "host".to_owned()
    } else {
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_becomes_one_token() {
        assert_eq!(one_token("a.example.com"), "a-example-com");
        assert_eq!(one_token(""), "host");
        assert_eq!(process_name("mine"), "mine");
    }
}
