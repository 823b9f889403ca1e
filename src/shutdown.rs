//! The end of a process: a signal asks for it, a deadline bounds it, a second signal cuts it short.

use std::{future::Future, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
pub use tokio_util::sync::CancellationToken;

use crate::supervise;

/// A token that SIGTERM or SIGINT cancels.
///
/// # Errors
/// Where the process may not install a signal handler.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let cancelled = token.clone();
    supervise::vital("signals", &token, async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::info!("asked to end: draining");
        cancelled.cancel();
    });
    Ok(token)
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
