//! Asks Discord for the limits: `GET /gateway/bot`.

use std::{fmt, time::Duration};

use reqwest::{
    Client, StatusCode,
    header::{AUTHORIZATION, HeaderValue, USER_AGENT},
};
use serde::Deserialize;

use super::budget::Answer;
use crate::{clock, config::Secret, telemetry::VERSION};

/// Where Discord is asked, and as whom.
pub(super) struct Discord {
    client: Client,
    url: String,
    token: HeaderValue,
}

/// Why Discord's limits are not known.
#[derive(Debug)]
pub(super) enum LimitsError {
    /// The token is not one, or belongs to nobody. No repetition mends it.
    Token,
    /// Too many requests; come back after this time.
    RateLimited(Duration),
    /// Discord answered something else.
    Status(StatusCode),
    /// Its answer makes no sense.
    Malformed(String),
    /// No answer.
    Unreachable(reqwest::Error),
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => f.write_str(
                "Discord refuses the bot's token (401): check discord.token, discord.token_file or \
                 DISCORD_TOKEN; a token that was reset has to be replaced everywhere",
            ),
            Self::RateLimited(after) => write!(f, "Discord's REST limit is reached for {after:?}"),
            Self::Status(status) => write!(f, "Discord answered {status}"),
            Self::Malformed(reason) => write!(f, "Discord's answer makes no sense: {reason}"),
            Self::Unreachable(source) => write!(f, "Discord does not answer: {source}"),
        }
    }
}

impl std::error::Error for LimitsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(source) => Some(source),
            _ => None,
        }
    }
}

/// <https://discord.com/developers/docs/events/gateway#get-gateway-bot>
#[derive(Deserialize)]
struct GatewayBot {
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

impl Discord {
    /// `api` is the base of REST, such as `https://discord.com/api/v10`.
    pub(super) fn new(api: &str, token: &Secret) -> anyhow::Result<Self> {
        // Whichever part of the process comes first installs it; a second time is no fault.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut header = HeaderValue::from_str(&format!("Bot {}", token.expose()))
            .map_err(|_| anyhow::anyhow!("discord.token has bytes that no token has"))?;
        header.set_sensitive(true);
        Ok(Self {
            client: Client::builder().timeout(TIMEOUT).build()?,
            url: format!("{}/gateway/bot", api.trim_end_matches('/')),
            token: header,
        })
    }

    /// One question, answered within [`TIMEOUT`].
    pub(super) async fn ask(&self) -> Result<Answer, LimitsError> {
        let asked = clock::boottime();
        let response = self
            .client
            .get(&self.url)
            .header(AUTHORIZATION, self.token.clone())
            .header(USER_AGENT, user_agent())
            .send()
            .await
            .map_err(LimitsError::Unreachable)?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::UNAUTHORIZED => return Err(LimitsError::Token),
            StatusCode::TOO_MANY_REQUESTS => {
                let after = response.headers().get("retry-after");
                let seconds = after.and_then(|value| value.to_str().ok()?.parse().ok());
                let pause = Duration::from_secs(seconds.unwrap_or(1));
                return Err(LimitsError::RateLimited(pause.min(LONGEST_PAUSE)));
            }
            status => return Err(LimitsError::Status(status)),
        }
        let body = response.bytes().await.map_err(LimitsError::Unreachable)?;
        let bot: GatewayBot =
            serde_json::from_slice(&body).map_err(|e| LimitsError::Malformed(e.to_string()))?;
        let limit = bot.session_start_limit;
        if !(1..=MOST_BUCKETS).contains(&limit.max_concurrency) {
            let reason = format!("a max_concurrency of {}", limit.max_concurrency);
            return Err(LimitsError::Malformed(reason));
        }
        Ok(Answer {
            asked,
            total: limit.total,
            remaining: limit.remaining,
            reset_after: Duration::from_millis(limit.reset_after),
            reset_at_ms: clock::unix_ms().saturating_add(limit.reset_after),
            max_concurrency: limit.max_concurrency,
            shards: bot.shards,
        })
    }
}

/// <https://discord.com/developers/docs/reference#user-agent>
fn user_agent() -> String {
    format!("DiscordBot (https://github.com/shardfleet/shardfleet, {VERSION})")
}

/// How long Discord may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a rate limit is heeded before the leader decides anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// More than Discord gives anybody; each costs memory.
const MOST_BUCKETS: u32 = 16_384;

#[cfg(test)]
mod tests {
    use axum::{Json, Router, http::HeaderMap, routing::get};
    use serde_json::{Value, json};

    use super::*;

    async fn discord(status: u16, body: Value) -> Discord {
        let answer = move |headers: HeaderMap| async move {
            assert_eq!(headers["authorization"], "Bot hunter2");
            let status = StatusCode::from_u16(status).unwrap();
            (status, [("retry-after", "3")], Json(body))
        };
        let router = Router::new().route("/api/v10/gateway/bot", get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}/api/v10/", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        Discord::new(&api, &Secret::from("hunter2".to_owned())).unwrap()
    }

    fn bot(max_concurrency: u32) -> Value {
        json!({"url": "wss://g", "shards": 9, "session_start_limit":
            {"total": 1000, "remaining": 998, "reset_after": 14_400_000, "max_concurrency": max_concurrency}})
    }

    #[tokio::test]
    async fn understands_discord() {
        let answer = discord(200, bot(16)).await.ask().await.unwrap();
        assert_eq!((answer.remaining, answer.shards), (998, 9));
        assert_eq!(answer.reset_after, Duration::from_secs(14_400));
    }

    #[tokio::test]
    async fn each_failure_says_what_it_is_and_none_shows_the_token() {
        for (status, body, word) in [
            (401, json!({}), "token"),
            (429, json!({}), "limit is reached for 3s"),
            (503, json!({}), "503"),
            (200, bot(0), "max_concurrency of 0"),
            (200, json!({"shards": "x"}), "makes no sense"),
        ] {
            let error = discord(status, body).await.ask().await.unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
            assert!(!format!("{error:?} {error}").contains("hunter2"));
        }
        let away = Discord::new("http://127.0.0.1:1", &Secret::from("hunter2".to_owned())).unwrap();
        let error = away.ask().await.unwrap_err();
        assert!(matches!(error, LimitsError::Unreachable(_)));
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
