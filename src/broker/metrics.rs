//! Metrics of what the fleet keeps in NATS.

use metrics::{counter, gauge};

use super::upkeep::Kind;

crate::metrics! {
    /// One while it is missing in NATS: the `stream` of the events, the bucket of the `lease`s or that of the `state`.
    MISSING: Gauge "shardfleet_nats_missing" ["kind"];
    /// One while it is there and so unlike the configuration that it may refuse, forget or alter what is stored in it; kinds as above.
    DIFFERS: Gauge "shardfleet_nats_differs" ["kind"];
    /// Times that it was found to have lost what was in it: made anew, emptied, or replaced by an older copy.
    LOST: Counter "shardfleet_nats_lost_total" ["kind"];
}

/// It is missing, or is not.
pub(super) fn missing(kind: Kind, missing: bool) {
    gauge!(MISSING.name, "kind" => kind.as_str()).set(f64::from(u8::from(missing)));
}

/// It differs from what is wanted, or does not.
pub(super) fn differs(kind: Kind, differs: bool) {
    gauge!(DIFFERS.name, "kind" => kind.as_str()).set(f64::from(u8::from(differs)));
}

/// So many more losses; with none an alert can tell zero from nobody home.
pub(super) fn lost(kind: Kind, times: u64) {
    counter!(LOST.name, "kind" => kind.as_str()).increment(times);
}
