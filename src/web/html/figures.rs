//! The figures at the top: shards, groups, leader, budget, queue.

use std::fmt::Write;

use super::escape;
use crate::roster::{
    overview::{Leader, Overview},
    waits::{self, span},
};

pub(super) fn figures(fleet: &Overview) -> String {
    let mut text = String::new();
    let (shards, groups) = (&fleet.shards, &fleet.groups);
    let well = shards.total > 0 && shards.ready == shards.total;
    let states: Vec<_> = shards
        .by_state
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let ready = format!("{} of {}", shards.ready, shards.total);
    figure(&mut text, "Shards ready", &ready, &states.join(", "), well);
    let well = groups.held == groups.total;
    let held = format!("{} of {}", groups.held, groups.total);
    let room = format!("room for {}", groups.capacity);
    figure(&mut text, "Groups held", &held, &room, well);
    match &fleet.leader {
        Some(leader) => led(&mut text, leader, fleet.at_ms),
        None => figure(
            &mut text,
            "Leader",
            "none",
            "shards resume without one; none identifies",
            false,
        ),
    }
    text
}

fn led(text: &mut String, leader: &Leader, now_ms: u64) {
    let status = &leader.status;
    let epoch = format!("epoch {}", status.epoch);
    figure(text, "Leader", &leader.process, &epoch, true);
    let left = format!("{} of {}", status.remaining, status.limit);
    let day = span(status.reset_at_ms.saturating_sub(now_ms));
    let more = format!("{} in reserve; a new day in {day}", status.reserve);
    let well = status.remaining > status.reserve;
    figure(text, "Identifies left today", &left, &more, well);
    let more = match waits::all_granted_in(status) {
        _ if status.queue == 0 => "no cold start under way".to_owned(),
        Some(ms) => format!("done in about {}", span(ms)),
        None => "held at the reserve".to_owned(),
    };
    let queue = status.queue.to_string();
    figure(
        text,
        "Waiting to identify",
        &queue,
        &more,
        !status.at_reserve,
    );
}

fn figure(text: &mut String, name: &str, value: &str, more: &str, well: bool) {
    let (value, more) = (escape(value), escape(more));
    let class = if well { "" } else { " class=ill" };
    _ = write!(
        text,
        "<div{class}><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>"
    );
}
