//! The page as text. What stands in it was said by processes over NATS: everything is escaped.

use std::{collections::BTreeSet, fmt::Write};

use crate::{
    roster::overview::{Overview, UNHELD},
    wire::status::{ShardState, Status},
};

const TEMPLATE: &str = include_str!("status.html");
/// As many as the configuration takes; a topology that says more is not drawn in full.
const MOST_SHARDS: u32 = 65_536;

/// The page of a fleet; `connected`: this process reaches NATS.
pub(super) fn page(overview: &Overview, connected: bool) -> String {
    let mut body = String::new();
    _ = write!(
        body,
        "<h1>{} <small>shardfleet</small></h1>",
        escape(&overview.fleet)
    );
    if !connected {
        alert(
            &mut body,
            "NATS is away: what stands here is what was last heard.",
        );
    }
    if let Some(halt) = &overview.halt {
        let told = format!(
            "The fleet is halted: Discord closed shard {} of {} with {}: {}",
            halt.shard, halt.process, halt.code, halt.reason
        );
        alert(&mut body, &told);
    }
    figures(&mut body, overview);
    grid(&mut body, overview);
    processes(&mut body, overview);
    fill(&overview.fleet, &body)
}

/// The page before NATS was reached.
pub(super) fn waiting() -> String {
    let mut body = "<h1>shardfleet</h1>".to_owned();
    alert(&mut body, "Waiting for NATS.");
    fill("shardfleet", &body)
}

fn fill(title: &str, body: &str) -> String {
    TEMPLATE
        .replace("{{title}}", &escape(title))
        .replace("{{body}}", body)
}

fn alert(body: &mut String, text: &str) {
    _ = write!(body, "<p class=alert role=alert>{}</p>", escape(text));
}

fn figures(body: &mut String, overview: &Overview) {
    let Overview { shards, groups, .. } = overview;
    body.push_str("<dl>");
    let counts: Vec<_> = shards
        .by_state
        .iter()
        .map(|(s, n)| format!("{n} {s}"))
        .collect();
    let ready = format!("{} of {}", shards.ready, shards.total);
    figure(body, "Shards ready", &ready, &counts.join(", "));
    let capacity = format!("capacity {}", groups.capacity);
    let held = format!("{} of {}", groups.held, groups.total);
    figure(body, "Groups held", &held, &capacity);
    match &overview.leader {
        Some(leader) => {
            let status = &leader.status;
            let epoch = format!("epoch {}", status.epoch);
            figure(body, "Leader", &leader.process, &epoch);
            let left = format!("{} of {}", status.remaining, status.limit);
            let reserve = format!("reserve {}", status.reserve);
            figure(body, "Identifies left today", &left, &reserve);
            let next = status.next_grant_ms.map_or_else(String::new, |ms| {
                format!("next in {}.{} s", ms / 1000, ms % 1000 / 100)
            });
            figure(
                body,
                "Waiting to identify",
                &status.queue.to_string(),
                &next,
            );
        }
        None => figure(
            body,
            "Leader",
            "none",
            "shards resume without one; none identifies",
        ),
    }
    body.push_str("</dl>");
}

fn figure(body: &mut String, name: &str, value: &str, more: &str) {
    let (value, more) = (escape(value), escape(more));
    _ = write!(
        body,
        "<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>"
    );
}

fn grid(body: &mut String, overview: &Overview) {
    body.push_str("<h2>Shards</h2><ol class=grid>");
    let due = overview.topology.as_ref().map_or(0, |t| t.layout.shards);
    let due = 0..due.min(MOST_SHARDS);
    let shards: BTreeSet<_> = due.chain(overview.cells.keys().copied()).collect();
    for shard in shards {
        let cell = overview.cells.get(&shard);
        let state = cell.map_or(UNHELD, |cell| cell.status.state.as_str());
        let at = cell.map_or_else(String::new, |cell| {
            let events = cell.status.events;
            format!(", {}, {events} events", escape(&cell.process))
        });
        _ = write!(
            body,
            "<li class={state} title=\"shard {shard}: {state}{at}\">{shard}</li>"
        );
    }
    body.push_str("</ol><ul class=key>");
    for state in ShardState::ALL
        .map(ShardState::as_str)
        .iter()
        .chain([&UNHELD])
    {
        _ = write!(body, "<li><i class={state}></i>{state}</li>");
    }
    body.push_str("</ul>");
}

fn processes(body: &mut String, overview: &Overview) {
    body.push_str(
        "<h2>Processes</h2><div class=wide><table><thead><tr><th>Process<th>Roles<th>Version<th>Groups\
         <th>Shards<th>Buffer<th>State</tr></thead><tbody>",
    );
    for process in &overview.processes {
        let gateway = process.gateway.as_ref();
        let groups = gateway.map_or_else(String::new, |g| {
            format!("{} of {}", g.groups.len(), g.capacity)
        });
        let shards = gateway.map_or_else(String::new, |g| g.shards.len().to_string());
        let buffer = gateway.map_or_else(String::new, |g| format!("{} KiB", g.buffer_bytes / 1024));
        let state = if process.draining {
            "draining"
        } else {
            "running"
        };
        _ = write!(
            body,
            "<tr><td>{}<td>{}<td>{}<td>{groups}<td>{shards}<td>{buffer}<td>{state}</tr>",
            escape(&process.process),
            roles(process),
            escape(&process.version),
        );
    }
    body.push_str("</tbody></table></div>");
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

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::overview::Shared;

    #[test]
    fn what_others_say_is_text() {
        let process = Status {
            process: "<script>alert(1)</script>".to_owned(),
            version: "\"><b>".to_owned(),
            ..Status::default()
        };
        let overview = Overview::new("discord", Shared::default(), vec![process], 0);
        let page = page(&overview, true);
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(page.contains("&lt;script&gt;") && !page.contains("{{"));
    }
}
