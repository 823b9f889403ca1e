//! The fleet at a glance as text.

use std::fmt::Write;

use crate::{
    roster::{
        overview::{Leader, Overview},
        waits,
    },
    wire::status::{ShardState, Status},
};

/// What a terminal shows of a fleet.
pub(super) fn table(overview: &Overview) -> String {
    let mut text = String::new();
    if let Some(away) = overview.nats_away_ms {
        let away = span(away);
        _ = writeln!(
            text,
            "AWAY     NATS is away, or not reached from here: this is as of {away} ago"
        );
    }
    if let Some(halt) = &overview.halt {
        _ = writeln!(
            text,
            "HALTED   Discord closed shard {} of {} with {}: {}",
            halt.shard, halt.process, halt.code, halt.reason
        );
    }
    for stream in &overview.missing {
        let stream = printable(stream);
        _ = writeln!(
            text,
            "MISSING  NATS has no stream {stream}: the log of a process says what becomes of it"
        );
    }
    for stream in &overview.differing {
        let stream = printable(stream);
        _ = writeln!(
            text,
            "DIFFERS  the stream {stream} is not as the configuration wants it: `shardfleet check` says how"
        );
    }
    for process in &overview.refused {
        let process = printable(process);
        _ = writeln!(
            text,
            "REFUSED  Discord refuses the token of {process} (401): restart it with the right one"
        );
    }
    let states: Vec<_> = overview
        .shards
        .by_state
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let groups = &overview.groups;
    _ = writeln!(text, "fleet    {}", overview.fleet);
    _ = writeln!(
        text,
        "shards   {} of {} ready{}{}",
        overview.shards.ready,
        overview.shards.total,
        if states.is_empty() { "" } else { ": " },
        states.join(", ")
    );
    _ = writeln!(
        text,
        "groups   {} of {} held, capacity {}",
        groups.held, groups.total, groups.capacity
    );
    match &overview.leader {
        Some(leader) => leading(&mut text, leader, overview.at_ms),
        None => {
            text.push_str("leader   none: shards resume without one, but none can identify\n");
        }
    }
    for process in &overview.processes {
        if let Some(number) = process.gateway.as_ref().and_then(|gateway| gateway.beyond) {
            let name = printable(&process.process);
            _ = writeln!(
                text,
                "note     {name} holds nothing: its host name ends in {number}, and there is no such group"
            );
        }
    }
    if overview.processes.is_empty() {
        text.push_str("\nNo process speaks. Is nats.url the fleet's, and fleet.name right?\n");
        return text;
    }
    text.push('\n');
    processes(&mut text, overview);
    text
}

fn leading(text: &mut String, leader: &Leader, now_ms: u64) {
    let status = &leader.status;
    _ = writeln!(text, "leader   {}, epoch {}", leader.process, status.epoch);
    _ = writeln!(
        text,
        "budget   {} of {} identifies left, {} of them in reserve; a new day in {}",
        status.remaining,
        status.limit,
        status.reserve,
        span(status.reset_at_ms.saturating_sub(now_ms))
    );
    let next = match status.next_grant_ms {
        Some(ms) => format!("; the next grant in {}.{} s", ms / 1000, ms % 1000 / 100),
        None => String::new(),
    };
    _ = writeln!(text, "queue    {} wait to identify{next}", status.queue);
    if let Some(why) = waits::why(status, now_ms) {
        _ = writeln!(text, "waits    {why}");
    }
    if let Some(recommended) = status.recommended_shards {
        _ = writeln!(text, "note     Discord recommends {recommended} shards");
    }
}

fn processes(text: &mut String, overview: &Overview) {
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(
        overview
            .processes
            .iter()
            .map(|process| row(process, overview.at_ms)),
    );
    let widths: Vec<_> = (0..HEAD.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        })
        .collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

const HEAD: [&str; 8] = [
    "PROCESS", "ROLE", "VERSION", "GROUPS", "READY", "EVENTS", "GAPS", "UP",
];

fn row(process: &Status, now_ms: u64) -> Vec<String> {
    let mut row = vec![
        printable(&process.process),
        role(process),
        printable(&process.version),
    ];
    match &process.gateway {
        Some(gateway) => {
            let shards = &gateway.shards;
            let ready = shards.iter().filter(|s| s.state == ShardState::Ready);
            row.extend([
                format!("{}/{}", gateway.groups.len(), gateway.capacity),
                format!("{}/{}", ready.count(), shards.len()),
                shards.iter().map(|s| s.events).sum::<u64>().to_string(),
                shards.iter().map(|s| s.gaps).sum::<u32>().to_string(),
            ]);
        }
        None => row.extend(["-"; 4].map(str::to_owned)),
    }
    row.push(span(now_ms.saturating_sub(process.started_ms)));
    row
}

fn role(process: &Status) -> String {
    let coordinator = process.coordinator.as_ref();
    let leader = coordinator.map(|c| if c.leader { "leader" } else { "coordinator" });
    let gateway = process.gateway.as_ref().map(|_| "gateway");
    let draining = process.draining.then_some("draining");
    let words: Vec<_> = [gateway, leader, draining].into_iter().flatten().collect();
    if words.is_empty() {
        "starting".to_owned()
    } else {
        words.join("+")
    }
}

/// Others' words on a terminal: without what steers it.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

fn span(ms: u64) -> String {
    let secs = ms / 1000;
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{}m{:02}s", secs / 60, secs % 60),
        3600..86_400 => format!("{}h{:02}m", secs / 3600, secs % 3600 / 60),
        _ => format!("{}d{:02}h", secs / 86_400, secs % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        roster::overview::Shared,
        wire::status::{CoordinatorStatus, GatewayStatus, ShardStatus, SlowdownStatus},
    };

    /// A fleet whose leader says so.
    fn led(status: CoordinatorStatus) -> Overview {
        let process = Status {
            process: "a".to_owned(),
            token_refused: true,
            coordinator: Some(CoordinatorStatus {
                leader: true,
                queue: 14,
                remaining: 50,
                ..status
            }),
            ..Status::default()
        };
        Overview::new("discord", Shared::default(), vec![process], 0)
    }

    #[test]
    fn what_keeps_those_that_wait_is_named() {
        let reserve = table(&led(CoordinatorStatus {
            at_reserve: true,
            ..CoordinatorStatus::default()
        }));
        for part in [
            "14 wait to identify\n",
            "waits    held at the reserve",
            "spend-reserve",
        ] {
            assert!(reserve.contains(part), "{part} is not in:\n{reserve}");
        }
        assert!(reserve.starts_with("REFUSED  Discord refuses the token of a (401)"));
        let slowdown = SlowdownStatus {
            identifies: 118,
            pause_ms: 16_000,
            ..SlowdownStatus::default()
        };
        let slow = table(&led(CoordinatorStatus {
            slowdown: Some(slowdown),
            ..CoordinatorStatus::default()
        }));
        assert!(slow.contains("waits    slowed down: the fleet identified 118 times"));
    }

    #[test]
    fn the_fleet_at_a_glance() {
        let shard = |shard, state| ShardStatus {
            shard,
            state,
            events: 21,
            gaps: 0,
            quiet_ms: 0,
        };
        let gateway = GatewayStatus {
            capacity: 8,
            beyond: Some(7),
            shards: vec![shard(0, ShardState::Ready), shard(1, ShardState::Resuming)],
            ..GatewayStatus::default()
        };
        let coordinator = CoordinatorStatus {
            leader: true,
            epoch: 7,
            shards: 3,
            limit: 1000,
            remaining: 968,
            reserve: 50,
            reset_at_ms: 7_260_000,
            queue: 4,
            next_grant_ms: Some(1250),
            ..CoordinatorStatus::default()
        };
        let process = Status {
            process: "a\x1b[2J".to_owned(),
            version: "0.1.0".to_owned(),
            gateway: Some(gateway),
            coordinator: Some(coordinator),
            ..Status::default()
        };
        let overview = Overview::new("discord", Shared::default(), vec![process], 60_000);
        let text = table(&overview);
        for part in [
            "1 of 3 ready: 1 ready, 1 resuming, 1 unheld",
            "968 of 1000 identifies left, 50 of them in reserve; a new day in 2h00m",
            "a?[2J holds nothing: its host name ends in 7",
            "4 wait to identify; the next grant in 1.2 s",
            "a?[2J    gateway+leader  0.1.0    0/8     1/2    42      0     1m00s",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }
}
