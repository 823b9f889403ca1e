//! The page as text. What stands in it was said by processes over NATS: everything is escaped.

mod figures;
mod grid;
mod happenings;
mod processes;

use std::{collections::BTreeMap, fmt::Write};

use super::chronicle::Chronicle;
use crate::roster::{overview::Overview, waits};

const TEMPLATE: &str = include_str!("status.html");

/// Parts of the page by the id of their place; each is sent anew only when it has changed.
pub(super) type Parts = BTreeMap<&'static str, String>;

/// The parts of a fleet's page.
pub(super) fn parts(fleet: &Overview, chronicle: &Chronicle) -> Parts {
    BTreeMap::from([
        ("alerts", alerts(fleet)),
        ("figures", figures::figures(fleet)),
        ("flow", happenings::flow(chronicle)),
        ("grid", grid::grid(fleet)),
        ("processes", processes::processes(fleet)),
        ("happenings", happenings::list(chronicle)),
    ])
}

/// The whole page.
pub(super) fn page(title: &str, parts: &Parts) -> String {
    let mut text = TEMPLATE.replace("{{title}}", &escape(title));
    for (name, part) in parts {
        text = text.replace(&format!("{{{{{name}}}}}"), part);
    }
    text
}

/// The page before NATS was reached.
pub(super) fn waiting() -> String {
    let fleet = Overview::new(
        "shardfleet",
        crate::roster::overview::Shared::default(),
        Vec::new(),
        0,
    );
    let mut parts = parts(&fleet, &Chronicle::default());
    let mut text = String::new();
    alert(&mut text, "Waiting for NATS.");
    parts.insert("alerts", text);
    page("shardfleet", &parts)
}

fn alerts(fleet: &Overview) -> String {
    let mut text = String::new();
    if fleet.nats_away_ms.is_some() {
        let at = time_of_day(fleet.at_ms);
        let told = format!(
            "NATS is away, or this process does not reach it: what stands here is as of {at} UTC."
        );
        alert(&mut text, &told);
    }
    for stream in &fleet.missing {
        let told = format!(
            "NATS has no stream {stream}: it was deleted, or the server lost its store. The log says what \
             becomes of it."
        );
        alert(&mut text, &told);
    }
    for stream in &fleet.differing {
        let told = format!(
            "The stream {stream} is not as the configuration wants it: it may refuse, forget or alter events. \
             The log says what differs."
        );
        alert(&mut text, &told);
    }
    for process in &fleet.refused {
        let told =
            format!("Discord refuses the token of {process} (401): restart it with the right one.");
        alert(&mut text, &told);
    }
    let waits = fleet.leader.as_ref();
    if let Some(why) = waits.and_then(|leader| waits::why(&leader.status, fleet.at_ms)) {
        alert(
            &mut text,
            &format!("Shards that wait to identify are {why}."),
        );
    }
    if let Some(halt) = &fleet.halt {
        let told = format!(
            "The fleet is halted: Discord closed shard {} of {} with {}: {}",
            halt.shard, halt.process, halt.code, halt.reason
        );
        alert(&mut text, &told);
    }
    text
}

fn alert(text: &mut String, told: &str) {
    _ = write!(text, "<p class=alert>{}</p>", escape(told));
}

/// Braces too: a name must not pass for a place of the template.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '{' => safe.push_str("&#123;"),
            c => safe.push(c),
        }
    }
    safe
}

/// As in `17:04:59`, UTC.
fn time_of_day(at_ms: u64) -> String {
    let seconds = at_ms / 1_000 % 86_400;
    let (hours, minutes) = (seconds / 3_600, seconds % 3_600 / 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        roster::overview::Shared,
        wire::status::{
            CoordinatorStatus, GatewayStatus, ShardState, ShardStatus, SlowdownStatus, Status,
        },
    };

    /// A slowdown is in the estimate; at the reserve there is none.
    #[test]
    fn the_page_says_why_shards_wait_and_for_how_long() {
        let led = |at_reserve, slowdown| {
            let coordinator = CoordinatorStatus {
                leader: true,
                queue: 14,
                max_concurrency: 4,
                remaining: 50,
                at_reserve,
                slowdown,
                ..CoordinatorStatus::default()
            };
            let process = Status {
                process: "a".to_owned(),
                coordinator: Some(coordinator),
                ..Status::default()
            };
            let fleet = Overview::new("discord", Shared::default(), vec![process], 0);
            page("discord", &parts(&fleet, &Chronicle::default()))
        };
        assert!(led(false, None).contains("done in about 20 s"));
        let slowdown = SlowdownStatus {
            identifies: 118,
            pause_ms: 16_000,
            all_ms: 350_000,
            ..SlowdownStatus::default()
        };
        let slow = led(false, Some(slowdown));
        assert!(slow.contains("done in about 5 min 50 s") && slow.contains("slowed down"));
        let held = led(true, None);
        assert!(held.contains("spend-reserve N") && !held.contains("done in"));
    }

    fn gateway(number: u32, shards: std::ops::Range<u32>) -> Status {
        let shard = |shard| ShardStatus {
            shard,
            state: if shard % 97 == 3 {
                ShardState::Resuming
            } else {
                ShardState::Ready
            },
            events: 1,
            gaps: 0,
            quiet_ms: 0,
        };
        Status {
            process: format!("gateway-{number}"),
            gateway: Some(GatewayStatus {
                shards: shards.map(shard).collect(),
                ..GatewayStatus::default()
            }),
            ..Status::default()
        }
    }

    /// Drawn small, each with its words; the whole is smaller than a photograph.
    #[test]
    fn a_thousand_shards_stay_readable() {
        let gateways = (0..8).map(|n| gateway(n, n * 128..(n + 1) * 128));
        let fleet = Overview::new("discord", Shared::default(), gateways.collect(), 0);
        let page = page("discord", &parts(&fleet, &Chronicle::default()));
        assert_eq!(page.matches("<span class=vh>").count(), 1024);
        assert!(
            page.contains("cells many") && page.len() < 200_000,
            "{}",
            page.len()
        );
        if let Some(path) = std::env::var_os("PAGE_OUT") {
            std::fs::write(path, page).unwrap();
        }
    }

    #[test]
    fn what_others_say_is_text() {
        let process = Status {
            process: "<script>alert(1)</script>{{grid}}".to_owned(),
            version: "\"><b>".to_owned(),
            ..Status::default()
        };
        let fleet = Overview::new("discord", Shared::default(), vec![process], 0);
        let page = page("discord", &parts(&fleet, &Chronicle::default()));
        assert!(
            !page.contains("<script>") && !page.contains("<b>"),
            "{page}"
        );
        assert!(page.contains("&lt;script&gt;") && !page.contains("{{"));
        assert_eq!(page.matches("<script").count(), 1, "our own");
    }

    /// A shard that nobody can be heard of is not unheld.
    #[test]
    fn while_nats_is_away_the_page_says_as_of_when_it_is() {
        let mut fleet = Overview::new(
            "discord",
            Shared::default(),
            vec![gateway(1, 0..2)],
            86_399_000,
        );
        assert!(alerts(&fleet).is_empty());
        fleet.nats_away_ms = Some(42_000);
        let page = page("discord", &parts(&fleet, &Chronicle::default()));
        assert!(
            page.contains("NATS is away") && page.contains("as of 23:59:59 UTC"),
            "{page}"
        );
        assert!(page.contains("0 unheld"), "{page}");
    }
}
