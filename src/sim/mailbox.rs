//! How the rest of the simulator speaks to one connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// Orders that wait for a connection; more are dropped: somebody floods /sim/fault.
const MOST: usize = 64;

/// Wakes a connection, for an order or because its session has something new.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    orders: Mutex<VecDeque<Order>>,
    wake: Notify,
}

/// What a connection is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// End the socket without a close frame.
    Drop,
    /// Close with a code, or without one.
    Close(Option<u16>),
    /// Send op 7.
    Reconnect,
    /// Send op 9; a session that is not resumable has ended already.
    Invalidate {
        /// `d`.
        resumable: bool,
        /// Sent in place of op 9.
        say: Option<Arc<str>>,
        /// Close the socket after it.
        close: bool,
    },
    /// Send an answer to a heartbeat that is so many bytes long.
    Inflate(usize),
    /// Send this text.
    Say(Arc<str>),
    /// Send nothing at all, heartbeat answers neither, for so long.
    Silence(Duration),
    /// Send op 1.
    AskHeartbeat,
    /// Send a frame that no client can decode.
    Garbage,
    /// Somebody else resumed this connection's session: close, and say whether the client was there.
    Superseded,
    /// Somebody else identified with this connection's shard: say whether the client is there.
    Witness,
    /// The token was reset.
    TokenReset,
}

impl Mailbox {
    pub(super) fn post(&self, order: Order) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.len() < MOST {
            orders.push_back(order);
        }
        drop(orders);
        self.wake.notify_one();
    }

    pub(super) fn take(&self) -> Option<Order> {
        self.orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// Wakes the connection.
    pub(super) fn ring(&self) {
        self.wake.notify_one();
    }

    /// Until somebody posts or rings; at once if somebody did since the last time.
    pub(super) async fn rung(&self) {
        self.wake.notified().await;
    }
}
