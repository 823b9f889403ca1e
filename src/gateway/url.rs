//! Where Discord's gateway is: configured, or asked of REST, and asked again when it stops connecting.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use axum::http::Uri;
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{backoff::Backoff, config, rest::Rest, supervise};

/// What a connection needs to know of a gateway URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// With version, encoding and compression.
    pub uri: Uri,
    /// For the name service and the certificate.
    pub host: String,
    /// As named, or the scheme's own.
    pub port: u16,
    /// By TLS.
    pub secure: bool,
}

impl Endpoint {
    /// What Discord's word for a URL means; none where no gateway can be there. A query is replaced by ours.
    ///
    /// <https://discord.com/developers/docs/events/gateway#connecting>
    pub fn parse(url: &str) -> Option<Self> {
        let given: Uri = url.parse().ok()?;
        let secure = match given.scheme_str()? {
            "wss" => true,
            "ws" => false,
            _ => return None,
        };
        let host = given.host().filter(|host| !host.is_empty())?;
        let path = given.path().trim_end_matches('/');
        let authority = given.authority()?;
        // A user and a password are nobody's here, and would end in a log.
        if authority.as_str().contains('@') {
            return None;
        }
        let scheme = if secure { "wss" } else { "ws" };
        let uri = format!("{scheme}://{authority}{path}/?v=10&encoding=json&compress=zstd-stream");
        Some(Self {
            uri: uri.parse().ok()?,
            host: host.trim_matches(['[', ']']).to_owned(),
            port: given.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            secure,
        })
    }
}

/// The gateway's URL as Discord names it; clones share it.
#[derive(Clone)]
pub struct Address {
    url: watch::Receiver<Option<Arc<str>>>,
    failed: Arc<Notify>,
}

impl Address {
    /// As configured, or asked of REST until `shutdown`.
    pub fn follow(discord: &config::Discord, shutdown: CancellationToken) -> Self {
        let configured = Some(discord.gateway.as_str()).filter(|url| !url.is_empty());
        let known = configured.is_some();
        let (sender, url) = watch::channel(configured.map(Arc::from));
        let failed = Arc::new(Notify::new());
        if !known {
            let api = discord.api.trim_end_matches('/').to_owned();
            let failed = Arc::clone(&failed);
            supervise::helper("gateway-url", async move {
                _ = shutdown
                    .run_until_cancelled(ask(&api, &sender, &failed))
                    .await;
            });
        }
        Self { url, failed }
    }

    /// Where a session is begun; none before it is known.
    pub fn endpoint(&self) -> Option<Endpoint> {
        Endpoint::parse(self.url.borrow().as_deref()?)
    }

    /// Tells of changes.
    pub fn changes(&self) -> &watch::Receiver<Option<Arc<str>>> {
        &self.url
    }

    /// No connection came about there: it may have moved.
    pub fn failed(&self) {
        self.failed.notify_one();
    }
}

/// The first pause after REST did not answer; it doubles …
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A URL that was named is asked for again after this, at the earliest, however many connections fail.
const NAMED_AGAIN: Duration = Duration::from_secs(10);

async fn ask(api: &str, sender: &watch::Sender<Option<Arc<str>>>, failed: &Notify) {
    let mut pause = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let delay = match gateway(api).await {
            Ok(Answer::Url(url)) => {
                pause.reset();
                let url: Arc<str> = url.into();
                sender.send_if_modified(|known| {
                    let moved = known.as_ref() != Some(&url);
                    if moved {
                        let shown = url.split('?').next().unwrap_or_default();
                        tracing::info!(url = shown, "Discord's gateway is {shown}");
                        *known = Some(url);
                    }
                    moved
                });
                tokio::time::sleep(NAMED_AGAIN).await;
                failed.notified().await;
                continue;
            }
            Ok(Answer::Limited(wait)) => {
                tracing::warn!(
                    seconds = wait.as_secs(),
                    "Discord limits GET {api}/gateway for {wait:?}: until then no new URL is known, and shards \
                     use the one they have"
                );
                wait
            }
            Err(error) => {
                tracing::warn!("cannot ask Discord for its gateway (GET {api}/gateway): {error:#}");
                Duration::ZERO
            }
        };
        let delay = delay.max(pause.next(&mut rand::rng()));
        tokio::time::sleep(delay).await;
    }
}

enum Answer {
    Url(String),
    Limited(Duration),
}

/// `GET /gateway`; it needs no token.
///
/// <https://discord.com/developers/docs/events/gateway#get-gateway>
async fn gateway(api: &str) -> Result<Answer> {
    #[derive(Deserialize)]
    struct Gateway {
        url: String,
    }
    let answer = Rest::new(api, None, LIMIT)?.get("gateway").await?;
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        return Ok(Answer::Limited(answer.pause.unwrap_or(UNNAMED_LIMIT)));
    }
    ensure!(answer.status.is_success(), "it answered {}", answer.status);
    let answer = serde_json::from_slice(&answer.body);
    let Gateway { url } = answer.context("the answer names no gateway")?;
    if Endpoint::parse(&url).is_none() {
        // It is not quoted: a user or a password in it would end in the log.
        bail!("the url that it names is none of a gateway: ws or wss, a host, no user");
    }
    Ok(Answer::Url(url))
}

/// How long REST may take to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// What a rate limit without a time is taken for.
const UNNAMED_LIMIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_connected_to_is_an_endpoint() {
        let found = Endpoint::parse("wss://gateway-us-east1-b.discord.gg").unwrap();
        assert_eq!(
            (found.host.as_str(), found.port, found.secure),
            ("gateway-us-east1-b.discord.gg", 443, true)
        );
        let query = "/?v=10&encoding=json&compress=zstd-stream";
        assert_eq!(found.uri.path_and_query().unwrap(), query);
        let found = Endpoint::parse("ws://[::1]:7700/resume/?x=1#frag").unwrap();
        assert_eq!(
            (found.host.as_str(), found.port, found.secure),
            ("::1", 7700, false)
        );
        assert_eq!(
            found.uri.path_and_query().unwrap().as_str(),
            format!("/resume{query}")
        );
        for bad in [
            "",
            "gateway.discord.gg",
            "https://x",
            "wss://",
            "wss://a b",
            "wss://u:p@h",
            "not a url",
            "ws:///x",
        ] {
            assert_eq!(Endpoint::parse(bad), None, "{bad}");
        }
    }
}
