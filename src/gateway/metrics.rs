//! The gateway's metrics, and the handles that the event path counts with.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

use super::forward::Message;
use crate::{clock::Instant, metrics as table, telemetry::metrics::Metric, wire::event::GapReason};

table! {
    /// Events acknowledged by the stream.
    EVENTS: Counter "shardfleet_events_total" ["event"];
    /// Bytes of events acknowledged by the stream, before compression for NATS.
    EVENT_BYTES: Counter "shardfleet_event_bytes_total" [];
    /// Events not stored: denied, shed, seen before, or stray: of no session.
    DROPPED: Counter "shardfleet_events_dropped_total" ["reason"];
    /// Seconds from a frame read to its ack. Up to 2 s of it are the wait for the ack of a batch whose messages trickle; the message is stored before.
    PUBLISH: Histogram "shardfleet_publish_duration_seconds" [] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    /// Seconds from a frame read to its first way out to the stream: one figure for all that leave together, of the message that waited longest.
    QUEUED: Histogram "shardfleet_queue_duration_seconds" [] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    /// Seconds from there to the stream's ack, with all that had to be sent again and the wait for a batch's ack: one figure for all that left together.
    ACKED: Histogram "shardfleet_ack_duration_seconds" [] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    /// Publishes sent again, because the stream refused them (it is full, say) or did not answer, or because the batch that they flowed in broke: then one is counted for the batch.
    RETRIES: Counter "shardfleet_publish_retries_total" ["reason"];
    /// Bytes that wait for an ack.
    BUFFER: Gauge "shardfleet_buffer_bytes" [];
    /// The most bytes that may wait for an ack.
    BUFFER_LIMIT: Gauge "shardfleet_buffer_limit_bytes" [];
    /// Shards of this process by state.
    SHARDS: Gauge "shardfleet_shards" ["state"];
    /// Ready shards without an event for five minutes.
    SILENT: Gauge "shardfleet_shards_silent" [];
    /// Connections that ended, by close code.
    DISCONNECTS: Counter "shardfleet_disconnects_total" ["code"];
    /// Sessions begun or resumed.
    SESSIONS: Counter "shardfleet_sessions_started_total" ["kind"];
    /// Gaps announced.
    GAPS: Counter "shardfleet_gaps_total" ["reason"];
    /// Seconds between a heartbeat and its answer.
    HEARTBEAT: Histogram "shardfleet_heartbeat_rtt_seconds" [] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    /// Seconds that a shard waited for leave to IDENTIFY.
    IDENTIFY_WAIT: Histogram "shardfleet_identify_wait_seconds" [] = &[0.01, 0.1, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
    /// Groups that this process holds.
    GROUPS_HELD: Gauge "shardfleet_groups_held" [];
    /// Groups that this process may hold.
    GROUPS_CAPACITY: Gauge "shardfleet_groups_capacity" [];
    /// Leases lost before they were given back.
    LEASES_LOST: Counter "shardfleet_leases_lost_total" [];
    /// Gateway commands that workers asked for, by opcode and by what became of them.
    COMMANDS: Counter "shardfleet_commands_total" ["op", "result"];
}

/// Counts nothing yet, of each of the few values that a label may have: so that a rate sees the first.
pub fn begin() {
    let zero = |metric: Metric, label: &'static str, values: &[&'static str]| {
        for value in values {
            counter!(metric.name, label => *value).increment(0);
        }
    };
    zero(DROPPED, "reason", &["denied", "shed", "seen", "stray"]);
    zero(RETRIES, "reason", &["unanswered", "refused", "broken"]);
    zero(SESSIONS, "kind", &["ready", "resumed"]);
    zero(DISCONNECTS, "code", &["none"]);
    zero(EVENTS, "event", &["READY"]);
    for reason in GapReason::ALL {
        counter!(GAPS.name, "reason" => reason.as_str()).increment(0);
    }
    for result in ["accepted", "limited", "malformed", "no_session"] {
        counter!(COMMANDS.name, "op" => "other", "result" => result).increment(0);
    }
}

/// Why a publish was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing was heard of it in time.
    Unanswered,
    /// The stream refused it.
    Refused,
    /// The batch that it flowed in broke.
    Broken,
}

/// Handles of one shard, resolved once.
pub struct Meters {
    bytes: Counter,
    publish: Histogram,
    queued: Histogram,
    acked: Histogram,
    unanswered: Counter,
    refused: Counter,
    broken: Counter,
}

impl Default for Meters {
    /// Handles on this process's exporter.
    fn default() -> Self {
        Self {
            bytes: counter!(EVENT_BYTES.name),
            publish: histogram!(PUBLISH.name),
            queued: histogram!(QUEUED.name),
            acked: histogram!(ACKED.name),
            unanswered: counter!(RETRIES.name, "reason" => "unanswered"),
            refused: counter!(RETRIES.name, "reason" => "refused"),
            broken: counter!(RETRIES.name, "reason" => "broken"),
        }
    }
}

impl Meters {
    /// One message is in the stream.
    pub fn stored(&self, message: &Message, now: Instant) {
        let super::forward::Body::Event { kind, payload } = &message.body else {
            return;
        };
        self.bytes.increment(payload.len() as u64);
        self.publish.record((now - message.read_at).as_secs_f64());
        kind.stored.increment(1);
    }

    /// A batch goes out for the first time; its oldest message waited this long.
    pub fn sent(&self, waited: Duration) {
        self.queued.record(waited.as_secs_f64());
    }

    /// A batch is stored, so long after it went out for the first time.
    pub fn acked(&self, after: Duration) {
        self.acked.record(after.as_secs_f64());
    }

    /// A publish was sent again.
    pub fn retried(&self, why: Retry) {
        let retries = match why {
            Retry::Unanswered => &self.unanswered,
            Retry::Refused => &self.refused,
            Retry::Broken => &self.broken,
        };
        retries.increment(1);
    }
}

/// The counter of one kind of event. What Discord's documentation does not name is `other`.
pub fn stored(name: &str) -> Counter {
    use twilight_model::gateway::event::EventType;
    let known = EventType::try_from(name).is_ok();
    let label = if known { name } else { "other" };
    counter!(EVENTS.name, "event" => label.to_owned())
}

/// A connection ended with this code.
pub fn disconnected(code: Option<u16>) {
    // Codes are Discord's and the protocol's own few; anything else is `other`.
    let label = match code {
        Some(code @ (1000..=1015 | 4000..=4014)) => code.to_string(),
        Some(_) => "other".to_owned(),
        None => "none".to_owned(),
    };
    counter!(DISCONNECTS.name, "code" => label).increment(1);
}

/// A loss is announced.
pub fn gap(reason: GapReason) {
    counter!(GAPS.name, "reason" => reason.as_str()).increment(1);
}

/// A shard waited this long for leave.
pub fn identify_waited(wait: Duration) {
    histogram!(IDENTIFY_WAIT.name).record(wait.as_secs_f64());
}
