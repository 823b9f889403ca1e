//! A bot: its token, its application, and its own limits on starting sessions.

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::limits::{Concurrency, Daily};
use crate::config::sim::SimOptions;

/// One bot.
#[derive(Debug)]
pub(super) struct Bot {
    /// Its user's and its application's id.
    pub(super) id: u64,
    pub(super) concurrency: Concurrency,
    pub(super) daily: Daily,
    /// Its token was not reset.
    pub(super) valid: bool,
    token: SecretString,
}

impl Bot {
    pub(super) fn new(id: u64, token: SecretString, options: &SimOptions, now: Instant) -> Self {
        let remaining = options
            .session_start_remaining
            .unwrap_or(options.session_start_total);
        Self {
            id,
            concurrency: Concurrency::new(
                options.max_concurrency,
                options.identify_window.0,
                options.identify_window_kind,
                now,
            ),
            daily: Daily::new(
                options.session_start_total,
                remaining,
                options.session_start_reset.0,
                now,
            ),
            valid: true,
            token,
        }
    }

    /// Whether `token`, with or without `Bot `, is its token, valid or not.
    pub(super) fn has(&self, token: &str) -> bool {
        let token = token.strip_prefix("Bot ").unwrap_or(token);
        token == self.token.expose_secret()
    }
}
