//! The connection of a shard: opened, left, dropped; held back while the buffer is full.

use std::time::Duration;

use super::{End, Mode, Run};
use crate::{
    clock::{self, Instant},
    gateway::{
        buffer::Reading,
        control,
        lifecycle::{Action, Event, Reason, SessionFate, State, Target},
        metrics as table,
        socket::{self, Sent, Socket},
        url::Endpoint,
    },
    wire::{event::GapReason, status::ShardState},
};

/// A shard that reads slowly is polled at least this often.
const SLOW_POLL: Duration = Duration::from_secs(2);

impl Run {
    /// What time has made due.
    pub(super) async fn limits(&mut self, now: Instant) -> Option<End> {
        let action = self.lifecycle.tick(now, self.poll_from > now);
        match (action, self.mode) {
            (Action::Drop(_), Mode::Stopping) => Some(End::Stopped),
            (Action::Drop(_), Mode::Parking) => {
                self.over(None, now);
                None
            }
            _ => {
                self.carry_out(action, now).await;
                None
            }
        }
    }

    /// Does what the lifecycle says.
    pub(super) async fn carry_out(&mut self, action: Action, now: Instant) {
        match action {
            Action::Nothing => {}
            Action::AskPermit => self.shard.asking.begin(),
            Action::Resume => {
                if let Some(session) = self.intake.session() {
                    let resume = control::resume(&self.shard.discord.identity, &session);
                    self.send(resume).await;
                }
            }
            Action::Beat => {
                let seq = self.intake.seq();
                self.send(crate::gateway::control::heartbeat(seq)).await;
            }
            Action::Close(reason) => {
                self.leave(reason, now);
                if let Some(socket) = &mut self.socket {
                    let ends = reason.session == SessionFate::GivenUp;
                    let code = if ends {
                        socket::GIVES_UP
                    } else {
                        socket::KEEPS
                    };
                    socket.close(code).await;
                }
            }
            Action::Drop(reason) => {
                self.leave(reason, now);
                if let Some(socket) = &mut self.socket {
                    socket.close(socket::KEEPS).await;
                }
                self.over(None, now);
            }
            Action::Lose => self.lose(GapReason::ResumeFailed),
        }
    }

    /// The connection is being left: what that means for the session.
    fn leave(&mut self, Reason { text, session }: Reason, now: Instant) {
        let shard = self.shard.id;
        if let Some(more) = self.shard.discord.lines.one_more(now) {
            let state = self.lifecycle.state().name();
            tracing::warn!(%shard, state, more, "shard {shard} leaves its connection: {text}");
        }
        match session {
            SessionFate::Lives => {}
            SessionFate::Invalidated | SessionFate::GivenUp => {
                self.lose(GapReason::SessionInvalidated);
            }
            SessionFate::Refused => self.shard.asking.rejected(),
        }
    }

    pub(super) fn lose(&mut self, reason: GapReason) {
        self.intake.lose(reason);
        self.lifecycle.session_lost();
    }

    /// A payload of ours. One that cannot leave ends the connection with the next poll.
    async fn send(&mut self, json: String) {
        if let Some(socket) = &mut self.socket {
            socket.send(json).await;
        }
    }

    /// A permit came: check its age and send, with no await that waits between; then confirm.
    pub(super) async fn identify(&mut self) {
        let Some(socket) = self.socket.as_mut() else {
            return;
        };
        let layout = self.shard.topology.borrow().layout;
        let id = twilight_model::gateway::ShardId::new_checked(self.shard.id.0, layout.shards);
        let (Some(id), State::Permit) = (id, self.lifecycle.state()) else {
            return;
        };
        let identify = self.shard.discord.identity.identify(id);
        if !crate::gateway::socket::valid(&self.shard.held) {
            return;
        }
        let Some(confirm) = self.shard.asking.fire() else {
            return;
        };
        let sent = socket.send(identify).await;
        self.shard.asking.confirm(&confirm);
        let now = clock::now();
        self.lifecycle.on(Event::Identified, now, &mut self.rng);
        // What still waits for the kernel would leave when the permit is old.
        if sent != Sent::Left {
            self.over(None, now);
        }
    }

    /// A full buffer, or a backlog: read slowly while NATS answers. Park where it does not, and there is no
    /// room.
    pub(super) async fn make_room(&mut self, now: Instant) {
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
                tracing::warn!(%shard, "the buffer is full and NATS acknowledges nothing: shard {shard} parks");
                self.close(Mode::Parking, now).await;
            }
            (Mode::Parked, _) if self.intake.budget().has_room() => self.mode = Mode::Running,
            _ => {}
        }
    }

    /// An operator has it connect anew: by RESUME, or with a new session.
    pub(super) async fn reconnect(&mut self, new_session: bool, now: Instant) {
        if self.mode != Mode::Running {
            return;
        }
        if new_session && self.lifecycle.state() == State::Waiting {
            // There is no connection that would end with the session.
            self.lose(GapReason::SessionInvalidated);
        }
        let event = Event::Asked { new_session };
        let action = self.lifecycle.on(event, now, &mut self.rng);
        self.carry_out(action, now).await;
    }

    /// Closes resumably: for good, or until there is room.
    pub(super) async fn close(&mut self, mode: Mode, now: Instant) {
        self.mode = mode;
        // Discord's close frame comes with a poll.
        self.poll_from = now;
        match &mut self.socket {
            Some(socket) if socket.is_open() => {
                socket.close(socket::KEEPS).await;
                self.lifecycle.on(Event::Close, now, &mut self.rng);
            }
            _ => self.over(None, now),
        }
    }

    /// The connection is over.
    pub(super) fn over(&mut self, code: Option<u16>, now: Instant) {
        self.socket = None;
        self.shard.asking.withdraw();
        if self.mode == Mode::Parking {
            self.mode = Mode::Parked;
        }
        let action = self.lifecycle.on(Event::Ended(code), now, &mut self.rng);
        if action == Action::Lose {
            self.lose(GapReason::ResumeFailed);
        }
        if self.lifecycle.was_unreachable() {
            self.shard.discord.address.failed();
        }
        table::disconnected(code);
    }

    /// Opens the connection, with the session at the last sequence accepted.
    pub(super) fn connect(&mut self, now: Instant) {
        if self.mode != Mode::Running || self.socket.is_some() {
            return;
        }
        if self.lifecycle.is_exhausted() {
            let shard = self.shard.id;
            tracing::warn!(%shard, "shard {shard} gives up its session: Discord never resumes it");
            self.lose(GapReason::ResumeFailed);
        }
        let session = self.intake.session();
        let own = session
            .as_ref()
            .map(|session| Endpoint::parse(&session.resume_url));
        let main = self.shard.discord.address.endpoint();
        let usable = own.as_ref().map(Option::is_some);
        let Some(target) = self.lifecycle.target(now, usable, main.is_some()) else {
            return;
        };
        if !self.lifecycle.is_admitted() {
            let from = self.shard.discord.reserve(now);
            if !self.lifecycle.admitted(from, now) {
                return;
            }
        }
        let endpoint = if target == Target::ResumeUrl {
            own.flatten()
        } else {
            main
        };
        let Some(endpoint) = endpoint else {
            return;
        };
        self.lifecycle.opening(target, now);
        self.socket = Some(Socket::new(endpoint, self.shard.discord.tls.clone()));
    }

    /// Shows where the shard stands.
    pub(super) fn show(&mut self) {
        let state = match (self.mode, self.lifecycle.state()) {
            (Mode::Parking | Mode::Parked, _) => ShardState::Parked,
            (_, State::Live) => ShardState::Ready,
            (_, State::Permit | State::Identifying) => ShardState::Identifying,
            (_, State::Resuming) => ShardState::Resuming,
            (_, State::Waiting | State::Closing) => ShardState::Waiting,
            _ => ShardState::Connecting,
        };
        self.intake.show(state);
    }
}
