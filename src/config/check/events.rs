//! Names of events that would choose nothing, or cannot be left out.

use super::Reader;
use crate::config::{Config, events};

const HINT: &str = "the name as Discord documents it; fleet.unknown_events = true where it is newer than this release";

pub(super) fn check(config: &Config, reader: &mut Reader<'_>) {
    let (fleet, gateway) = (&config.fleet, &config.gateway);
    for (key, names) in [
        ("fleet.allow", &fleet.allow.0),
        ("fleet.deny", &fleet.deny.0),
        ("gateway.shed", &gateway.shed.0),
    ] {
        let unknown = events::unknown(names);
        if !unknown.is_empty() && !fleet.unknown_events.0 {
            reader.fault(key, None, unknown.join("; "), HINT);
        }
        if key == "fleet.allow" {
            continue;
        }
        if let Some(reason) = events::undeniable(names) {
            reader.fault(key, None, reason, "leave them out of the list");
        }
    }
}
