//! One connection to Discord's gateway: opened, polled one step at a time, written to.
//!
//! It knows nothing of the protocol that the payloads follow. What is read is read once, by the shard:
//! two readers that disagree about a payload have lost whole shards.

mod inflate;
mod open;
mod proxy;

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Sink, Stream as _};
use tokio::{sync::watch, task::unconstrained};
use tokio_websockets::{CloseCode, Message};

use self::{
    inflate::{Inflate, Inflated},
    open::{Opened, Opening, Stream},
};
use super::{lifecycle::State, url::Endpoint};
use crate::{
    clock::{self, Instant},
    lease::Held,
};

pub use self::open::{Tls, native_tls};

/// The code that keeps the session: whatever is neither 1000 nor 1001 does.
pub const KEEPS: u16 = 4000;
/// The code that ends it.
///
/// <https://discord.com/developers/docs/events/gateway#disconnecting>
pub const GIVES_UP: u16 = 1000;
/// Frames that Discord takes from a connection in [`MINUTE`].
///
/// <https://discord.com/developers/docs/events/gateway#rate-limiting>
const MOST_FRAMES: usize = 120;
/// A second more than Discord's: what left evenly may arrive closer together.
const MINUTE: Duration = Duration::from_secs(61);

/// One connection.
pub struct Socket {
    stage: Stage,
    /// When frames were sent, lately.
    frames: VecDeque<Instant>,
    /// The last poll found nothing, and wakes whoever polled.
    drained: bool,
}

enum Stage {
    Opening(Opening),
    Open(Stream, Box<Inflate>),
    Over,
}

/// What a poll brought.
pub enum Polled {
    /// Opening it has come so far; HELLO: it is open.
    Step(State),
    /// A payload: JSON, or what should be.
    Payload(Bytes),
    /// A payload that is too large to be kept: how it begins, and its size.
    TooLarge(Vec<u8>, usize),
    /// The connection is over; the code of Discord's close frame, if there was one.
    Closed(Option<u16>),
    /// The connection is over, for this reason.
    Failed(anyhow::Error),
    /// The lease ended: nothing was polled.
    Unleased,
    /// There is no room for what would be read: nothing was polled.
    Full,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The connection is not open, or broke.
    No,
    /// It leaves when the kernel takes it.
    Queued,
    /// The kernel has it.
    Left,
}

impl Socket {
    /// A connection that opens as it is polled.
    pub fn new(endpoint: Endpoint, tls: Tls) -> Self {
        Self {
            stage: Stage::Opening(Opening::new(endpoint, tls)),
            frames: VecDeque::new(),
            drained: false,
        }
    }

    /// Polls until something happens, and looks at the lease before every poll: one poll of a
    /// process that slept would steal the session from its successor. Many shards wait here at once, and each
    /// may read megabytes: so each asks for `room` before it reads, not before it waits.
    pub async fn next(
        &mut self,
        held: &watch::Receiver<Option<Held>>,
        room: impl Fn() -> bool,
    ) -> Polled {
        poll_fn(|cx| {
            if valid(held) {
                // Polled a moment ago by the same task, which it wakes: to ask again would cost as much.
                if std::mem::take(&mut self.drained) {
                    return Poll::Pending;
                }
                if self.is_open() && !room() {
                    return Poll::Ready(Polled::Full);
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

    /// Whoever polled waits for something else now, and may miss what the last poll was to wake it for.
    pub fn unpolled(&mut self) {
        self.drained = false;
    }

    /// Sends a payload, without waiting: what the kernel does not take now leaves with the next polls.
    pub async fn send(&mut self, json: String) -> Sent {
        let now = clock::now();
        while self.frames.front().is_some_and(|at| *at + MINUTE <= now) {
            self.frames.pop_front();
        }
        self.frames.push_back(now);
        self.write(Message::text(json)).await
    }

    /// Sends a close frame.
    pub async fn close(&mut self, code: u16) -> Sent {
        let code = CloseCode::try_from(code).ok();
        self.write(Message::close(code, "")).await
    }

    /// How many more frames Discord takes at `now`.
    pub fn frames_left(&self, now: Instant) -> usize {
        let sent = self.frames.iter().filter(|at| **at + MINUTE > now);
        MOST_FRAMES.saturating_sub(sent.count())
    }

    /// True once frames can be sent.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(..))
    }

    async fn write(&mut self, message: Message) -> Sent {
        let Stage::Open(stream, _) = &mut self.stage else {
            return Sent::No;
        };
        if Pin::new(&mut *stream).start_send(message).is_err() {
            return Sent::No;
        }
        // Whatever of the task's budget other sources have used up.
        let flushed = poll_fn(|cx| Poll::Ready(Pin::new(&mut *stream).poll_flush(cx)));
        let flushed = unconstrained(flushed).await;
        self.drained = false;
        match flushed {
            Poll::Ready(Ok(())) => Sent::Left,
            Poll::Ready(Err(_)) => Sent::No,
            Poll::Pending => Sent::Queued,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Polled> {
        self.drained = false;
        let polled = match &mut self.stage {
            Stage::Opening(opening) => match ready!(opening.poll(cx)) {
                Ok(Opened::Step(state)) => return Poll::Ready(Polled::Step(state)),
                Ok(Opened::Open(stream)) => match Inflate::new() {
                    Ok(inflate) => {
                        self.stage = Stage::Open(stream, Box::new(inflate));
                        return Poll::Ready(Polled::Step(State::Hello));
                    }
                    Err(error) => Polled::Failed(error),
                },
                Err(error) => Polled::Failed(error),
            },
            Stage::Open(stream, inflate) => match ready!(read(stream, inflate, cx)) {
                over @ (Polled::Closed(_) | Polled::Failed(_)) => over,
                payload => return Poll::Ready(payload),
            },
            Stage::Over => return Poll::Pending,
        };
        // Polled again, the library would answer Discord's close with its own code, 1000 among them.
        self.stage = Stage::Over;
        Poll::Ready(polled)
    }
}

fn read(stream: &mut Stream, inflate: &mut Inflate, cx: &mut Context<'_>) -> Poll<Polled> {
    loop {
        let message = match ready!(Pin::new(&mut *stream).poll_next(cx)) {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Poll::Ready(Polled::Failed(error.into())),
            None => return Poll::Ready(Polled::Closed(None)),
        };
        let polled = if message.is_binary() {
            match inflate.message(message.as_payload()) {
                Ok(Inflated::Message(bytes)) => Polled::Payload(bytes.into()),
                Ok(Inflated::TooLarge(head, size)) => Polled::TooLarge(head, size),
                Err(error) => Polled::Failed(error),
            }
        } else if message.is_text() {
            Polled::Payload(Bytes::copy_from_slice(message.as_payload()))
        } else if message.is_close() {
            let code = message.as_close().map(|(code, _)| u16::from(code));
            // An empty close frame reads as this one, which no peer can send.
            Polled::Closed(code.filter(|code| *code != NO_CODE))
        } else {
            continue;
        };
        return Poll::Ready(polled);
    }
}

/// <https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1>
const NO_CODE: u16 = 1005;

/// True while the lease may be used.
pub fn valid(held: &watch::Receiver<Option<Held>>) -> bool {
    held.borrow()
        .is_some_and(|held| held.valid(clock::boottime()))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::fleet::Epoch;

    /// One poll of a process that slept would open a connection and RESUME.
    #[tokio::test]
    async fn without_a_lease_nothing_is_polled() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let socket = || Socket::new(Endpoint::parse(&url).unwrap(), Err("none".into()));
        let (lease, held) = watch::channel(None);
        // The listener hears of a connection in the same moment; a poll that waits has opened one.
        let second = Duration::from_secs(1);
        let connects = |mut socket: Socket| {
            let held = held.clone();
            async move {
                let mut polled = socket.next(&held, || true).await;
                while let Polled::Step(_) = polled {
                    let next = tokio::time::timeout(second, socket.next(&held, || true)).await;
                    polled = next.unwrap_or(Polled::Closed(None));
                }
                polled
            }
        };

        let (polled, came) = tokio::join!(
            connects(socket()),
            tokio::time::timeout(second, listener.accept())
        );
        assert!(matches!(polled, Polled::Unleased) && came.is_err());
        let mut once = socket();
        assert!(matches!(
            once.poll_once(&held).await,
            Some(Polled::Unleased)
        ));

        let (epoch, until) = (Epoch(1), clock::boottime().plus(second * 60));
        lease.send_replace(Some(Held { epoch, until }));
        let (_, came) = tokio::join!(
            connects(socket()),
            tokio::time::timeout(second, listener.accept())
        );
        assert!(came.is_ok(), "with a lease it connects");
    }
}
