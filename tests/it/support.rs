//! What tests share: waiting for a condition, processes that end with their test, NATS servers.

pub(crate) mod chaos;
pub(crate) mod fault;
pub(crate) mod fleet;
pub(crate) mod http;
pub(crate) mod nats;
pub(crate) mod process;
pub(crate) mod publisher;

use std::time::Duration;

use shardfleet::clock;

/// Long enough for a busy machine; a test that waits this long has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Waits until `look` finds something; fails the test after [`LIMIT`], naming `what`.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = clock::now() + LIMIT;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            clock::now() < deadline,
            "after {LIMIT:?}, still not: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Shows a measured figure beside the test's name; `--nocapture`, or a failure, lets it be seen.
#[expect(clippy::print_stdout, reason = "a figure is what the test is for")]
pub(crate) fn figure(what: &str, value: impl std::fmt::Debug) {
    println!("{what}: {value:?}");
}

/// True while a process runs; a zombie that nobody has waited for does not.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // The name in parentheses may hold anything; the state follows the last one.
    stat.is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    })
}
