//! Metrics of what the fleet keeps in NATS.

use metrics::{counter, gauge};

use super::upkeep::Kind;

crate::metrics! {
    /// One while it is missing in NATS: the `stream` of the events, the bucket of the `lease`s or that of the `state`.
    MISSING: Gauge "shardfleet_nats_missing" ["kind"];
    /// Times that it was found to have lost what was in it: made anew, emptied, or replaced by an older copy.
    LOST: Counter "shardfleet_nats_lost_total" ["kind"];
}

/// It is missing, or is not.
pub(super) fn missing(kind: Kind, missing: bool) {
    gauge!(MISSING.name, "kind" => kind.as_str()).set(f64::from(u8::from(missing)));
}

/// So many more losses; with none an alert can tell zero from nobody home.
pub(super) fn lost(kind: Kind, times: u64) {
    counter!(LOST.name, "kind" => kind.as_str()).increment(times);
}
