//! Commands of workers on their way to Discord, between two polls.

use twilight_gateway::ShardState as TwilightState;

use super::{End, Mode, Run};
use crate::{
    clock::{self, Instant},
    gateway::{command::Asked, socket::Socket},
};

/// Commands sent before the shard looks around.
const BURST: usize = 16;

impl Run {
    /// Sends what waits, one poll each. Some: the shard ends.
    pub(super) async fn upstream(&mut self, now: Instant) -> Option<End> {
        if self.shard.commands.is_empty() {
            return None;
        }
        for _ in 0..BURST {
            if !self.active() {
                self.shard.commands.no_session();
                return None;
            }
            // While it may not be polled, nothing would go out. A shard that reads slowly may: one event a
            // command comes in.
            if now < self.pace.open_from() {
                return None;
            }
            let asked = self.shard.commands.next(clock::now())?;
            if let Some(end) = self.send(asked).await {
                return Some(end);
            }
        }
        None
    }

    fn active(&self) -> bool {
        let state = self.socket.as_ref().map(Socket::state);
        self.mode == Mode::Running && state == Some(TwilightState::Active)
    }

    async fn send(&mut self, asked: Asked) -> Option<End> {
        let socket = self.socket.as_mut()?;
        let before = socket.commands_left();
        socket.send(asked.command.json.clone());
        let polled = socket.poll_to_send(&self.shard.held).await;
        self.shard.asking.after_poll();
        let socket = self.socket.as_ref()?;
        // twilight takes a permit just before it writes: so it says that it has written.
        let written = matches!((before, socket.commands_left()), (Some(b), Some(a)) if a < b);
        // What came with it may be Discord's answer already: it is to find who asked.
        if written {
            self.shard.commands.sent(asked, clock::now());
        } else {
            let detail = "the connection broke meanwhile: it may or may not have gone out";
            self.shard.commands.broke(&asked, detail);
        }
        let end = polled.and_then(|polled| self.polled(polled));
        // twilight would keep it for its next connection, and there it would be sent twice.
        if !written && end.is_none() && self.mode == Mode::Running {
            self.drop_socket(Mode::Running, clock::now());
        }
        end
    }
}
