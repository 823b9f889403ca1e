//! twilight's shard behind a gate: built with a session, polled one step at a time.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::Stream;
use tokio::{sync::watch, task::unconstrained};
use twilight_gateway::{
    CloseFrame, CommandRatelimiter, Config, ConfigBuilder, Message, Session, Shard, ShardId,
    ShardState, error::ReceiveMessageError,
};

use super::{ask::Slot, track};
use crate::{clock, lease::Held};

/// One twilight shard.
pub struct Socket {
    shard: Shard<Slot>,
    state: ShardState,
    /// The last poll found nothing, and wakes whoever polled.
    drained: bool,
}

/// What a poll brought.
pub enum Polled {
    /// A message, or what went wrong.
    Item(Result<Message, ReceiveMessageError>),
    /// Nothing but a change of state: the connection opened, or ended without a word.
    State,
    /// A fatal close code: no more.
    End,
    /// The lease ended: nothing was polled.
    Unleased,
}

impl Socket {
    /// A shard that will connect when first polled, and RESUME `session` if there is one.
    pub fn new(
        config: &Config,
        id: ShardId,
        slot: Slot,
        gateway_url: &str,
        session: Option<&track::Session>,
    ) -> Self {
        let mut builder = ConfigBuilder::from(config.clone()).queue(slot);
        if let Some(session) = session {
            builder = builder.session(Session::new(session.seq, session.id.clone()));
            if is_url(&session.resume_url) {
                builder = builder.resume_url(trimmed(&session.resume_url));
            }
        }
        builder = builder.proxy_url(trimmed(gateway_url));
        let shard = Shard::with_config(id, builder.build());
        let state = shard.state();
        Self {
            shard,
            state,
            drained: false,
        }
    }

    /// Polls until something happens, and looks at the lease before every poll: one poll of a
    /// process that slept would steal the session from its successor.
    pub async fn next(&mut self, held: &watch::Receiver<Option<Held>>) -> Polled {
        poll_fn(|cx| {
            if valid(held) {
                // Polled a moment ago by the same task, which it wakes: to ask again would cost as much.
                if std::mem::take(&mut self.drained) {
                    return Poll::Pending;
                }
                self.poll(cx)
            } else {
                Poll::Ready(Polled::Unleased)
            }
        })
        .await
    }

    /// The same once, without waiting.
    pub async fn poll_once(&mut self, held: &watch::Receiver<Option<Held>>) -> Option<Polled> {
        poll_fn(|cx| match valid(held).then(|| self.poll(cx)) {
            Some(Poll::Ready(polled)) => Poll::Ready(Some(polled)),
            Some(Poll::Pending) => {
                self.drained = true;
                Poll::Ready(None)
            }
            None => Poll::Ready(Some(Polled::Unleased)),
        })
        .await
    }

    /// The same, whatever of the task's budget other sources have used up: a poll that has to send.
    pub async fn poll_to_send(&mut self, held: &watch::Receiver<Option<Held>>) -> Option<Polled> {
        unconstrained(self.poll_once(held)).await
    }

    /// Whoever polled waits for something else now, and may miss what the last poll was to wake it for.
    pub fn unpolled(&mut self) {
        self.drained = false;
    }

    /// Asks for a close that keeps the session.
    pub fn close(&self) {
        self.shard.close(CloseFrame::RESUME);
    }

    /// Hands a command over; it goes out with the next poll, while there is a session.
    pub fn send(&self, json: String) {
        self.shard.send(json);
    }

    /// How many commands twilight would let through at once; none without a connection.
    pub fn commands_left(&self) -> Option<u8> {
        self.shard.ratelimiter().map(CommandRatelimiter::available)
    }

    /// Where twilight says it stands.
    pub fn state(&self) -> ShardState {
        self.shard.state()
    }

    /// True while there is no connection to close.
    pub fn is_disconnected(&self) -> bool {
        matches!(
            self.shard.state(),
            ShardState::Disconnected { .. } | ShardState::FatallyClosed
        )
    }

    /// The last time between a heartbeat and its answer.
    pub fn heartbeat_rtt(&self) -> Option<std::time::Duration> {
        self.shard.latency().recent().first().copied()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Polled> {
        self.drained = false;
        match Pin::new(&mut self.shard).poll_next(cx) {
            Poll::Ready(Some(item)) => {
                self.state = self.shard.state();
                Poll::Ready(Polled::Item(item))
            }
            Poll::Ready(None) => Poll::Ready(Polled::End),
            // A connection that ended without a close frame is renewed inside one poll: seen by its state.
            Poll::Pending if self.shard.state() != self.state => {
                self.state = self.shard.state();
                Poll::Ready(Polled::State)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// True while the lease may be used.
pub fn valid(held: &watch::Receiver<Option<Held>>) -> bool {
    held.borrow()
        .is_some_and(|held| held.valid(clock::boottime()))
}

/// twilight panics inside `next()` on a URL that does not parse: Discord's word is checked first.
pub fn is_url(url: &str) -> bool {
    let scheme = url.starts_with("wss://") || url.starts_with("ws://");
    scheme
        && url
            .parse::<axum::http::Uri>()
            .is_ok_and(|uri| uri.host().is_some())
}

/// twilight appends `/?v=10…`.
fn trimmed(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;
    use twilight_gateway::Intents;

    use super::*;
    use crate::fleet::Epoch;

    /// One poll of a process that slept would open a connection and RESUME.
    #[tokio::test]
    async fn without_a_lease_nothing_is_polled() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let config = Config::new("a.b.c".to_owned(), Intents::empty());
        let socket = || Socket::new(&config, ShardId::ONE, Slot::default(), &url, None);
        let (lease, held) = watch::channel(None);
        // The listener hears of a connection in the same moment; a poll that waits has opened one.
        let second = Duration::from_secs(1);
        let next = |mut socket: Socket| {
            let held = held.clone();
            async move { tokio::time::timeout(second, socket.next(&held)).await }
        };

        let (polled, came) = tokio::join!(
            next(socket()),
            tokio::time::timeout(second, listener.accept())
        );
        assert!(matches!(polled, Ok(Polled::Unleased)) && came.is_err());
        let mut once = socket();
        assert!(matches!(
            once.poll_once(&held).await,
            Some(Polled::Unleased)
        ));

        let (epoch, until) = (Epoch(1), clock::boottime().plus(second * 60));
        lease.send_replace(Some(Held { epoch, until }));
        let (_, came) = tokio::join!(
            next(socket()),
            tokio::time::timeout(second, listener.accept())
        );
        assert!(came.is_ok(), "with a lease it connects");
    }

    #[test]
    fn only_what_twilight_can_use_is_a_url() {
        assert!(is_url("wss://gateway.discord.gg") && is_url("ws://127.0.0.1:7700/resume"));
        for bad in ["", "gateway.discord.gg", "https://x", "wss://", "wss://a b"] {
            assert!(!is_url(bad), "{bad}");
        }
    }
}
