//! What was posted, bounded: the oldest messages are forgotten first.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::super::world::{DISCORD_EPOCH_MS, DM_CHANNEL};

/// Messages kept.
const MOST_MESSAGES: usize = 5000;
/// Commands kept of one place; Discord allows 100 of each kind.
const MOST_COMMANDS: usize = 130;
/// Guilds whose commands are kept.
const MOST_PLACES: usize = 1000;
/// Direct-message channels kept.
const MOST_DMS: usize = 1000;

/// Everything that clients wrote over REST.
#[derive(Debug, Default)]
pub(in super::super) struct Desk {
    /// Messages as `GET` answers them, oldest first.
    pub(super) messages: VecDeque<Value>,
    /// Commands by guild; the empty guild: global ones.
    pub(super) commands: BTreeMap<String, Vec<Value>>,
    /// Users with a direct-message channel.
    pub(super) dms: VecDeque<u64>,
    last: u64,
}

impl Desk {
    /// An id that is newer than every other.
    pub(super) fn snowflake(&mut self, now_ms: u64) -> u64 {
        let fresh = now_ms.saturating_sub(DISCORD_EPOCH_MS) << 22;
        self.last = fresh.max(self.last + 1);
        self.last
    }

    pub(super) fn keep(&mut self, message: Value) {
        if self.messages.len() >= MOST_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(message);
    }

    pub(super) fn message(&mut self, channel: &str, id: &str) -> Option<&mut Value> {
        let found = |message: &&mut Value| message["id"] == id && message["channel_id"] == channel;
        self.messages.iter_mut().rev().find(found)
    }

    pub(super) fn commands(&mut self, place: &str) -> &mut Vec<Value> {
        if self.commands.len() >= MOST_PLACES && !self.commands.contains_key(place) {
            self.commands.pop_first();
        }
        self.commands.entry(place.to_owned()).or_default()
    }

    pub(super) fn keep_command(&mut self, place: &str, command: Value) {
        let kept = self.commands(place);
        kept.retain(|other| other["name"] != command["name"]);
        if kept.len() < MOST_COMMANDS {
            kept.push(command);
        }
    }

    pub(super) fn open_dm(&mut self, user: u64) {
        if !self.dms.contains(&user) {
            if self.dms.len() >= MOST_DMS {
                self.dms.pop_front();
            }
            self.dms.push_back(user);
        }
    }

    /// The user behind a direct-message channel: one that was opened, or one that writes by itself.
    pub(super) fn dm_user(&self, channel: u64) -> Option<u64> {
        let user = channel.checked_sub(DM_CHANNEL)?;
        let writes = (600_000_000_000_000_000..600_000_000_000_000_500).contains(&user);
        (writes || self.dms.contains(&user)).then_some(user)
    }
}
