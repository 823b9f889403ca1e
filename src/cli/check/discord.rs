//! Is Discord there, does it know the token, and how many identifies does it leave.

use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::{StatusCode, Uri};
use serde::Deserialize;

use super::{
    Finding, Report,
    migration::{self, Move},
};
use crate::{
    bot::{self, BotId, Said},
    config::{Config, Secret, Shards},
    rest::Rest,
};

const LIMIT: Duration = Duration::from_secs(10);
/// Discord's own, between two IDENTIFYs of a bucket.
const SPACING: Duration = Duration::from_secs(5);
const TOKEN_HINT: &str = "DISCORD_TOKEN, or discord.token_file; the developer portal shows a bot's token once, under Bot";

/// <https://discord.com/developers/docs/events/gateway#get-gateway-bot>
#[derive(Deserialize)]
struct GatewayBot {
    url: String,
    shards: u32,
    session_start_limit: SessionStartLimit,
}

#[derive(Deserialize)]
struct SessionStartLimit {
    total: u32,
    remaining: u32,
    /// Milliseconds.
    reset_after: u64,
    max_concurrency: u32,
}

/// What Discord said that NATS is compared with.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    /// Shards that it recommends.
    pub(super) shards: Option<u32>,
    /// The bot whose token it is.
    pub(super) bot: Option<BotId>,
}

/// Tells how Discord is, and what a move of the bot costs if `migrate` asks.
pub(super) async fn look(config: &Config, migrate: bool, report: &mut Report) -> Result<Seen> {
    let mut seen = Seen {
        bot: bot::of_token(&config.discord.token),
        ..Seen::default()
    };
    let token = &config.discord.token;
    if token.expose().is_empty() {
        report.tell(&Finding::wrong(
            "token",
            "none is configured".to_owned(),
            TOKEN_HINT,
        ))?;
        return Ok(seen);
    }
    let api = &config.discord.api;
    let answer = match ask(api, token).await {
        Ok(answer) => answer,
        Err(error) => {
            let hint = "is discord.api right, and may this machine reach it? HTTPS_PROXY is heeded";
            report.tell(&Finding::wrong("discord", format!("{error:#}"), hint))?;
            return Ok(seen);
        }
    };
    let gateway = match answer {
        Ok(gateway) => gateway,
        Err(StatusCode::UNAUTHORIZED) => {
            let told = format!("Discord refuses the token: {api} answered 401");
            report.tell(&Finding::wrong("token", told, TOKEN_HINT))?;
            return Ok(seen);
        }
        Err(status) => {
            let told = format!("{api}/gateway/bot answered {status}");
            report.tell(&Finding::wrong("discord", told, "wait, and check again"))?;
            return Ok(seen);
        }
    };
    let whose = match (bot::ask(&config.discord).await, seen.bot) {
        (Said::Is(bot, name), _) => {
            seen.bot = Some(bot);
            format!("{api} knows it: the bot {bot}, called {name:?}")
        }
        (_, Some(bot)) => format!("{api} knows it; by its own words it is the bot {bot}"),
        (_, None) => format!("{api} knows it, and does not say which bot it is"),
    };
    report.tell(&Finding::fine("token", whose))?;
    limits(config, &gateway, report)?;
    if migrate {
        for finding in migration::forecast(movement(config, &gateway)) {
            report.tell(&finding)?;
        }
    }
    let url = if config.discord.gateway.is_empty() {
        &gateway.url
    } else {
        &config.discord.gateway
    };
    report.tell(&match open(url).await {
        Ok(()) => Finding::fine("gateway", format!("{url} opens a WebSocket")),
        Err(error) => {
            let hint = "is discord.gateway right, and may this machine reach it?";
            Finding::wrong("gateway", format!("{url}: {error:#}"), hint)
        }
    })?;
    seen.shards = Some(gateway.shards);
    Ok(seen)
}

async fn ask(api: &str, token: &Secret) -> Result<Result<GatewayBot, StatusCode>> {
    let answer = Rest::new(api, Some(token), LIMIT)?
        .get("gateway/bot")
        .await?;
    if !answer.status.is_success() {
        return Ok(Err(answer.status));
    }
    // What is wrong with it is not quoted: it may be anybody's page, and may repeat what it was sent.
    let bot = serde_json::from_slice(&answer.body)
        .map_err(|_| anyhow::anyhow!("the answer is not what Discord documents"))?;
    Ok(Ok(bot))
}

fn limits(config: &Config, bot: &GatewayBot, report: &mut Report) -> Result<()> {
    let limit = &bot.session_start_limit;
    let reserve = config.coordinator.reserve.0;
    let told = format!(
        "{} of {} identifies left, new ones in {} min; {} at once every 5 s",
        limit.remaining,
        limit.total,
        limit.reset_after / 60_000,
        limit.max_concurrency
    );
    if reserve >= limit.total {
        let told = format!(
            "the reserve is {reserve}, and Discord allows {} identifies a day: no shard may identify",
            limit.total
        );
        report.tell(&Finding::wrong(
            "reserve",
            told,
            "a coordinator.reserve well below the day's limit, such as 50",
        ))?;
    }
    let wanted = wanted(config, bot);
    let grantable = limit.remaining.saturating_sub(reserve);
    report.tell(&if grantable < wanted {
        let hint = "wait for the new day, or let an operator spend the reserve (coordinator.reserve)";
        let told =
            format!("{told}. A cold start of {wanted} shards needs more than that less the reserve of {reserve}");
        Finding::odd("identifies", told, hint)
    } else {
        Finding::fine("identifies", told)
    })?;
    report.tell(&match config.fleet.shards {
        Shards::Fixed(shards) if shards < bot.shards => Finding::odd(
            "shards",
            format!("{shards} configured, Discord recommends {}", bot.shards),
            "fleet.shards = \"auto\", or a larger number: Discord refuses shards of more than 2,500 guilds",
        ),
        Shards::Fixed(shards) => Finding::fine(
            "shards",
            format!("{shards} configured, Discord recommends {}", bot.shards),
        ),
        Shards::Auto => Finding::fine("shards", format!("auto: Discord recommends {}", bot.shards)),
    })
}

fn wanted(config: &Config, bot: &GatewayBot) -> u32 {
    match config.fleet.shards {
        Shards::Auto => bot.shards,
        Shards::Fixed(shards) => shards,
    }
}

fn movement(config: &Config, bot: &GatewayBot) -> Move {
    let limit = &bot.session_start_limit;
    Move {
        shards: wanted(config, bot),
        max_concurrency: limit.max_concurrency,
        remaining: limit.remaining,
        reset_after: Duration::from_millis(limit.reset_after),
        reserve: config.coordinator.reserve.0,
        spacing: SPACING + config.coordinator.margin.0,
        group_size: config.fleet.group_size.0,
        max_groups: config.gateway.max_groups.0,
    }
}

/// Opens a WebSocket as far as Discord's 101, and no further: that costs no identify.
async fn open(url: &str) -> Result<()> {
    let http = url.replacen("ws", "http", 1);
    let uri: Uri = http.parse().context("not an address")?;
    let (scheme, host) = (uri.scheme_str().unwrap_or("https"), uri.authority());
    let host = host.context("not an address")?;
    let client = reqwest::Client::builder()
        .timeout(LIMIT)
        .http1_only()
        .build()?;
    let answer = client
        .get(format!("{scheme}://{host}/?v=10&encoding=json"))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "c2hhcmRmbGVldCBjaGVjaw==")
        .send()
        .await?;
    anyhow::ensure!(
        answer.status() == StatusCode::SWITCHING_PROTOCOLS,
        "it answered {} where a gateway opens a WebSocket",
        answer.status()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::{Router, response::Redirect, routing::get};

    use super::*;

    async fn told(router: Router) -> Result<Result<GatewayBot, StatusCode>> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let api = format!("http://{}", listener.local_addr()?);
        tokio::spawn(axum::serve(listener, router).into_future());
        ask(&api, &Secret::from("hunter2".to_owned())).await
    }

    #[tokio::test]
    async fn no_page_is_taken_for_an_answer_and_none_is_read_to_its_end() {
        let huge = Router::new().route("/gateway/bot", get(async || " ".repeat(1 << 20)));
        let error = told(huge).await.err().unwrap().to_string();
        assert!(error.contains("longer than 65536"), "{error}");
        let echo = Router::new().route("/gateway/bot", get(async || r#"{"url":["hunter2"]}"#));
        let error = told(echo).await.err().unwrap();
        assert!(!format!("{error:?} {error:#}").contains("hunter2"));
        let elsewhere = Router::new()
            .route("/gateway/bot", get(async || Redirect::to("/login")))
            .route("/login", get(async || "hello"));
        let status = told(elsewhere).await.unwrap().err();
        assert_eq!(status, Some(StatusCode::SEE_OTHER));
    }
}
