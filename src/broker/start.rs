//! How long a start waits for NATS: says what it waits for, and ends with an error that names it.
//!
//! One time-out says little: a server that elects, or is busy, answers the next question. What no
//! waiting mends ends the start at once.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, anyhow};

use crate::clock::{self, Instant};

/// How often is said what a start waits for.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// How soon a question that was not answered is put again.
const AGAIN: Duration = Duration::from_millis(500);

/// A fault of what is there, or of the configuration: no waiting mends it.
#[derive(Debug)]
pub struct Final(pub String);

impl fmt::Display for Final {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Final {}

/// The patience of one start.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    limit: Duration,
    until: Instant,
}

impl Start {
    /// From now on.
    pub fn new(limit: Duration) -> Self {
        let until = clock::now() + limit;
        Self { limit, until }
    }

    /// The same patience anew, after a wait for something else than NATS.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::new(self.limit)
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(clock::now())
    }

    /// Tries until it succeeds; `what` is what this waits for.
    ///
    /// # Errors
    /// A [`Final`] one at once; any other once the patience is at an end, with `what`.
    pub async fn get<T, F>(&self, what: &str, attempt: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let last = Mutex::new("no answer".to_owned());
        let said = || last.lock().unwrap_or_else(PoisonError::into_inner);
        let trying = async {
            loop {
                match attempt().await {
                    Ok(got) => return Ok(got),
                    Err(error) if error.is::<Final>() => return Err(error),
                    Err(error) => *said() = format!("{error:#}"),
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        let telling = async {
            loop {
                tokio::time::sleep(SAY_EVERY).await;
                tracing::warn!("the start waits for NATS, for {what}: {}", said());
            }
        };
        let limit = tokio::time::sleep_until(self.until);
        tokio::select! {
            got = trying => return got,
            () = limit => {}
            () = telling => {}
        }
        let (said, limit) = (said(), self.limit);
        Err(anyhow!(
            "NATS did not serve {what} within {limit:?} (process.start): {said}. Look whether its servers \
             run, have a leader and a disk with room (`nats server report jetstream`), then start again"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use anyhow::bail;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_time_out_ends_nothing() {
        let (start, tries) = (Start::new(Duration::from_secs(60)), Cell::new(0));
        let attempt = || async {
            tries.set(tries.get() + 1);
            if tries.get() < 4 {
                bail!("timed out");
            }
            Ok(7)
        };
        assert_eq!(start.get("the bucket a", attempt).await.unwrap(), 7);
        assert!(start.left() > Duration::from_secs(58));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_names_what_was_waited_for_and_why() {
        let start = Start::new(Duration::from_secs(60));
        let attempt = || async { bail!("timed out") };
        let error = start
            .get::<(), _>("the bucket a", attempt)
            .await
            .unwrap_err();
        let told = error.to_string();
        for part in ["the bucket a", "60s", "process.start", "timed out"] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(start.left(), Duration::ZERO);
        // Without an answer at all too.
        let hangs = std::future::pending::<Result<()>>;
        let error = start.again().get("the stream b", hangs).await.unwrap_err();
        assert!(error.to_string().contains("the stream b"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_waiting_mends_is_an_error_at_once() {
        let start = Start::new(Duration::from_secs(60));
        let attempt = || async {
            let differs = anyhow!(Final("it differs".to_owned()));
            Err::<(), _>(differs.context("the bucket a"))
        };
        let error = start.get("the bucket a", attempt).await.unwrap_err();
        assert!(format!("{error:#}").contains("it differs"));
        assert_eq!(start.left(), Duration::from_secs(60));
    }
}
