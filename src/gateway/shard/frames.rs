//! What a poll brings: payloads, closes, failures.

use bytes::Bytes;

use super::{End, Mode, Run, intake::Take};
use crate::{
    clock::{self, Instant},
    gateway::{
        control,
        lifecycle::{Event, State},
        metrics as table, peek,
        socket::Polled,
    },
};

/// The gateway's opcodes that a shard acts on.
///
/// <https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway-gateway-opcodes>
const HEARTBEAT: u8 = 1;
const RECONNECT: u8 = 7;
const HELLO: u8 = 10;

impl Run {
    /// Takes what a poll brought. Some: the shard ends.
    pub(super) async fn polled(&mut self, polled: Polled) -> Option<End> {
        let now = clock::now();
        self.polled = true;
        match polled {
            Polled::Payload(payload) => self.payload(payload, now).await,
            Polled::TooLarge(head, size) => self.too_large(&head, size, now).await,
            Polled::Step(state) => self.on(Event::Step(state), now).await,
            Polled::Closed(code) => return self.closed(code, now),
            Polled::Failed(error) => {
                let shard = self.shard.id;
                if let Some(more) = self.shard.discord.lines.one_more(now) {
                    let state = self.lifecycle.state().name();
                    tracing::warn!(%shard, state, more, "the connection of shard {shard} failed: {error:#}");
                }
                return self.closed(None, now);
            }
            Polled::Unleased => return Some(End::LeaseLost),
            // The next look around sees to it.
            Polled::Full => {}
        }
        None
    }

    async fn on(&mut self, event: Event, now: Instant) {
        let action = self.lifecycle.on(event, now, &mut self.rng);
        self.carry_out(action, now).await;
    }

    async fn payload(&mut self, payload: Bytes, now: Instant) {
        // What comes while it parks or leaves is replayed later: taking it would fill a full buffer.
        let leaves = self.lifecycle.state() == State::Closing && self.mode != Mode::Stopping;
        if leaves || self.mode == Mode::Parking {
            return;
        }
        let Some(head) = peek::peek(&payload) else {
            let shard = self.shard.id;
            if let Some(more) = self.shard.discord.lines.one_more(now) {
                let bytes = payload.len();
                tracing::warn!(
                    %shard, more, bytes,
                    "shard {shard} received {bytes} bytes that are no payload of the gateway; they are passed over"
                );
            }
            return;
        };
        match head.op {
            peek::DISPATCH => {
                if head.t.as_deref() == Some("RATE_LIMITED") {
                    self.shard.commands.rate_limited(&peek::text(&payload), now);
                }
                let resumed = head.t.as_deref() == Some("RESUMED");
                let known = self.intake.known(&head);
                let take = self.intake.dispatch(known, payload, now);
                match take {
                    Take::Dropped => self.keep.dropped(),
                    Take::Began | Take::Queued => self.keep.queued(),
                }
                if self.lifecycle.state() != State::Live {
                    let event = match take {
                        Take::Began => Event::Ready,
                        _ if resumed => Event::Resumed,
                        _ => Event::Dispatch,
                    };
                    self.on(event, now).await;
                }
            }
            peek::INVALID_SESSION => {
                let resumable = peek::resumable(&payload);
                self.on(Event::Invalid { resumable }, now).await;
            }
            peek::HEARTBEAT_ACK => {
                self.keep.acknowledged();
                if let Some(rtt) = self.lifecycle.acknowledged(now) {
                    metrics::histogram!(table::HEARTBEAT.name).record(rtt.as_secs_f64());
                }
            }
            HEARTBEAT => self.on(Event::HeartbeatAsked, now).await,
            RECONNECT => self.on(Event::Reconnect, now).await,
            HELLO => {
                let interval = control::heartbeat_interval(&payload);
                self.on(Event::Hello(interval), now).await;
            }
            _ => {}
        }
    }

    /// It was read to its end and not kept.
    async fn too_large(&mut self, head: &[u8], size: usize, now: Instant) {
        let shard = self.shard.id;
        let head = peek::peek_beginning(head).filter(|head| head.op == peek::DISPATCH);
        let seq = head.and_then(|head| head.s);
        let lost = match seq {
            Some(_) => "the event is lost, and a gap says so",
            None => "it is no event, and is passed over",
        };
        tracing::error!(
            %shard,
            size,
            "a message of shard {shard} inflates to {size} bytes, more than shardfleet keeps: {lost}"
        );
        if let Some(seq) = seq {
            self.intake.too_large(seq);
            self.on(Event::Dispatch, now).await;
        }
    }

    fn closed(&mut self, code: Option<u16>, now: Instant) -> Option<End> {
        let shard = self.shard.id;
        if self.mode == Mode::Stopping {
            return Some(End::Stopped);
        }
        if let Some(code @ (4004 | 4010..=4014)) = code {
            return Some(End::Fatal(code));
        }
        let state = self.lifecycle.state();
        // Who closed, and why, was said already.
        if state != State::Closing
            && let Some(more) = self.shard.discord.lines.one_more(now)
        {
            let state = state.name();
            tracing::info!(%shard, code, state, more, "the connection of shard {shard} ended");
        }
        self.over(code, now);
        None
    }
}
