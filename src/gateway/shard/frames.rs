//! What a poll brings: payloads, closes, failures.

use twilight_gateway::{Message as Frame, error::ReceiveMessageError};

use super::{End, Mode, Run, intake::Take};
use crate::{
    clock::{self, Instant},
    gateway::{
        metrics as table, peek,
        socket::{Polled, Socket},
    },
    wire::event::GapReason,
};

impl Run {
    /// Takes what a poll brought. Some: the shard ends.
    pub(super) fn polled(&mut self, polled: Polled) -> Option<End> {
        let now = clock::now();
        self.polled = true;
        let mut end = None;
        match polled {
            Polled::Item(Ok(Frame::Text(text))) => self.text(text, now),
            Polled::Item(Ok(Frame::Close(_))) if self.mode == Mode::Parking => {
                self.drop_socket(Mode::Parked, now);
            }
            Polled::Item(Ok(Frame::Close(frame))) => {
                let code = frame.as_ref().map(|frame| frame.code);
                end = self.closed(code);
            }
            Polled::Item(Err(error)) => self.failed(error, now),
            Polled::State => {}
            Polled::Unleased => return Some(End::LeaseLost),
            Polled::End => end = Some(End::Fatal(0)),
        }
        if let Some(socket) = &self.socket {
            self.pace.observe(socket.state(), now, &mut self.rng);
        }
        end
    }

    fn text(&mut self, text: String, now: Instant) {
        self.pace.heard(now);
        // What comes while it parks is replayed later: taking it would fill a full buffer.
        if self.mode == Mode::Parking {
            return;
        }
        let Some(head) = peek::peek(&text) else {
            let shard = self.shard.id;
            tracing::warn!(%shard, bytes = text.len(), "shard {shard} received what is no payload");
            return;
        };
        match head.op {
            peek::DISPATCH => {
                if head.t.as_deref() == Some("RATE_LIMITED") {
                    self.shard.commands.rate_limited(&text, now);
                }
                let known = self.intake.known(&head);
                match self.intake.dispatch(known, text, now) {
                    Take::Began => self.pace.new_session(),
                    Take::Dropped => self.keep.dropped(),
                    Take::Queued => self.keep.queued(),
                }
            }
            peek::INVALID_SESSION if peek::resumable(&text) => self.pace.invalid(&mut self.rng),
            peek::INVALID_SESSION => {
                self.intake.lose(GapReason::SessionInvalidated);
                self.pace.new_session();
                self.pace.invalid(&mut self.rng);
            }
            peek::HEARTBEAT_ACK => {
                self.keep.acknowledged();
                let rtt = self.socket.as_ref().and_then(Socket::heartbeat_rtt);
                if let Some(rtt) = rtt {
                    metrics::histogram!(table::HEARTBEAT.name).record(rtt.as_secs_f64());
                }
            }
            _ => {}
        }
    }

    fn failed(&mut self, error: ReceiveMessageError, now: Instant) {
        use twilight_gateway::error::ReceiveMessageErrorType::Deserializing;
        let shard = self.shard.id;
        // Its words may hold a payload, which no log shows.
        let (kind, _) = error.into_parts();
        if let Deserializing { event } = kind {
            tracing::warn!(%shard, "twilight did not understand an event of shard {shard}; it is forwarded");
            self.text(event, now);
        } else {
            tracing::warn!(%shard, ?kind, "the connection of shard {shard} failed");
            table::disconnected(None);
        }
    }

    fn closed(&mut self, code: Option<u16>) -> Option<End> {
        let shard = self.shard.id;
        if self.mode == Mode::Stopping {
            return Some(End::Stopped);
        }
        table::disconnected(code);
        if let Some(code @ (4004 | 4010..=4014)) = code {
            return Some(End::Fatal(code));
        }
        tracing::info!(%shard, code, "the connection of shard {shard} ended");
        None
    }
}
