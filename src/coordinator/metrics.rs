//! What the coordinator counts.

use crate::{metrics, wire::status::CoordinatorStatus};

metrics! {
    /// One if this process leads the coordinators.
    LEADER: Gauge "shardfleet_leader" [];
    /// Leave to IDENTIFY granted by this process.
    GRANTED: Counter "shardfleet_identifies_granted_total" [];
    /// IDENTIFYs that Discord refused (op 9), as gateways told the leader.
    REFUSED: Counter "shardfleet_identifies_refused_total" [];
    /// One while Discord does not tell the leader its limits, so that shards identify one at a time.
    UNREAD: Gauge "shardfleet_identify_limits_unread" [];
    /// Identifies that Discord allows a day.
    LIMIT: Gauge "shardfleet_identify_limit" [];
    /// Identifies left of the day, the reserve included.
    REMAINING: Gauge "shardfleet_identify_remaining" [];
    /// Of those left, how many only an operator may spend.
    RESERVE: Gauge "shardfleet_identify_reserve" [];
    /// When Discord opens the next day, in seconds since the Unix epoch.
    RESET: Gauge "shardfleet_identify_reset_timestamp_seconds" [];
    /// Shards that wait for leave to IDENTIFY.
    QUEUE: Gauge "shardfleet_identify_queue_length" [];
    /// Requests to the gateway-queue endpoint (`coordinator.http`) of this process: clients that were granted leave, that went away before, or that were refused; and probes, which spend nothing.
    QUEUE_REQUESTS: Counter "shardfleet_gateway_queue_requests_total" ["kind"];
    /// Shards of the fleet, by its topology; from the leader, 0 elsewhere.
    SHARDS: Gauge "shardfleet_topology_shards" [];
    /// Groups of the fleet that no process holds; from the leader, 0 elsewhere.
    UNHELD: Gauge "shardfleet_groups_unheld" [];
}

/// What became of a request to the gateway-queue endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A client was told that it may IDENTIFY.
    Granted,
    /// A client went away before.
    Gone,
    /// Turned away: a page of a browser, a query without sense, one too many, or by the leader.
    Refused,
    /// No client: a health check, or somebody who looks in.
    Probe,
}

impl Heard {
    fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::Probe => "probe",
        }
    }
}

/// Counts none yet, so that a rate sees the first.
pub(super) fn begin() {
    for heard in [Heard::Granted, Heard::Gone, Heard::Refused, Heard::Probe] {
        ::metrics::counter!(QUEUE_REQUESTS.name, "kind" => heard.as_str()).increment(0);
    }
}

/// One request to the gateway-queue endpoint.
pub(super) fn queue_request(heard: Heard) {
    ::metrics::counter!(QUEUE_REQUESTS.name, "kind" => heard.as_str()).increment(1);
}

/// So many grants have left.
pub(super) fn granted(grants: u32) {
    ::metrics::counter!(GRANTED.name).increment(u64::from(grants));
}

/// Discord refused one IDENTIFY.
pub(super) fn refused() {
    ::metrics::counter!(REFUSED.name).increment(1);
}

/// Whether this process leads and cannot read Discord's limits.
pub(super) fn limits_unread(unread: bool) {
    ::metrics::gauge!(UNREAD.name).set(f64::from(u8::from(unread)));
}

/// The role at a glance; what only a leader knows is zero elsewhere.
pub(super) fn show(status: &CoordinatorStatus) {
    ::metrics::gauge!(LEADER.name).set(f64::from(u8::from(status.leader)));
    let known = if status.leader { 1.0 } else { 0.0 };
    ::metrics::gauge!(LIMIT.name).set(known * f64::from(status.limit));
    ::metrics::gauge!(REMAINING.name).set(known * f64::from(status.remaining));
    ::metrics::gauge!(RESERVE.name).set(known * f64::from(status.reserve));
    ::metrics::gauge!(RESET.name).set(known * status.reset_at_ms as f64 / 1_000.0);
    ::metrics::gauge!(QUEUE.name).set(known * f64::from(status.queue));
    ::metrics::gauge!(SHARDS.name).set(known * f64::from(status.shards));
}

/// So many groups of the fleet are held by nobody.
pub(super) fn unheld(groups: u32) {
    ::metrics::gauge!(UNHELD.name).set(f64::from(groups));
}
