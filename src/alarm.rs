//! A timer for a loop that looks at every turn when it has to wake.

use std::pin::Pin;

use tokio::time::Sleep;

use crate::clock::Instant;

/// Rings at the moment set, or earlier: a look around too many costs less than a timer set anew at
/// every turn.
#[derive(Debug)]
pub struct Alarm(Pin<Box<Sleep>>);

impl Alarm {
    /// Rings at `at`.
    pub fn new(at: Instant) -> Self {
        Self(Box::pin(tokio::time::sleep_until(at)))
    }

    /// Rings by `at`.
    pub fn set(&mut self, at: Instant) {
        if self.0.is_elapsed() || at < self.0.deadline() {
            self.0.as_mut().reset(at);
        }
    }

    /// Waits until it rings; then it is to be set again.
    pub async fn ring(&mut self) {
        self.0.as_mut().await;
    }
}
