//! The end of a process: a signal asks for it, a deadline bounds it, a second signal cuts it short.

use std::{future::Future, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
pub use tokio_util::sync::CancellationToken;

use crate::supervise;

/// A token that SIGTERM, SIGINT or SIGHUP cancels. A terminal that closes hangs up: what it takes along is
/// handed over. Where whoever started the process has SIGHUP ignored, as nohup does, it stays so.
///
/// # Errors
/// Where the process may not install a signal handler.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let mut hangup = match std::fs::read_to_string("/proc/self/status") {
        Ok(status) if ignores_hangup(&status) => None,
        _ => Some(signal(SignalKind::hangup())?),
    };
    let cancelled = token.clone();
    supervise::vital("signals", &token, async move {
        let hangup = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {}, _ = hangup => {} }
        tracing::info!("asked to end: draining");
        cancelled.cancel();
    });
    Ok(token)
}

/// True where the process's status, as the kernel tells it, has signal 1 among those that it ignores.
fn ignores_hangup(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Everything was handed over.
    Clean,
    /// The deadline passed, or a second signal came.
    Cut,
}

/// Waits for `work`; once `shutdown` is cancelled, no longer than `deadline`.
///
/// # Errors
/// What `work` itself failed with.
pub async fn drain<T>(
    work: impl Future<Output = anyhow::Result<T>>,
    shutdown: &CancellationToken,
    deadline: Duration,
) -> anyhow::Result<Drained> {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done.map(|_| Drained::Clean),
        () = shutdown.cancelled() => {}
    }
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::select! {
        done = &mut work => done.map(|_| Drained::Clean),
        () = tokio::time::sleep(deadline) => {
            tracing::warn!(?deadline, "the drain missed its deadline; what is left ends unasked");
            Ok(Drained::Cut)
        }
        () = async { tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} } } => {
            tracing::warn!("a second signal: ending at once");
            Ok(Drained::Cut)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_that_is_ignored_stays_so() {
        let status = |mask: &str| format!("Name:\tx\nSigBlk:\tffff\nSigIgn:\t{mask}\n");
        assert!(ignores_hangup(&status("0000000000001001")));
        assert!(!ignores_hangup(&status("0000000000001000")));
        assert!(!ignores_hangup("") && !ignores_hangup(&status("?")));
    }
}
