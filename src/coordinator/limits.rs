//! Asks Discord for the limits: `GET /gateway/bot`.

mod answer;
mod refusal;
#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::{
    Client, Response, StatusCode,
    header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, USER_AGENT},
    redirect::Policy,
};

use self::answer::Bot;
pub(super) use self::refusal::{MEANWHILE, Unread};
use super::budget::Answer;
use crate::{clock, config::Secret, telemetry::VERSION};

/// Where Discord is asked, and as whom.
pub(super) struct Discord {
    client: Client,
    url: String,
    token: HeaderValue,
}

impl Discord {
    /// `api` is the base of REST, such as `https://discord.com/api/v10`.
    pub(super) fn new(api: &str, token: &Secret) -> anyhow::Result<Self> {
        // Whichever part of the process comes first installs it; a second time is no fault.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut header = HeaderValue::from_str(&format!("Bot {}", token.expose()))
            .map_err(|_| anyhow::anyhow!("discord.token has bytes that no token has"))?;
        header.set_sensitive(true);
        // The token goes to nobody but who is configured, and no login page is taken for an answer.
        let client = Client::builder().timeout(TIMEOUT).redirect(Policy::none());
        Ok(Self {
            client: client.build()?,
            url: format!("{}/gateway/bot", api.trim_end_matches('/')),
            token: header,
        })
    }

    /// One question, answered within [`TIMEOUT`].
    pub(super) async fn ask(&self) -> Result<Answer, Unread> {
        let asked = clock::boottime();
        let request = self
            .client
            .get(&self.url)
            .header(AUTHORIZATION, self.token.clone())
            .header(USER_AGENT, user_agent());
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status != StatusCode::OK {
            let said = response.headers().get(RETRY_AFTER).and_then(seconds);
            // A body that does not come changes nothing: the status is the answer.
            let body = bounded(response).await.unwrap_or_default();
            let pause = longest(said, answer::retry_after(&body));
            return Err(Unread::Status(status, pause));
        }
        let body = bounded(response).await?;
        let Bot {
            shards,
            total,
            remaining,
            reset_after,
            max_concurrency,
        } = answer::read(&body).map_err(Unread::Malformed)?;
        let reset_ms = u64::try_from(reset_after.as_millis()).unwrap_or(u64::MAX);
        Ok(Answer {
            asked,
            total,
            remaining,
            reset_after,
            reset_at_ms: clock::unix_ms().saturating_add(reset_ms),
            max_concurrency,
            shards,
        })
    }
}

/// The body, as long as it is no longer than an answer can be.
async fn bounded(mut response: Response) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        if body.len() + piece.len() > LONGEST_BODY {
            let reason = format!("it is longer than {LONGEST_BODY} bytes");
            return Err(Unread::Malformed(reason));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The cause too: the outermost says only that a request failed.
fn unreachable(error: reqwest::Error) -> Unread {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        reason = format!("{reason}: {source}");
        cause = source.source();
    }
    Unread::Unreachable(reason)
}

fn seconds(value: &HeaderValue) -> Option<f64> {
    value.to_str().ok()?.trim().parse().ok()
}

/// The longer of what header and body say, no longer than a day: identifies are counted by the day.
fn longest(header: Option<f64>, body: Option<f64>) -> Option<Duration> {
    let spans = [header, body].into_iter().flatten();
    let usable = spans.filter(|seconds| *seconds > 0.0 && seconds.is_finite());
    let longest = usable.reduce(f64::max)?.min(LONGEST_PAUSE.as_secs_f64());
    Some(Duration::from_secs_f64(longest))
}

/// <https://discord.com/developers/docs/reference#user-agent>
fn user_agent() -> String {
    format!("DiscordBot (https://github.com/shardfleet/shardfleet, {VERSION})")
}

/// How long Discord may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest pause that is heeded.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);
/// Discord's answer has some two hundred bytes.
const LONGEST_BODY: usize = 65_536;
