//! Asks Discord for the limits: `GET /gateway/bot`.

mod answer;
mod refusal;
#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::StatusCode;

use self::answer::Bot;
pub(super) use self::refusal::{MEANWHILE, Unread};
use super::budget::Answer;
use crate::{
    clock,
    config::Secret,
    rest::{Failure, Rest},
};

/// Where Discord is asked, and as whom.
pub(super) struct Discord(Rest);

impl Discord {
    /// `api` is the base of REST, such as `https://discord.com/api/v10`.
    pub(super) fn new(api: &str, token: &Secret) -> anyhow::Result<Self> {
        Rest::new(api, Some(token), TIMEOUT).map(Self)
    }

    /// One question, answered within [`TIMEOUT`].
    pub(super) async fn ask(&self) -> Result<Answer, Unread> {
        let asked = clock::boottime();
        let answer = self.0.get("gateway/bot").await.map_err(unread)?;
        if answer.status != StatusCode::OK {
            return Err(Unread::Status(answer.status, answer.pause));
        }
        let Bot {
            shards,
            total,
            remaining,
            reset_after,
            max_concurrency,
        } = answer::read(&answer.body).map_err(Unread::Malformed)?;
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

fn unread(failure: Failure) -> Unread {
    match failure {
        Failure::Unreachable(reason) => Unread::Unreachable(reason),
        Failure::TooLong => Unread::Malformed(failure.to_string()),
    }
}

/// How long Discord may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
