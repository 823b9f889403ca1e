//! The connection of a shard: built, closed, dropped; held back while the buffer is full.

use std::{sync::Arc, time::Duration};

use twilight_gateway::ShardState as TwilightState;

use super::{End, Mode, Run};
use crate::{
    clock::{self, Instant},
    gateway::{
        buffer::Reading,
        pace::Overdue,
        socket::{Socket, is_url},
    },
    wire::{event::GapReason, status::ShardState},
};

/// A shard that reads slowly is polled at least this often: heartbeats go out only while it is.
const SLOW_POLL: Duration = Duration::from_secs(2);

impl Run {
    /// Steps that take too long.
    pub(super) fn limits(&mut self, now: Instant) -> Option<End> {
        let shard = self.shard.id;
        self.socket.as_ref()?;
        match self.pace.overdue(now)? {
            Overdue::Rebuild(_) if self.mode == Mode::Stopping => return Some(End::Stopped),
            Overdue::Rebuild(_) if self.mode == Mode::Parking => {
                self.drop_socket(Mode::Parked, now);
            }
            Overdue::Rebuild(why) => {
                tracing::warn!(%shard, "shard {shard} connects anew: {why}");
                self.drop_socket(Mode::Running, now);
            }
            Overdue::GiveUpSession => {
                tracing::warn!(%shard, "shard {shard} gives up its session: it never resumes");
                self.intake.lose(GapReason::ResumeFailed);
                self.pace.new_session();
                self.drop_socket(Mode::Running, now);
            }
        }
        None
    }

    /// A full buffer, or a backlog: read slowly while NATS answers. Park where it does not, and there is no
    /// room.
    pub(super) fn make_room(&mut self, now: Instant) {
        let backlog = self.intake.has_backlog(self.poll_from > now);
        let reading = self.intake.budget().reading(backlog, clock::unix_ms());
        match (self.mode, reading) {
            (Mode::Running, Reading::Freely) => self.poll_from = now,
            (Mode::Running, Reading::Slowly) => {
                // It was polled: the next time is when there is room, or soon enough for heartbeats.
                if std::mem::take(&mut self.polled) {
                    self.poll_from = now + SLOW_POLL;
                }
                self.intake.awaits_room();
            }
            (Mode::Running, Reading::Park) => {
                let shard = self.shard.id;
                tracing::warn!(%shard, "the buffer is full and NATS is away: shard {shard} parks");
                self.close(Mode::Parking, now);
            }
            (Mode::Parked, _) if self.intake.budget().has_room() => self.mode = Mode::Running,
            _ => {}
        }
    }

    pub(super) fn close(&mut self, mode: Mode, now: Instant) {
        self.mode = mode;
        // The close goes out with a poll.
        self.poll_from = now;
        match &self.socket {
            Some(socket) if !socket.is_disconnected() => {
                socket.close();
                self.pace.closing(now);
            }
            _ if mode == Mode::Parking => self.drop_socket(Mode::Parked, now),
            _ => {}
        }
    }

    pub(super) fn drop_socket(&mut self, mode: Mode, now: Instant) {
        self.socket = None;
        self.mode = mode;
        self.shard.asking.withdraw();
        self.pace.rebuilt(now, &mut self.rng);
    }

    /// Builds the connection, with the session at the last sequence accepted.
    pub(super) fn connect(&mut self, now: Instant) {
        if self.socket.is_some() || self.mode != Mode::Running || now < self.pace.open_from() {
            return;
        }
        let session = self.intake.session();
        let known = self.shard.gateway_url.borrow_and_update().clone();
        // RESUME needs nobody: not even the generic URL.
        let fallback = session
            .as_ref()
            .map(|session| Arc::from(session.resume_url.as_str()));
        let Some(url) = known.or(fallback).filter(|url| is_url(url)) else {
            return;
        };
        let shards = self.shard.topology.borrow().layout.shards;
        let Some(id) = twilight_gateway::ShardId::new_checked(self.shard.id.0, shards) else {
            return;
        };
        let slot = self.shard.asking.slot();
        self.socket = Some(Socket::new(
            &self.shard.config,
            id,
            slot,
            &url,
            session.as_ref(),
        ));
    }

    /// Shows where the shard stands.
    pub(super) fn show(&mut self) {
        let state = match (self.mode, self.socket.as_ref().map(Socket::state)) {
            (Mode::Parking | Mode::Parked, _) => ShardState::Parked,
            (_, Some(TwilightState::Active)) => ShardState::Ready,
            (_, Some(TwilightState::Identifying)) => ShardState::Identifying,
            (_, Some(TwilightState::Resuming)) => ShardState::Resuming,
            (_, Some(_)) if clock::now() >= self.pace.open_from() => ShardState::Connecting,
            _ => ShardState::Waiting,
        };
        self.intake.show(state);
    }
}
