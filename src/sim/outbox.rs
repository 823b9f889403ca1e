//! What a connection still has to write. It holds one batch: the rest waits in the session's buffer, so
//! that a client that does not read costs no memory.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::SplitSink;
use futures_util::{Sink, SinkExt};
use std::pin::Pin;
use std::task::ready;

use super::payload::Payload;
use super::refusal::reason;
use super::transport::Transport;

/// The writing half of a connection.
pub(super) struct Outbox {
    pub(super) transport: Transport,
    sink: SplitSink<WebSocket, Message>,
    queue: VecDeque<Message>,
    unflushed: bool,
}

impl Outbox {
    pub(super) fn new(sink: SplitSink<WebSocket, Message>, transport: Transport) -> Self {
        Self {
            transport,
            sink,
            queue: VecDeque::new(),
            unflushed: false,
        }
    }

    /// Queues a payload.
    pub(super) fn push(&mut self, payload: &Payload) -> io::Result<()> {
        let queue = &mut self.queue;
        self.transport
            .encode(payload, |message| queue.push_back(message))
    }

    /// Queues a message that no client can decode.
    pub(super) fn push_garbage(&mut self) {
        self.queue.push_back(self.transport.garbage());
    }

    /// Queues a close frame.
    pub(super) fn push_close(&mut self, code: Option<u16>) {
        let frame = code.map(|code| CloseFrame {
            code,
            reason: reason(code).into(),
        });
        self.queue.push_back(Message::Close(frame));
    }

    /// Writes everything. May be dropped at any await and called again: nothing is lost or written twice.
    pub(super) async fn pump(&mut self) -> Result<(), axum::Error> {
        while !self.queue.is_empty() {
            poll_fn(|cx| {
                let mut sink = Pin::new(&mut self.sink);
                ready!(sink.as_mut().poll_ready(cx))?;
                let Some(message) = self.queue.pop_front() else {
                    return Ok(()).into();
                };
                self.unflushed = true;
                sink.start_send(message).into()
            })
            .await?;
        }
        self.sink.flush().await?;
        self.unflushed = false;
        Ok(())
    }

    /// Whether anything waits to be written.
    pub(super) fn busy(&self) -> bool {
        self.unflushed || !self.queue.is_empty()
    }
}
