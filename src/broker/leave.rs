//! When a connection leaves its server for another: when the server asks for it, and when it does not
//! answer.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_nats::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Instant};

/// A new server has this long before it is suspected too: what it is asked waits up to two seconds.
const SUSPECT_EVERY: Duration = Duration::from_secs(4);

/// When the server was last left unasked.
#[derive(Debug, Default)]
pub(super) struct Suspicion(Mutex<Option<Instant>>);

impl Suspicion {
    /// True if it is to be left now: once, however many askers one silence has.
    pub(super) fn falls(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let falls = last.is_none_or(|last| now >= last + SUSPECT_EVERY);
        if falls {
            *last = Some(now);
        }
        falls
    }
}

/// A server about to end says so, waits, and then throws everybody out: who leaves at once, while its
/// streams still have leaders, hardly notices. The library itself stays until it is thrown out.
pub(super) async fn lame_ducks(
    client: Client,
    configured: usize,
    mut lame: watch::Receiver<u64>,
    used: CancellationToken,
) {
    while let Some(Ok(())) = used.run_until_cancelled(lame.changed()).await {
        if configured > 1 || client.server_info().connect_urls.len() > 1 {
            _ = client.force_reconnect().await;
        }
    }
}

/// Asks for another server.
pub(super) async fn now(client: &Client, suspicion: &Suspicion) {
    if suspicion.falls(clock::now()) {
        _ = client.force_reconnect().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_silence_costs_one_connection_however_many_leases_hear_it() {
        let suspicion = Suspicion::default();
        let now = clock::now();
        let after = |ms| now + Duration::from_millis(ms);
        assert!(suspicion.falls(now));
        assert!(!suspicion.falls(after(10)) && !suspicion.falls(after(3_999)));
        assert!(suspicion.falls(after(4_000)));
    }
}
