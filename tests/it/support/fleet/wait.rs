//! Waiting for a condition, with a limit and a name. Nothing in this suite sleeps and hopes.

use std::time::Duration;

use shardfleet::clock;

/// How often a condition is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The limit of what takes no time unless something is wrong.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// The limit of what a fleet does by itself: a cold start, a takeover. Many tests share few cores.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `look` finds something.
pub(crate) async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let until = clock::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(clock::now() < until, "not within {limit:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
