//! What a user may do: tried, and read off the server's refusals. NATS answers what is not allowed with
//! nothing but an event, so that a role without a right looks like one whose server is slow.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use async_nats::{
    Event, HeaderMap,
    header::{NATS_EXPECTED_LAST_SEQUENCE, NATS_EXPECTED_STREAM},
};
use bytes::Bytes;

use super::{options, redacted, url};
use crate::config;

/// One right, tried without an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Listens, and hears nothing.
    Subscribe(String),
    /// Sends what no stream stores, since it names one that is not there; and what a listener on the
    /// subject makes nothing of.
    Publish(String, Bytes),
}

impl Probe {
    /// The subject tried.
    pub fn subject(&self) -> &str {
        match self {
            Self::Subscribe(subject) | Self::Publish(subject, _) => subject,
        }
    }
}

/// Tries every right over a connection of its own; returns those that the server refuses.
///
/// # Errors
/// Where there is no connection.
pub async fn refused(nats: &config::Nats, probes: Vec<Probe>) -> Result<Vec<Probe>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let (options, _) = options::options(nats, "shardfleet tries rights").await?;
    let options = options.event_callback(move |event| {
        if let Event::ServerError(error) = event {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.push(error.to_string());
        }
        std::future::ready(())
    });
    let url = redacted(&url(nats));
    let servers: Vec<_> = url.split(',').collect();
    let client = options.connect(servers).await;
    let client = client.with_context(|| format!("cannot reach {url}"))?;
    let mut heard_by = Vec::new();
    for probe in &probes {
        match probe {
            Probe::Subscribe(subject) => heard_by.push(client.subscribe(subject.clone()).await?),
            Probe::Publish(subject, payload) => {
                let (subject, payload) = (subject.clone(), payload.clone());
                client
                    .publish_with_headers(subject, nowhere(), payload)
                    .await?;
            }
        }
    }
    // The server refuses in the order in which it was asked: before it answers this.
    client.flush().await?;
    tokio::time::sleep(SETTLE).await;
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(probes.into_iter().filter(|it| names(&told, it)).collect())
}

/// A stream that nobody has, and a sequence that nothing has reached.
fn nowhere() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_EXPECTED_STREAM, "NOT-THERE");
    headers.insert(NATS_EXPECTED_LAST_SEQUENCE, "9007199254740991");
    headers
}

/// `Permissions Violation for Publish to "subject"`.
fn names(told: &[String], probe: &Probe) -> bool {
    let act = match probe {
        Probe::Subscribe(_) => "subscription",
        Probe::Publish(..) => "publish",
    };
    let subject = format!("\"{}\"", probe.subject().to_lowercase());
    told.iter().map(|text| text.to_lowercase()).any(|text| {
        text.contains("permissions violation") && text.contains(act) && text.contains(&subject)
    })
}

/// From the connection to whoever counts what it was told.
const SETTLE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_right() {
        let told = [r#"Permissions Violation for Publish to "$KV.discord_state.halt""#.to_owned()];
        let halt = || "$KV.discord_state.halt".to_owned();
        assert!(names(&told, &Probe::Publish(halt(), Bytes::new())));
        assert!(!names(&told, &Probe::Subscribe(halt())));
        let other = "$KV.discord_state.hal".to_owned();
        assert!(!names(&told, &Probe::Publish(other, Bytes::new())));
    }
}
