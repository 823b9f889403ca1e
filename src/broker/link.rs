//! Whether this process reaches NATS: true only while every one of its connections stands.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_nats::{ClientError, Event};
use tokio::sync::watch;

use super::denied;
use crate::{
    clock,
    telemetry::{metrics::NATS_CONNECTED, seldom::Seldom},
};

/// Connections of this process: how many there are, and how many stand.
static LINKS: Mutex<Links> = Mutex::new(Links { open: 0, up: 0 });

#[derive(Debug)]
struct Links {
    open: u32,
    up: u32,
}

impl Links {
    fn show(&self) {
        let all = self.open > 0 && self.up == self.open;
        metrics::gauge!(NATS_CONNECTED.name).set(f64::from(u8::from(all)));
    }
}

/// One connection. It counts until it is dropped.
#[derive(Debug)]
pub(super) struct Link {
    label: String,
    up: Mutex<bool>,
    /// Counts the servers that asked to be left.
    lame: watch::Sender<u64>,
    /// Counts how often it connected.
    connects: watch::Sender<u64>,
    /// The subject of the last subscription that was refused.
    denied: watch::Sender<Option<String>>,
    /// Why it was not reached, as said last: each try of an outage meets the same.
    unreached: Mutex<Option<String>>,
    /// A subject that is not allowed is refused with every message to it.
    seldom: Seldom,
}

impl Link {
    /// A connection that is not there yet; `label` names it in the log.
    pub(super) fn new(label: String) -> Self {
        let mut links = links();
        links.open += 1;
        links.show();
        let up = Mutex::new(false);
        let (lame, connects) = (watch::Sender::new(0), watch::Sender::new(0));
        Self {
            label,
            up,
            lame,
            connects,
            denied: watch::Sender::new(None),
            unreached: Mutex::default(),
            seldom: Seldom::up_to(5),
        }
    }

    /// Changes whenever the server asks to be left.
    pub(super) fn lame(&self) -> watch::Receiver<u64> {
        self.lame.subscribe()
    }

    /// Changes whenever it has connected, for the first time or again.
    pub(super) fn connects(&self) -> watch::Receiver<u64> {
        self.connects.subscribe()
    }

    /// Changes whenever the server refuses a subscription.
    pub(super) fn denied(&self) -> watch::Receiver<Option<String>> {
        self.denied.subscribe()
    }

    /// The library's word on it.
    pub(super) fn on_event(&self, event: &Event) {
        let connection = &self.label;
        match event {
            Event::Connected => {
                self.set(true);
                self.is_new(None);
                self.connects.send_modify(|count| *count += 1);
                tracing::info!(connection, "{connection} is connected to NATS");
            }
            Event::Disconnected => {
                self.set(false);
                tracing::warn!(connection, "{connection} has lost its connection to NATS");
            }
            Event::LameDuckMode => {
                tracing::info!(
                    connection,
                    "the NATS server of {connection} is about to end: leaving it"
                );
                self.lame.send_modify(|count| *count += 1);
            }
            // Asked for: the end of a process.
            Event::Draining | Event::Closed => {
                tracing::debug!(connection, "the connection {connection} ends");
            }
            Event::ClientError(error) => {
                let error = match error {
                    ClientError::Other(error) => error.clone(),
                    error => error.to_string(),
                };
                if self.is_new(Some(&error)) {
                    tracing::warn!(
                        connection,
                        "{connection} does not reach NATS and goes on trying: {error}"
                    );
                }
            }
            event => {
                if let Event::ServerError(error) = event
                    && let Some(subject) = denied::subject(&error.to_string())
                {
                    self.denied.send_replace(Some(subject));
                }
                if let Some(unsaid) = self.seldom.one_more(clock::now()) {
                    tracing::warn!(connection, unsaid, "NATS says to {connection}: {event}");
                }
            }
        }
    }

    /// True if another reason was said last, since it was connected.
    fn is_new(&self, error: Option<&str>) -> bool {
        let mut last = self
            .unreached
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let new = last.as_deref() != error;
        if new {
            *last = error.map(str::to_owned);
        }
        new
    }

    fn set(&self, up: bool) {
        let mut mine = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *mine, up);
        let mut links = links();
        links.up = links.up + u32::from(up) - u32::from(before);
        links.show();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.set(false);
        let mut links = links();
        links.open -= 1;
        links.show();
    }
}

fn links() -> MutexGuard<'static, Links> {
    LINKS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> (u32, u32) {
        let links = links();
        (links.open, links.up)
    }

    #[test]
    fn an_outage_says_each_reason_once() {
        let link = Link::new("a".to_owned());
        let said = ["refused", "refused", "timed out", "timed out"];
        let new = said.map(|error| link.is_new(Some(error)));
        assert_eq!(new, [true, false, true, false]);
        link.is_new(None);
        assert!(link.is_new(Some("timed out")));
    }

    #[test]
    fn a_process_is_connected_while_all_its_connections_are() {
        let (a, b) = (Link::new("a".to_owned()), Link::new("b".to_owned()));
        a.on_event(&Event::Connected);
        a.on_event(&Event::Connected);
        assert_eq!(counts(), (2, 1));
        b.on_event(&Event::Connected);
        assert_eq!(counts(), (2, 2));
        a.on_event(&Event::Disconnected);
        assert_eq!(counts(), (2, 1));
        drop(a);
        assert_eq!(counts(), (1, 1));
        drop(b);
        assert_eq!(counts(), (0, 0));
    }
}
