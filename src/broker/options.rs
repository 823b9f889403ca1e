//! How the connection to NATS behaves.

use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::ConnectOptions;
use rand::Rng;
use tokio::sync::watch;

use super::link::Link;
use crate::{
    backoff::Backoff,
    config::{Nats, login::Login},
};

/// A dead peer is noticed after two of these; the library's own default is a minute.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Subjects that a client may hold back before a publish waits; counts commands, not bytes.
const CLIENT_CAPACITY: usize = 4096;
/// Messages that a subscription may hold back.
const SUBSCRIPTION_CAPACITY: usize = 65_536;

/// What a connection tells of itself.
pub(super) struct Signs {
    /// Changes whenever its server asks to be left.
    pub(super) lame: watch::Receiver<u64>,
    /// Changes whenever it has connected.
    pub(super) connects: watch::Receiver<u64>,
    /// The subject of the last subscription that its server refused.
    pub(super) denied: watch::Receiver<Option<String>>,
}

/// The options of one connection, and what it will tell of itself.
///
/// # Errors
/// Names the file that cannot be read.
pub(super) async fn options(nats: &Nats, label: &str) -> Result<(ConnectOptions, Signs)> {
    let label = label.to_owned();
    let link = Link::new(label.clone());
    let signs = Signs {
        lame: link.lame(),
        connects: link.connects(),
        denied: link.denied(),
    };
    let mut options = ConnectOptions::new()
        .name(label)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(Duration::from_secs(3))
        .client_capacity(CLIENT_CAPACITY)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        // Every subject is put together from parts that were checked, or came from a server: to look at
        // each one again costs 0.8 thousand instructions an event.
        .skip_subject_validation(true)
        .reconnect_delay_callback(delay)
        .event_callback(move |event| {
            link.on_event(&event);
            std::future::ready(())
        });
    if let Some(login) = nats.login() {
        options = match login {
            Login::Password(user, word) => {
                options.user_and_password(user, word.expose().to_owned())
            }
            Login::Token(token) => options.token(token.expose().to_owned()),
        };
    }
    if !nats.nkey.is_empty() {
        options = options.nkey(nats.nkey.expose().to_owned());
    }
    if !nats.creds.is_empty() {
        let error = || format!("cannot read nats.creds {:?}", nats.creds);
        options = options
            .credentials_file(&nats.creds)
            .await
            .with_context(error)?;
    }
    if !nats.tls_ca.is_empty() {
        options = options
            .add_root_certificates(nats.tls_ca.clone().into())
            .require_tls(true);
    }
    if !nats.tls_cert.is_empty() {
        options = options
            .add_client_certificate(nats.tls_cert.clone().into(), nats.tls_key.clone().into())
            .require_tls(true);
    }
    if nats.tls_first.0 {
        options = options.tls_first().require_tls(true);
    }
    Ok((options, signs))
}

/// Jittered, so that a fleet does not fall upon a server that comes back.
fn delay(attempts: usize) -> Duration {
    if attempts <= 1 {
        return Duration::from_millis(rand::rng().random_range(0..100));
    }
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
    let mut rng = rand::rng();
    (1..attempts.min(8)).for_each(|_| _ = backoff.next(&mut rng));
    backoff.next(&mut rng)
}
