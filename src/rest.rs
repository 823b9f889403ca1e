//! One question to Discord's REST, bounded in time and in size.

use std::{fmt, time::Duration};

use anyhow::Result;
use reqwest::{
    Client, Response, StatusCode,
    header::{AUTHORIZATION, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;

use crate::{config::Secret, telemetry::VERSION};

/// Discord's REST, as somebody or as nobody.
pub struct Rest {
    client: Client,
    base: String,
    token: Option<HeaderValue>,
}

/// What it answered.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// How long it wants no further question, by header or body; no longer than a day.
    pub pause: Option<Duration>,
    /// The body. Empty where another status than 200 came without one.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// None came in time, or only a part of one.
    Unreachable(String),
    /// It is longer than any answer can be.
    TooLong,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(reason) => f.write_str(reason),
            Self::TooLong => write!(f, "it is longer than {LONGEST_BODY} bytes"),
        }
    }
}

impl std::error::Error for Failure {}

impl Rest {
    /// `api` is its base, such as `https://discord.com/api/v10`; each answer has `limit` to come.
    ///
    /// # Errors
    /// Where the token has bytes that no token has, or TLS cannot be set up.
    pub fn new(api: &str, token: Option<&Secret>, limit: Duration) -> Result<Self> {
        // Whichever part of the process comes first installs it; a second time is no fault.
        _ = rustls::crypto::ring::default_provider().install_default();
        // The token goes to nobody but who is configured, and no login page is taken for an answer.
        let client = Client::builder().timeout(limit).redirect(Policy::none());
        let client = client.user_agent(user_agent()).build()?;
        Ok(Self {
            client,
            base: api.trim_end_matches('/').to_owned(),
            token: token.map(header).transpose()?,
        })
    }

    /// `GET` of a path, without a slash before it.
    ///
    /// # Errors
    /// Where no answer comes whole.
    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        let mut request = self.client.get(format!("{}/{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let said = response.headers().get(RETRY_AFTER).and_then(seconds);
        let body = bounded(response).await;
        let body = if status == StatusCode::OK {
            body?
        } else {
            // A body that does not come changes nothing: the status is the answer.
            body.unwrap_or_default()
        };
        let pause = longest(said, retry_after(&body));
        Ok(Answer {
            status,
            pause,
            body,
        })
    }
}

fn header(token: &Secret) -> Result<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("Bot {}", token.expose()))
        .map_err(|_| anyhow::anyhow!("discord.token has bytes that no token has"))?;
    header.set_sensitive(true);
    Ok(header)
}

async fn bounded(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        if body.len() + piece.len() > LONGEST_BODY {
            return Err(Failure::TooLong);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The cause too: the outermost says only that a request failed.
fn unreachable(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        reason = format!("{reason}: {source}");
        cause = source.source();
    }
    Failure::Unreachable(reason)
}

fn seconds(value: &HeaderValue) -> Option<f64> {
    value.to_str().ok()?.trim().parse().ok()
}

/// How long the body of a 429 asks to be left alone, in seconds.
///
/// <https://discord.com/developers/docs/topics/rate-limits#exceeding-a-rate-limit>
fn retry_after(body: &[u8]) -> Option<f64> {
    let body = serde_json::from_slice::<Value>(body).ok()?;
    body.get("retry_after")?.as_f64()
}

/// The longer of what header and body say.
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

/// The longest pause that is heeded: limits are counted by the day.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);
/// The answers that are asked for have some hundred bytes.
const LONGEST_BODY: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_pause_is_heeded_and_nonsense_is_not() {
        assert_eq!(retry_after(br#"{"retry_after": 3.25}"#), Some(3.25));
        for none in [&b"error code: 1015"[..], b"{}", br#"{"retry_after":"x"}"#] {
            assert_eq!(retry_after(none), None);
        }
        let day = Duration::from_secs(86_400);
        assert_eq!(
            longest(Some(1.0), Some(2.5)),
            Some(Duration::from_millis(2500))
        );
        assert_eq!(longest(Some(1e300), None), Some(day));
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            assert_eq!(longest(Some(nonsense), None), None);
        }
    }

    #[test]
    fn a_token_that_no_header_holds_is_an_error_without_it() {
        let token = Secret::from("a\r\nb".to_owned());
        let error = Rest::new("http://127.0.0.1:1", Some(&token), LONGEST_PAUSE);
        assert!(!format!("{:#}", error.err().unwrap()).contains("a\r\nb"));
    }
}
