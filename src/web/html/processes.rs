//! Every process, with its release, its share and what waits in it.

use std::fmt::Write;

use super::escape;
use crate::{
    roster::{overview::Overview, waits::span},
    wire::status::Status,
};

pub(super) fn processes(fleet: &Overview) -> String {
    let mut text = "<table><thead><tr><th scope=col>Process<th scope=col>Role<th scope=col>Release\
                    <th scope=col>Up<th scope=col>Groups<th scope=col>Shards<th scope=col>Waits for NATS\
                    <th scope=col>State</tr></thead><tbody>"
        .to_owned();
    let newest = fleet.processes.iter().map(|p| p.version.as_str()).max();
    for process in &fleet.processes {
        let gateway = process.gateway.as_ref();
        let groups = gateway.map_or_else(String::new, |g| {
            format!("{} of {}", g.groups.len(), g.capacity)
        });
        let shards = gateway.map_or_else(String::new, |g| g.shards.len().to_string());
        let lag = gateway.map_or_else(String::new, |g| format!("{} KiB", g.buffer_bytes / 1024));
        let state = if process.draining {
            "draining"
        } else if gateway.is_some_and(|gateway| gateway.beyond.is_some()) {
            "running; its host name is of no group"
        } else {
            "running"
        };
        let old = if Some(process.version.as_str()) == newest {
            ""
        } else {
            " (older)"
        };
        // To the minute: a part that does not change is not sent again.
        let up = fleet.at_ms.saturating_sub(process.started_ms) / 60_000 * 60_000;
        _ = write!(
            text,
            "<tr><th scope=row>{}<td>{}<td>{}{old}<td>{}<td>{groups}<td>{shards}<td>{lag}<td>{state}</tr>",
            escape(&process.process),
            roles(process),
            escape(&process.version),
            if up == 0 {
                "just started".to_owned()
            } else {
                span(up)
            },
        );
    }
    text.push_str("</tbody></table>");
    text
}

fn roles(process: &Status) -> &'static str {
    let leads = process.coordinator.as_ref().map(|c| c.leader);
    match (process.gateway.is_some(), leads) {
        (true, Some(true)) => "gateway, leader",
        (true, Some(false)) => "gateway, coordinator",
        (true, None) => "gateway",
        (false, Some(true)) => "leader",
        (false, Some(false)) => "coordinator",
        (false, None) => "starting",
    }
}
