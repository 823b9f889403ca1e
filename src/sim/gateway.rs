//! One gateway connection: reads the client, tells [`Peer`], writes the session's
//! dispatches as fast as the socket takes them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocket;
use futures_util::stream::SplitStream;
use futures_util::{FutureExt, StreamExt};
use tokio::pin;
use tokio::time::{sleep_until, timeout};

use super::hub::Hub;
use super::interrupt::At;
use super::limits;
use super::mailbox::Order;
use super::outbox::Outbox;
use super::peer::{BEAT, End, Peer, RECONNECT, Request};
use super::transport::Transport;
use crate::clock;

/// How long a close may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// Frames looked at to learn whether a client is gone.
const GLANCE: usize = 16;

/// Serves a connection until it ends.
pub(super) async fn serve(socket: WebSocket, hub: Arc<Hub>, request: Request) {
    let (sink, mut stream) = socket.split();
    let split = hub.options.split_zlib;
    let frames = hub.options.pre_encoded > 0;
    let transport = Transport::new(request.compress.as_deref(), split, frames);
    let known = matches!(transport, Ok(Some(_)));
    let transport = transport.ok().flatten().unwrap_or(Transport::Plain);
    let mut peer = Peer::new(hub, request, Outbox::new(sink, transport));
    let end = match peer.check(known) {
        Ok(()) => peer.live(&mut stream).await,
        Err(refusal) => End::Refused(refusal),
    };
    peer.leave(&end);
    peer.goodbye(end, &mut stream).await;
}

impl Peer {
    async fn live(&mut self, stream: &mut SplitStream<WebSocket>) -> End {
        let start = clock::now();
        if let Err(end) = self.open() {
            return end;
        }
        let shutdown = self.hub.shutdown.clone();
        let stopped = shutdown.cancelled();
        let timer = sleep_until(start);
        pin!(stopped, timer);
        loop {
            if let Err(end) = self.refill().and_then(|()| self.take_due()) {
                return end;
            }
            let wakeup = self.next_wakeup();
            if timer.deadline() != wakeup {
                timer.as_mut().reset(wakeup);
            }
            let writable = self.silent_until.is_none() && self.outbox.busy();
            let step = tokio::select! {
                biased;
                () = &mut stopped => Err(End::Told(Some(1001))),
                frame = stream.next() => self.on_frame(frame),
                () = self.mailbox.rung() => self.on_orders(stream),
                written = self.outbox.pump(), if writable => written.map_err(|_| End::Gone),
                () = &mut timer => self.on_time(clock::now()),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// HELLO, unless a script has something else in mind.
    fn open(&mut self) -> Result<(), End> {
        if let Some(turn) = self.turn(At::Connect, None)
            && !self.take(&turn)?
        {
            return Ok(());
        }
        let interval = self.hub.options.heartbeat_interval_ms;
        self.say(format!(
            r#"{{"t":null,"s":null,"op":10,"d":{{"heartbeat_interval":{interval}}}}}"#
        ))?;
        self.connection.greet(Some(interval), clock::now());
        match self.turn(At::Hello, None) {
            Some(turn) => self.take(&turn).map(drop),
            None => Ok(()),
        }
    }

    fn on_orders(&mut self, stream: &mut SplitStream<WebSocket>) -> Result<(), End> {
        while let Some(order) = self.mailbox.take() {
            match order {
                Order::Drop => return Err(End::Dropped),
                Order::Close(code) => return Err(End::Told(code)),
                Order::Reconnect => self.say(RECONNECT)?,
                Order::Invalidate {
                    resumable,
                    say,
                    close,
                } => {
                    // The same socket may RESUME or IDENTIFY next: discord.js and others do.
                    self.part();
                    match say {
                        None => self.invalid(resumable)?,
                        Some(text) => {
                            self.invalidated = true;
                            self.speak(&text)?;
                        }
                    }
                    if close {
                        return Err(End::Told(Some(4000)));
                    }
                }
                Order::Inflate(bytes) => self.inflate(bytes)?,
                Order::Say(text) => self.speak(&text)?,
                Order::Silence(span) => self.silent_until = Some(clock::now() + span),
                Order::AskHeartbeat => self.say(BEAT)?,
                Order::Garbage => self.outbox.push_garbage(),
                Order::Superseded => {
                    self.glance(stream)?;
                    self.note(
                        "session_used_twice",
                        "resumed while its old socket was alive",
                    );
                    return Err(End::Told(Some(4000)));
                }
                Order::Witness => {
                    self.glance(stream)?;
                    self.note(
                        "session_used_twice",
                        "shard identified again while its old socket was alive",
                    );
                }
                Order::TokenReset => return Err(End::Told(Some(4004))),
            }
        }
        Ok(())
    }

    /// Looks at what the client sent already: it may be gone without our having noticed.
    fn glance(&mut self, stream: &mut SplitStream<WebSocket>) -> Result<(), End> {
        for _ in 0..GLANCE {
            let Some(frame) = stream.next().now_or_never() else {
                break;
            };
            self.on_frame(frame)?;
        }
        Ok(())
    }

    async fn goodbye(mut self, end: End, stream: &mut SplitStream<WebSocket>) {
        let code = match end {
            // Polling once more writes the answer to the client's close.
            End::ByClient(_) => {
                let _ = timeout(GOODBYE, stream.next()).await;
                return;
            }
            End::Gone | End::Dropped => return,
            End::Cut { reset } => {
                let _ = timeout(GOODBYE, self.outbox.pump()).await;
                if reset {
                    self.request.reset.arm();
                }
                return;
            }
            End::Refused(refusal) => Some(refusal.code),
            End::Told(code) => code,
        };
        self.outbox.push_close(code);
        let polite = async {
            if self.outbox.pump().await.is_err() {
                return;
            }
            for _ in 0..limits::MOST_FRAMES_AFTER_CLOSE {
                if !matches!(stream.next().await, Some(Ok(_))) {
                    break;
                }
            }
        };
        let _ = timeout(GOODBYE, polite).await;
    }
}
