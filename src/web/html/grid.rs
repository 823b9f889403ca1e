//! Every shard: its colour says its state, the bar below it who holds its group.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::escape;
use crate::{
    roster::overview::{Overview, UNHELD},
    wire::status::ShardState,
};

/// As many as the configuration takes; a topology that says more is not drawn in full.
const MOST_SHARDS: u32 = 65_536;
/// Colours of owners; the page has a class for each.
const OWNER_COLOURS: usize = 8;

pub(super) fn grid(fleet: &Overview) -> String {
    let mut text = String::new();
    let gateways = fleet.processes.iter().filter(|p| p.gateway.is_some());
    let owners: BTreeMap<&str, usize> = gateways
        .enumerate()
        .map(|(at, process)| (process.process.as_str(), at % OWNER_COLOURS))
        .collect();
    let due = fleet.topology.as_ref().map_or(0, |t| t.layout.shards);
    let due = 0..due.min(MOST_SHARDS);
    let shards: BTreeSet<_> = due.chain(fleet.cells.keys().copied()).collect();
    // Many are drawn small, so that all are seen at once.
    let class = if shards.len() > 256 {
        "cells many"
    } else {
        "cells"
    };
    _ = write!(text, "<ol class=\"{class}\" aria-label=\"Shards\">");
    for shard in shards {
        let cell = fleet.cells.get(&shard);
        let state = cell.map_or(UNHELD, |cell| cell.status.state.as_str());
        let owner = cell.map_or("nobody", |cell| cell.process.as_str());
        let bar = owners
            .get(owner)
            .map_or_else(String::new, |colour| format!(" o{colour}"));
        let owner = escape(owner);
        _ = write!(
            text,
            "<li class=\"{state}{bar}\" title=\"shard {shard}: {state}, {owner}\">{shard}\
             <span class=vh>: {state}, {owner}</span></li>"
        );
    }
    text.push_str("</ol><ul class=key aria-label=\"Colours of states\">");
    for state in ShardState::ALL
        .map(ShardState::as_str)
        .iter()
        .chain([&UNHELD])
    {
        let count = fleet.shards.by_state.get(state).copied().unwrap_or(0);
        let class = if count == 0 { " class=none" } else { "" };
        _ = write!(text, "<li{class}><i class={state}></i>{count} {state}</li>");
    }
    text.push_str("</ul><ul class=key aria-label=\"Colours of owners\">");
    for (owner, colour) in owners {
        let owner = escape(owner);
        _ = write!(text, "<li><i class=\"bar o{colour}\"></i>{owner}</li>");
    }
    text.push_str("</ul>");
    text
}
