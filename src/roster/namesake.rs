//! Two processes of one name: each takes the other's leases for its own, the page shows one for both, and a
//! `drain` empties both. The younger ends, the older says so.

use std::{fmt, time::Duration};

use anyhow::Result;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::Board;
use crate::{
    broker::Broker,
    clock,
    telemetry::seldom::Seldom,
    wire::{self, status::Status},
};

/// How often the older one says it.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// The error with which the younger ends: exit code 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namesake {
    name: String,
    pid: u32,
    started_ms: u64,
}

impl fmt::Display for Namesake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            pid,
            started_ms,
        } = self;
        let seconds = clock::unix_ms().saturating_sub(*started_ms) / 1_000;
        write!(
            f,
            "another process of this fleet is called {name} (pid {pid}, up {seconds} s): each would take the \
             other's leases for its own. Give each its own process.name, or none: then it is the host's name and \
             a random word. Where that process is to be replaced, end it first"
        )
    }
}

impl std::error::Error for Namesake {}

/// What a status under this process's name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    /// Its own, or that of one about to end.
    None,
    /// Of a younger one, which ends.
    Younger,
    /// Of an older one.
    Older,
}

fn other(own: &Status, heard: &Status) -> Other {
    let age = |status: &Status| (status.started_ms, status.pid);
    if heard.process != own.process || age(heard) == age(own) || heard.draining {
        Other::None
    } else if age(heard) < age(own) {
        Other::Older
    } else {
        Other::Younger
    }
}

/// Listens for others of this name until `shutdown`.
///
/// # Errors
/// [`Namesake`] where an older one is there; NATS refusing the subscription.
pub async fn watch(broker: &Broker, board: &Board, shutdown: &CancellationToken) -> Result<()> {
    let subject = broker.names.status(&board.process());
    let mut words = broker.client.subscribe(subject).await?;
    let seldom = Seldom::once_in(SAY_EVERY);
    while let Some(Some(word)) = shutdown.run_until_cancelled(words.next()).await {
        // Who reads all statuses says what is wrong with one.
        let Ok(heard) = wire::decode::<Status>(&word.payload) else {
            continue;
        };
        match other(&board.status(), &heard) {
            Other::None => {}
            Other::Older => {
                return Err(Namesake {
                    name: heard.process,
                    pid: heard.pid,
                    started_ms: heard.started_ms,
                }
                .into());
            }
            Other::Younger => {
                if seldom.one_more(clock::now()).is_some() {
                    tracing::error!(
                        pid = heard.pid,
                        "another process has started under this one's name, {}, and has to end: give each its own \
                         process.name",
                        heard.process
                    );
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(process: &str, started_ms: u64, pid: u32) -> Status {
        Status {
            process: process.to_owned(),
            started_ms,
            pid,
            ..Status::default()
        }
    }

    #[test]
    fn the_younger_of_one_name_ends() {
        let own = status("a", 5, 7);
        assert_eq!(other(&own, &own), Other::None);
        assert_eq!(other(&own, &status("a", 4, 9)), Other::Older);
        assert_eq!(other(&own, &status("a", 5, 6)), Other::Older);
        assert_eq!(other(&own, &status("a", 6, 1)), Other::Younger);
        assert_eq!(other(&own, &status("b", 4, 7)), Other::None);
        let draining = Status {
            draining: true,
            ..status("a", 4, 7)
        };
        assert_eq!(other(&own, &draining), Other::None);
    }
}
