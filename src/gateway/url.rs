//! Where Discord's gateway is: configured, or asked of REST once.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::socket::is_url;
use crate::{backoff::Backoff, config, supervise};

/// The gateway's URL as soon as it is known; asks until it is.
pub fn watch(
    discord: &config::Discord,
    shutdown: CancellationToken,
) -> watch::Receiver<Option<Arc<str>>> {
    let configured = Some(discord.gateway.as_str())
        .filter(|url| !url.is_empty())
        .map(Arc::from);
    let known = configured.is_some();
    let (sender, receiver) = watch::channel(configured);
    if !known {
        let api = discord.api.trim_end_matches('/').to_owned();
        supervise::helper("gateway-url", async move {
            _ = shutdown.run_until_cancelled(ask(&api, &sender)).await;
        });
    }
    receiver
}

async fn ask(api: &str, sender: &watch::Sender<Option<Arc<str>>>) {
    let mut pause = Backoff::new(Duration::from_millis(250), Duration::from_secs(15));
    loop {
        match gateway(api).await {
            Ok(url) => {
                tracing::info!(url, "Discord's gateway is {url}");
                sender.send_replace(Some(url.into()));
                return;
            }
            Err(error) => tracing::warn!("cannot ask Discord for its gateway: {error:#}"),
        }
        let delay = pause.next(&mut rand::rng());
        tokio::time::sleep(delay).await;
    }
}

/// `GET /gateway`; it needs no token.
///
/// <https://discord.com/developers/docs/events/gateway#get-gateway>
async fn gateway(api: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Gateway {
        url: String,
    }
    let client = reqwest::Client::builder()
        .user_agent(concat!(
            "DiscordBot (shardfleet, ",
            env!("CARGO_PKG_VERSION"),
            ")"
        ))
        .timeout(Duration::from_secs(10))
        .build()?;
    let response = client
        .get(format!("{api}/gateway"))
        .send()
        .await?
        .error_for_status()?;
    let Gateway { url } = response
        .json()
        .await
        .context("the answer is not a gateway's")?;
    if !is_url(&url) {
        bail!("{url:?} is no gateway");
    }
    Ok(url)
}
