//! Every subject, stream, bucket and key of one fleet. No other file holds one: others build on
//! these names, so that they are a public contract.

use std::fmt;

use crate::fleet::{GroupId, ShardId};

/// The key of the coordinator's leadership, in the lease bucket.
pub const COORDINATOR_LEASE: &str = "coordinator";
/// How the fleet is cut and what it forwards, in the state bucket.
pub const TOPOLOGY: &str = "topology";
/// The coordinator's ledger of granted identifies, in the state bucket.
pub const LEDGER: &str = "identify";
/// Why the whole fleet stands still, in the state bucket.
pub const HALT: &str = "halt";
/// The queue group of the gateways that pass commands on.
pub const GATEWAYS: &str = "gateways";
/// The event name of an announced loss.
pub const GAP_EVENT: &str = "FLEET_GAP";
/// The last token of the word that a fast-ingest batch is over. No stream stores it.
pub const END_EVENT: &str = "FLEET_END";

/// The event name of what Discord sent under a name that no subject can hold, or under one of the fleet's.
pub const UNNAMED_EVENT: &str = "FLEET_UNNAMED";
/// What the fleet's own event names begin with.
const OWN: &str = "FLEET_";
/// Discord's longest has 38 letters; a subject of thousands is cut off by the server, connection and all.
const LONGEST_EVENT: usize = 64;

/// True for a name of Discord's that stands in a subject as it is.
pub fn is_event(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=LONGEST_EVENT).contains(&name.len()) && name.bytes().all(word) && !name.starts_with(OWN)
}

/// The names of one fleet. Two fleets live on one server without meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    fleet: String,
}

impl Names {
    /// The names of the fleet called `fleet`; configuration has checked its letters.
    pub fn new(fleet: impl Into<String>) -> Self {
        Self {
            fleet: fleet.into(),
        }
    }

    /// The fleet's own name.
    pub fn fleet(&self) -> &str {
        &self.fleet
    }

    /// Where one event of a shard goes: `discord.<shard>.<EVENT>`.
    pub fn event(&self, shard: ShardId, event: impl fmt::Display) -> String {
        format!("{}.{shard}.{event}", self.fleet)
    }

    /// All that is stored of a shard; the fence of its publishes.
    pub fn shard(&self, shard: ShardId) -> String {
        format!("{}.{shard}.*", self.fleet)
    }

    /// Every event of the fleet.
    pub fn events(&self) -> String {
        format!("{}.>", self.fleet)
    }

    /// The stream of a partition: `DISCORD`, or `DISCORD_<p>` where there are several.
    pub fn stream(&self, partition: u32, partitions: u32) -> String {
        let name = self.fleet.to_uppercase();
        if partitions > 1 {
            format!("{name}_{partition}")
        } else {
            name
        }
    }

    /// Which partition's stream a group belongs to.
    pub fn partition_of(group: GroupId, partitions: u32) -> u32 {
        group.0 % partitions.max(1)
    }

    /// Where shards ask for leave to IDENTIFY.
    pub fn identify(&self) -> String {
        format!("fleet.{}.identify", self.fleet)
    }

    /// Where a shard takes commands: `fleet.discord.command.<shard>`.
    pub fn command(&self, shard: ShardId) -> String {
        format!("fleet.{}.command.{shard}", self.fleet)
    }

    /// Where the fleet takes commands for whichever shard has their guild, and presences for all.
    pub fn commands(&self) -> String {
        format!("fleet.{}.command", self.fleet)
    }

    /// Where the coordinators tell that one of them leads anew.
    pub fn leader(&self) -> String {
        format!("fleet.{}.leader", self.fleet)
    }

    /// Where a process says how it is.
    pub fn status(&self, process: &str) -> String {
        format!("fleet.{}.status.{process}", self.fleet)
    }

    /// Where every process says how it is.
    pub fn statuses(&self) -> String {
        format!("fleet.{}.status.*", self.fleet)
    }

    /// Where one process is told to hand over what it holds.
    pub fn drain(&self, process: &str) -> String {
        format!("fleet.{}.drain.{process}", self.fleet)
    }

    /// Where one process is told to connect shards anew.
    pub fn reconnect(&self, process: &str) -> String {
        format!("fleet.{}.reconnect.{process}", self.fleet)
    }

    /// The bucket of leases.
    pub fn lease_bucket(&self) -> String {
        format!("{}_lease", self.fleet)
    }

    /// The bucket of state.
    pub fn state_bucket(&self) -> String {
        format!("{}_state", self.fleet)
    }
}

/// The lease of a group, in the lease bucket.
pub fn group_lease(generation: u64, group: GroupId) -> String {
    format!("group.{generation}.{group}")
}

/// Where the fast-ingest batch of a group is named, in the state bucket.
pub fn ingest(generation: u64, group: GroupId) -> String {
    format!("ingest.{generation}.{group}")
}

/// Where a shard's session is kept, in the state bucket.
pub fn session(generation: u64, shard: ShardId) -> String {
    format!("session.{generation}.{shard}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_subject_can_hold_is_no_event() {
        let longest = "X".repeat(64);
        for name in [
            "MESSAGE_CREATE",
            "A",
            "a1_",
            "_",
            "FLEET",
            "fleet_gap",
            &longest,
        ] {
            assert!(is_event(name), "{name}");
        }
        let longer = "X".repeat(65);
        let own = [GAP_EVENT, END_EVENT, UNNAMED_EVENT, "FLEET_CHECK", "FLEET_"];
        let strange = [
            "", "A B", "A.B", "*", ">", "Ä", "a\nb", "a\0b", "..", "$JS.API", &longer,
        ];
        for name in own.into_iter().chain(strange) {
            assert!(!is_event(name), "{name:?}");
        }
    }

    #[test]
    fn names_are_the_contract() {
        let names = Names::new("discord");
        assert_eq!(
            names.event(ShardId(5), "MESSAGE_CREATE"),
            "discord.5.MESSAGE_CREATE"
        );
        assert_eq!(names.event(ShardId(5), GAP_EVENT), "discord.5.FLEET_GAP");
        assert_eq!(names.shard(ShardId(5)), "discord.5.*");
        assert_eq!(names.stream(0, 1), "DISCORD");
        assert_eq!(names.stream(3, 4), "DISCORD_3");
        assert_eq!(names.identify(), "fleet.discord.identify");
        assert_eq!(names.command(ShardId(5)), "fleet.discord.command.5");
        assert_eq!(names.commands(), "fleet.discord.command");
        assert_eq!(names.status("a"), "fleet.discord.status.a");
        assert_eq!(names.drain("a"), "fleet.discord.drain.a");
        assert_eq!(names.reconnect("a"), "fleet.discord.reconnect.a");
        assert_eq!(names.lease_bucket(), "discord_lease");
        assert_eq!(names.state_bucket(), "discord_state");
        assert_eq!(group_lease(2, GroupId(7)), "group.2.7");
        assert_eq!(ingest(2, GroupId(7)), "ingest.2.7");
        assert_eq!(session(2, ShardId(7)), "session.2.7");
    }
}
