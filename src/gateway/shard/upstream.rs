//! Commands of workers on their way to Discord, between two polls.

use super::{End, Mode, Run};
use crate::{
    clock::{self, Instant},
    gateway::{command::Asked, lifecycle::State, socket::Sent},
};

/// Commands sent before the shard looks around.
const BURST: usize = 16;
/// Frames of a connection that are kept for heartbeats, RESUME and IDENTIFY.
const KEPT: usize = 15;

impl Run {
    /// Sends what waits. Some: the shard ends.
    pub(super) async fn upstream(&mut self, now: Instant) -> Option<End> {
        if self.shard.commands.is_empty() {
            return None;
        }
        for _ in 0..BURST {
            if !self.active() {
                self.shard.commands.no_session();
                return None;
            }
            if !self.may_send(now) {
                return None;
            }
            let asked = self.shard.commands.next(clock::now())?;
            self.command(asked).await;
        }
        None
    }

    /// True while Discord takes one more frame of the connection.
    pub(super) fn may_send(&self, now: Instant) -> bool {
        let left = self.socket.as_ref().map(|socket| socket.frames_left(now));
        left.is_none_or(|left| left > KEPT)
    }

    fn active(&self) -> bool {
        self.mode == Mode::Running && self.lifecycle.state() == State::Live
    }

    async fn command(&mut self, asked: Asked) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        match socket.send(asked.command.json.clone()).await {
            Sent::Left | Sent::Queued => self.shard.commands.sent(asked, clock::now()),
            Sent::No => {
                let detail = "the connection broke meanwhile: it may or may not have gone out";
                self.shard.commands.broke(&asked, detail);
            }
        }
    }
}
