//! Subscriptions that the server refuses while a process runs: it drops them, and nobody makes them again when
//! they are allowed again. So somebody asks over a connection of its own until they are, and then connects
//! anew, which makes every subscription again.

use std::time::Duration;

use async_nats::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::rights::{self, Probe};
use crate::{
    backoff::Backoff,
    clock::{self, Instant},
    config,
};

/// The first question comes so soon, and the next ones ever more seldom …
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A question that is not answered is put again.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Allowed for so long, it is another denial that follows.
const QUIET: Duration = Duration::from_secs(60);

/// The subject of a subscription that the server refuses, in its words:
/// `Permissions Violation for Subscription to "subject" using queue "q"`.
pub(super) fn subject(said: &str) -> Option<String> {
    let lower = said.to_ascii_lowercase();
    let at = lower.find("permissions violation for subscription to \"")?;
    let mut quoted = said.get(at..)?.split('"');
    quoted.nth(1).map(str::to_owned)
}

/// Brings subscriptions back that were refused, until `used` is cancelled.
pub(super) async fn heal(
    client: Client,
    nats: config::Nats,
    label: String,
    mut denied: watch::Receiver<Option<String>>,
    used: CancellationToken,
) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut healed: Option<Instant> = None;
    while let Some(Ok(())) = used.run_until_cancelled(denied.changed()).await {
        if healed.is_none_or(|healed| clock::now() >= healed + QUIET) {
            backoff.reset();
        }
        let Some(subject) = denied.borrow_and_update().clone() else {
            continue;
        };
        let waiting = allowed(&nats, &subject, &mut backoff);
        if used.run_until_cancelled(waiting).await.is_none() {
            return;
        }
        healed = Some(clock::now());
        tracing::info!(
            connection = label,
            subject,
            "{label} may listen to {subject} again: it connects anew, so that its subscriptions are made again"
        );
        _ = client.force_reconnect().await;
    }
}

/// Returns once the server takes a subscription to `subject`.
async fn allowed(nats: &config::Nats, subject: &str, backoff: &mut Backoff) {
    loop {
        let pause = backoff.next(&mut rand::rng());
        tokio::time::sleep(pause).await;
        let probe = vec![Probe::Subscribe(subject.to_owned())];
        let asked = tokio::time::timeout(ANSWER_LIMIT, rights::refused(nats, probe)).await;
        if matches!(asked, Ok(Ok(refused)) if refused.is_empty()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_subscription_names_its_subject() {
        let said =
            r#"Permissions Violation for Subscription to "fleet.Discord.identify" using queue "q""#;
        assert_eq!(subject(said).as_deref(), Some("fleet.Discord.identify"));
        let other = r#"nats: permissions violation for subscription to "a.>""#;
        assert_eq!(subject(other).as_deref(), Some("a.>"));
        for none in [
            r#"Permissions Violation for Publish to "a""#,
            "Permissions Violation for Subscription to",
            "",
        ] {
            assert_eq!(subject(none), None, "{none}");
        }
    }
}
