//! The way to NATS: one handle for core, JetStream and key-value.
//!
//! `publish()` returning is not delivery; only an ack is. What must not be lost goes through
//! JetStream with an ack awaited, or through [`bucket::Bucket`] with a revision.

pub mod answers;
pub mod bucket;
mod causes;
mod denied;
pub mod differs;
mod leave;
mod link;
pub mod loss;
pub mod losses;
pub mod metrics;
mod options;
pub mod provision;
pub mod rights;
pub mod server;
pub mod start;
pub mod upkeep;
pub mod watch;

use std::{ops::Deref, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use async_nats::{Client, ConnectErrorKind, connection::State, jetstream};
use tokio::sync::watch::Receiver;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{answers::Answers, leave::Suspicion, losses::Losses};
use crate::{clock, config, subject::Names, supervise};

/// The oldest server that serves the expected sequence over a subject filter; older ones ignore it.
const MINIMUM_SERVER: (i64, i64, i64) = (2, 11, 0);
/// How long a JetStream request waits for its answer before it counts as unknown.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// What to look at, for whoever a [`Broker::refusal`] is told.
pub fn way_in(refusal: &str) -> &'static str {
    if refusal.starts_with(TLS_FAILS) {
        "nats.tls_ca, nats.tls_cert and nats.tls_key"
    } else {
        "nats.creds (NATS_CREDS), nats.user and nats.password, nats.token, nats.nkey, a client certificate, or \
         a login in nats.url"
    }
}

const TLS_FAILS: &str = "TLS fails";

/// A connection to NATS and the names of the fleet on it; clones share it.
#[derive(Clone)]
pub struct Broker(Arc<Parts>);

/// What a broker gives.
pub struct Parts {
    /// Core NATS.
    pub client: Client,
    /// JetStream over the same connection.
    pub jetstream: jetstream::Context,
    /// The fleet's names.
    pub names: Names,
    /// What the fleet has lost in NATS, as far as somebody watches over this connection.
    pub losses: Losses,
    /// When JetStream has answered last, likewise.
    pub answers: Answers,
    connects: Receiver<u64>,
    suspicion: Suspicion,
    /// Ends what was started beside the connection.
    _used: DropGuard,
}

impl Deref for Broker {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Broker {
    /// Starts to connect; reconnects for ever. `label` names the connection in the server's list.
    ///
    /// # Errors
    /// Where an option is unusable: a file that cannot be read, a URL that is none.
    pub async fn connect(nats: &config::Nats, names: Names, label: &str) -> Result<Self> {
        let url = url(nats);
        let (options, signs) = options::options(nats, label).await?;
        // The login is in the options; no log of the library's shall have it.
        let addresses = redacted(&url);
        let servers: Vec<_> = addresses.split(',').collect();
        let configured = servers.len();
        let client = options
            .retry_on_initial_connect()
            .connect(servers)
            .await
            .with_context(|| format!("cannot use nats.url {}", redacted(&url)))?;
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(REQUEST_TIMEOUT);
        let used = CancellationToken::new();
        let leaving = leave::lame_ducks(client.clone(), configured, signs.lame, used.clone());
        supervise::helper("nats-leave", leaving);
        let healing = denied::heal(
            client.clone(),
            nats.clone(),
            label.to_owned(),
            signs.denied,
            used.clone(),
        );
        supervise::helper("nats-denied", healing);
        Ok(Self(Arc::new(Parts {
            client,
            jetstream,
            names,
            losses: Losses::default(),
            answers: Answers::default(),
            connects: signs.connects,
            suspicion: Suspicion::default(),
            _used: used.drop_guard(),
        })))
    }

    /// Knocks once: why the server does not let this user in, if it answers and does not.
    pub async fn refusal(nats: &config::Nats) -> Option<String> {
        let url = url(nats);
        let (options, _) = options::options(nats, "shardfleet knocks").await.ok()?;
        let addresses = redacted(&url);
        let knock = options.connect(addresses.split(',').collect::<Vec<_>>());
        let error = knock.await.err()?;
        match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                Some("the server refuses the login".to_owned())
            }
            ConnectErrorKind::Tls => {
                Some(format!("{TLS_FAILS}: {}", causes::told(causes::of(&error))))
            }
            _ => None,
        }
    }

    /// As [`Broker::ready`]; where no server was reached because it refuses the login, or TLS fails, the
    /// error says so.
    ///
    /// # Errors
    /// As [`Broker::ready`].
    pub async fn reached(&self, nats: &config::Nats, limit: Duration) -> Result<()> {
        let Err(error) = self.ready(limit).await else {
            return Ok(());
        };
        match Self::refusal(nats).await {
            Some(refusal) => bail!(
                "{}: {refusal}. Look at {}",
                redacted(&url(nats)),
                way_in(&refusal)
            ),
            None => Err(error.context(redacted(&url(nats)))),
        }
    }

    /// Waits for the connection, then refuses a server that cannot keep the promises.
    ///
    /// # Errors
    /// An old server, one without JetStream, or none within `limit`.
    pub async fn ready(&self, limit: Duration) -> Result<()> {
        let deadline = clock::now() + limit;
        let mut told = clock::now() + Duration::from_secs(5);
        // The library may say that it is connected a moment before the server's word can be read.
        while !self.connected() || self.client.server_info().version.is_empty() {
            let now = clock::now();
            if now >= deadline {
                bail!(
                    "no NATS server answered within {limit:?}: is nats.url right, and does it run? A role waits as \
                     long as process.start says"
                );
            }
            if now >= told {
                tracing::warn!("the start waits for NATS: still no answer from any server");
                told = now + Duration::from_secs(5);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let info = self.client.server_info();
        let (major, minor, patch) = MINIMUM_SERVER;
        if !self.client.is_server_compatible(major, minor, patch) {
            bail!(
                "the NATS server {} is version {}; shardfleet needs {major}.{minor} or later, since \
                 older ones ignore the expected sequence that keeps events in order. Upgrade it, or \
                 leave nats.url empty and run `shardfleet up`, which starts its own",
                info.server_name,
                info.version
            );
        }
        if !info.jetstream {
            bail!(
                "the NATS server {} has no JetStream: start it with `-js`, or with a `jetstream` \
                 section in its configuration",
                info.server_name
            );
        }
        Ok(())
    }

    /// Something that must be answered was not: the server may be frozen, which would go unnoticed for
    /// three pings, or cut off from the others. Connects anew, to another where there is one; at most
    /// every four seconds, however many ask.
    pub async fn suspect(&self) {
        leave::now(&self.client, &self.suspicion).await;
    }

    /// Changes whenever it has connected: for the first time, or again.
    pub fn connects(&self) -> Receiver<u64> {
        self.connects.clone()
    }

    /// True while the connection stands.
    pub fn connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }
}

/// Where NATS is looked for.
pub fn url(nats: &config::Nats) -> String {
    if nats.url.is_empty() {
        "nats://127.0.0.1:4222".to_owned()
    } else {
        nats.url.clone()
    }
}

/// A URL list without the users and passwords that may stand in it.
pub fn redacted(urls: &str) -> String {
    let hide = |url: &str| {
        let (scheme, rest) = url.split_once("://").map_or(("", url), |(s, r)| (s, r));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        if scheme.is_empty() {
            host.to_owned()
        } else {
            format!("{scheme}://{host}")
        }
    };
    urls.split(',')
        .map(|url| hide(url.trim()))
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        assert_eq!(
            redacted("nats://a:b@h:4222, tls://i"),
            "nats://h:4222,tls://i"
        );
        assert_eq!(redacted("h:4222"), "h:4222");
    }
}
