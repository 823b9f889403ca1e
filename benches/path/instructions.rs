//! The same rows under callgrind: instructions an event instead of time.
//!
//! A process is many times slower there. So what is paced goes in slow motion: the pace divided,
//! the time that work gathers multiplied. nats-server and the generator are as fast as ever.

use std::{collections::HashMap, fmt::Write as _, path::Path, sync::Arc, time::Duration};

use crate::{
    blob::Blob,
    plan::Row,
    profile::Profile,
    report::{median, spread},
    stage::{Setting, Stage},
};

/// How much slower the paced rows go.
const SLOW: u32 = 20;
/// Events a shard, before the count and in it: flat out.
const FLAT: (usize, usize) = (200, 1_000);
/// The same with many shards: so slow a process loses its leases where each has much to do at once.
const CROWD: (usize, usize) = (50, 150);
/// So many are many.
const MANY: u32 = 64;
/// The same at a pace.
const PACED: (usize, usize) = (100, 500);
/// After the first leg: what was handed over may not have left yet.
const SETTLE: Duration = Duration::from_secs(1);
/// What a process does without events is counted for so long, and taken off.
const IDLE: Duration = Duration::from_secs(5);
/// So many of a profile's most expensive are told.
const MOST: usize = 15;

/// Ratios asked for: of which row to which, and the bound.
const RATIOS: &[(&str, &str, &str)] = &[
    ("flat: shardfleet", "flat: drain", "≤ 1.6"),
    ("flat: shardfleet", "flat: drain + core publish", ""),
    ("flat: typical peer", "flat: shardfleet", "≥ 3.5"),
    ("paced: shardfleet", "paced: drain, gathering", "≤ 1.6"),
    ("paced: shardfleet", "paced: core publish, gathering", ""),
    ("paced: shardfleet", "paced: drain", ""),
    (
        "scale: shardfleet, 256 shards",
        "scale: shardfleet, 1 shard",
        "≤ 1.1",
    ),
    ("scale: drain, 256 shards", "scale: drain, 1 shard", ""),
];

/// Thousand instructions of one run.
#[derive(Clone, Copy, Debug)]
struct Count {
    /// An event, without what the process does anyway.
    event: f64,
    /// A second without events.
    idle: f64,
}

/// Events a shard that these runs need at most.
pub(crate) const EVENTS: usize = FLAT.0 + FLAT.1;

/// Runs the rows so often, and says what came of it. Profiles go into the folder `profiles`.
pub(crate) async fn run(
    rows: &[Row],
    repetitions: usize,
    blob: &Arc<Blob>,
    profiles: Option<&Path>,
) -> String {
    let mut counts: HashMap<&str, Vec<Count>> = HashMap::new();
    for repetition in 1..=repetitions {
        for row in rows {
            let count = one(row, blob, profiles).await;
            eprintln!(
                "[{repetition}/{repetitions}] {}: {:.2} ki an event, {:.0} ki a second without any",
                row.name, count.event, count.idle
            );
            counts.entry(row.name).or_default().push(count);
        }
    }
    table(rows, &counts)
}

async fn one(row: &Row, blob: &Arc<Blob>, profiles: Option<&Path>) -> Count {
    let mut setting = row.setting;
    setting.counted = true;
    let (before, counted) = match setting {
        Setting { pace: Some(_), .. } => PACED,
        Setting { shards: MANY.., .. } => CROWD,
        _ => FLAT,
    };
    setting.pace = setting.pace.map(|pace| pace / SLOW);
    if setting.pace.is_some() {
        setting.gather *= u64::from(SLOW);
    }
    let mut stage = Stage::set(setting, blob, 0).await;
    let mut callgrind = stage.callgrind();
    stage.leg(before, setting.pace).await;
    tokio::time::sleep(SETTLE).await;
    callgrind.zero();
    tokio::time::sleep(IDLE).await;
    let (idle, _) = callgrind.take();
    let idle = idle as f64 / 1e3 / IDLE.as_secs_f64();
    callgrind.zero();
    let leg = stage.leg(counted, setting.pace).await;
    let (count, profile) = callgrind.take();
    if let Some(folder) = profiles {
        keep(row.name, &profile, leg.events, folder);
    }
    let count = count as f64 / 1e3 - idle * leg.wall.as_secs_f64();
    Count {
        event: count / leg.events as f64,
        idle,
    }
}

/// Copies a profile out of the stage, and tells what is most expensive in it.
fn keep(name: &str, profile: &Path, events: u64, folder: &Path) {
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let kept = folder.join(format!("callgrind.out.{name}"));
    std::fs::create_dir_all(folder).unwrap();
    std::fs::copy(profile, &kept).unwrap();
    println!("{}", kept.display());
    println!("{}", Profile::read(&kept).tell(events, MOST));
}

fn table(rows: &[Row], counts: &HashMap<&str, Vec<Count>>) -> String {
    let of = |row: &str, what: fn(&Count) -> f64| -> Vec<f64> {
        let counts = counts.get(row).into_iter().flatten();
        counts.map(what).collect()
    };
    let mut text = "| row | ki an event | ki a second without events, taken off |\n\
                    | --- | --- | --- |\n"
        .to_owned();
    for row in rows {
        let event = spread(&of(row.name, |count| count.event));
        let idle = median(&of(row.name, |count| count.idle));
        _ = writeln!(text, "| {} | {event} | {idle:.0} |", row.name);
    }
    _ = writeln!(
        text,
        "\n| instructions an event, ratio | median (least to most) | wanted |\n| --- | --- | --- |"
    );
    for (dividend, divisor, wanted) in RATIOS {
        let ratios: Vec<f64> = of(dividend, |count| count.event)
            .iter()
            .zip(of(divisor, |count| count.event))
            .map(|(dividend, divisor)| dividend / divisor)
            .collect();
        if !ratios.is_empty() {
            let ratio = spread(&ratios);
            _ = writeln!(text, "| {dividend} ÷ {divisor} | {ratio} | {wanted} |");
        }
    }
    text
}
