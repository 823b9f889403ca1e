//! How a process is, said every second on `fleet.<name>.status.<process>`.

use serde::{Deserialize, Serialize};

/// A process's word on itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version.
    pub v: u32,
    /// Its name, unique in the fleet.
    pub process: String,
    /// The release it runs.
    pub version: String,
    /// Its operating system's process id.
    pub pid: u32,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// When it said this, likewise.
    pub at_ms: u64,
    /// True while it hands over what it holds.
    pub draining: bool,
    /// Streams and buckets that it does not find in NATS.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub missing: Vec<String>,
    /// Streams and buckets that are not as its configuration wants them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub differing: Vec<String>,
    /// True where Discord's REST refuses its token (401), by its last answer.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub token_refused: bool,
    /// Where it serves its page, if it does; for people on the same machine.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page: Option<String>,
    /// Its gateway role, if it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gateway: Option<GatewayStatus>,
    /// Its coordinator role, if it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub coordinator: Option<CoordinatorStatus>,
}

/// The gateway role at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GatewayStatus {
    /// Groups it may hold.
    pub capacity: u32,
    /// Groups it holds.
    pub groups: Vec<GroupStatus>,
    /// Shards it runs.
    pub shards: Vec<ShardStatus>,
    /// Bytes that wait for an ack.
    pub buffer_bytes: u64,
    /// True if it takes only the group that its host name says.
    #[serde(default)]
    pub ordinal: bool,
    /// The number that its host name says, where the fleet has no such group: it holds nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub beyond: Option<u32>,
}

#[cfg(test)]
impl GatewayStatus {
    /// One that holds so many groups.
    pub(crate) fn holding(count: u32) -> Self {
        let group = |group| GroupStatus {
            generation: 1,
            group,
            epoch: 1,
        };
        Self {
            groups: (0..count).map(group).collect(),
            ..Self::default()
        }
    }
}

/// A group held.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// The cut it belongs to.
    pub generation: u64,
    /// Its number.
    pub group: u32,
    /// The lease's epoch.
    pub epoch: u64,
}

/// A shard run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardStatus {
    /// Its number.
    pub shard: u32,
    /// Where it stands.
    pub state: ShardState,
    /// Events acknowledged by the stream since the process runs it.
    pub events: u64,
    /// Gaps announced since the process runs it.
    pub gaps: u32,
    /// Milliseconds since the last event.
    pub quiet_ms: u64,
}

/// Where a shard stands on its way to events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardState {
    /// Reads its resume point, or waits before it reconnects.
    #[default]
    Waiting,
    /// Opens its socket.
    Connecting,
    /// Waits for leave to IDENTIFY, or for READY.
    Identifying,
    /// Sent RESUME; replays.
    Resuming,
    /// Receives events.
    Ready,
    /// Closed resumably until NATS is back.
    Parked,
}

impl ShardState {
    /// Every state, in the order of a shard's life.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Connecting,
        Self::Identifying,
        Self::Resuming,
        Self::Ready,
        Self::Parked,
    ];

    /// The word on the wire and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Connecting => "connecting",
            Self::Identifying => "identifying",
            Self::Resuming => "resuming",
            Self::Ready => "ready",
            Self::Parked => "parked",
        }
    }
}

/// The coordinator role at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CoordinatorStatus {
    /// True if it leads.
    pub leader: bool,
    /// The epoch it leads under.
    pub epoch: u64,
    /// Shards of the fleet; 0 before they are known.
    pub shards: u32,
    /// Discord's `max_concurrency`; 0 before it is known.
    pub max_concurrency: u32,
    /// Identifies a day.
    pub limit: u32,
    /// Identifies left of the day.
    pub remaining: u32,
    /// Of these, only for an operator.
    pub reserve: u32,
    /// When Discord opens the next day, in milliseconds since the Unix epoch.
    pub reset_at_ms: u64,
    /// Shards that wait for leave to IDENTIFY.
    pub queue: u32,
    /// Milliseconds until the next grant, if one waits.
    pub next_grant_ms: Option<u64>,
    /// Grants since it leads.
    pub granted: u64,
    /// True while shards wait and no more than the reserve is left of the day.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub at_reserve: bool,
    /// What slows down those that wait, on top of Discord's limits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub slowdown: Option<SlowdownStatus>,
    /// Shards that Discord recommends, where that differs from what the fleet runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recommended_shards: Option<u32>,
}

/// Shards that wait are slowed down, since they identified again and again within the hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SlowdownStatus {
    /// Identifies of the fleet within the hour.
    pub identifies: u32,
    /// Milliseconds from one grant to the next; 0: the fleet is not slowed down, but some shards are.
    pub pause_ms: u64,
    /// Milliseconds until nothing is slowed down, if nobody identifies meanwhile.
    pub ends_ms: u64,
    /// Milliseconds until all that wait are granted.
    pub all_ms: u64,
    /// Some of those that wait for themselves alone.
    pub shards: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one says and the other does not know is as though it was not said.
    #[test]
    fn releases_with_and_without_the_newer_fields_read_each_other() {
        let old = r#"{"v":1,"process":"p","version":"0","pid":1,"started_ms":1,"at_ms":1,"draining":false,"coordinator":{"leader":true,"epoch":7,"shards":4,"max_concurrency":1,"limit":9,"remaining":5,"reserve":5,"reset_at_ms":1,"queue":2,"next_grant_ms":null,"granted":0}}"#;
        let mut status: Status = crate::wire::decode(old.as_bytes()).unwrap();
        assert_eq!(crate::wire::encode(&status), old);
        status.token_refused = true;
        let coordinator = status.coordinator.as_mut().unwrap();
        coordinator.at_reserve = true;
        coordinator.slowdown = Some(SlowdownStatus::default());
        let new = crate::wire::encode(&status);
        assert_eq!(crate::wire::decode::<Status>(&new).unwrap(), status);
        // Nothing that an older release reads has moved.
        let shown = String::from_utf8_lossy(&new);
        assert!(
            shown.contains(r#""next_grant_ms":null,"granted":0"#),
            "{shown}"
        );
    }
}
