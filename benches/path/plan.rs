//! Which runs there are, in which order, and how often.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use clap::Args;
use rand::{SeedableRng, rngs::SmallRng, seq::SliceRandom};

use crate::{
    blob::Blob,
    callgrind,
    contender::Kind,
    instructions,
    measure::{self, Sample},
    report,
    stage::{Setting, Who},
};

/// Events a second and shard at the pace of a real fleet.
const PACE: u32 = 500;
/// Work gathers this long where it does: `gateway.gather`'s default.
const GATHER: u64 = 1_000;

/// How much to measure.
#[derive(Args, Debug)]
pub(crate) struct Plan {
    /// One repetition of the comparison at 16 shards, in under three minutes
    #[arg(long)]
    quick: bool,
    /// Repetitions; every one runs all rows, shuffled [default: 5, of instructions 1]
    #[arg(long)]
    repetitions: Option<usize>,
    /// Counts instructions under callgrind instead of time; needs valgrind
    #[arg(long)]
    instructions: bool,
    /// Keeps callgrind's profiles in this folder and tells the most expensive functions
    #[arg(long, requires = "instructions")]
    profile: Option<PathBuf>,
    /// Only rows whose name holds this; may be given several times
    #[arg(long)]
    only: Vec<String>,
    /// Writes all samples to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Writes table and picture into this folder: PERFORMANCE.md between its marks, performance.svg
    #[arg(long)]
    docs: Option<PathBuf>,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: &'static str,
    pub(crate) setting: Setting,
    /// Events a shard: before the measurement, and in it.
    pub(crate) events: (usize, usize),
}

const fn row(name: &'static str, who: Who, shards: u32, events: usize) -> Row {
    let setting = Setting {
        who,
        shards,
        gather: 0,
        pace: None,
        partitions: 1,
        counted: false,
    };
    Row {
        name,
        setting,
        events: (events / 10, events),
    }
}

const fn paced(name: &'static str, who: Who, gather: u64) -> Row {
    let setting = Setting {
        who,
        shards: 16,
        gather,
        pace: Some(PACE),
        partitions: 1,
        counted: false,
    };
    Row {
        name,
        setting,
        events: (PACE as usize, 8 * PACE as usize),
    }
}

const fn cut(mut row: Row, partitions: u32) -> Row {
    row.setting.partitions = partitions;
    row
}

const fn gathering(mut row: Row) -> Row {
    row.setting.gather = GATHER;
    row
}

const DRAIN: Who = Who::Contender(Kind::Drain);
const PUBLISH: Who = Who::Contender(Kind::Publish);
const PEER: Who = Who::Contender(Kind::Peer);
const FLEET: Who = Who::Fleet { lanes: 1 };

/// What `--quick` leaves.
const QUICK: usize = 11;
/// What `--instructions` leaves out: it would say nothing new.
const UNCOUNTED: &[&str] = &["two lanes", "64 shards", "1,024 shards"];

/// Every row.
pub(crate) const ROWS: &[Row] = &[
    row("flat: drain", DRAIN, 16, 40_000),
    row("flat: drain + core publish", PUBLISH, 16, 40_000),
    row("flat: typical peer", PEER, 16, 12_000),
    gathering(row("flat: shardfleet", FLEET, 16, 40_000)),
    paced("paced: drain", DRAIN, 0),
    paced("paced: drain, gathering", DRAIN, GATHER),
    paced("paced: core publish, gathering", PUBLISH, GATHER),
    paced("paced: typical peer, gathering", PEER, GATHER),
    paced("paced: shardfleet", FLEET, GATHER),
    paced("paced: shardfleet, no gathering", FLEET, 0),
    gathering(row(
        "flat: shardfleet, two lanes",
        Who::Fleet { lanes: 2 },
        16,
        40_000,
    )),
    gathering(row("scale: shardfleet, 1 shard", FLEET, 1, 200_000)),
    gathering(row("scale: shardfleet, 64 shards", FLEET, 64, 10_000)),
    gathering(row("scale: shardfleet, 256 shards", FLEET, 256, 2_500)),
    row("scale: drain, 1 shard", DRAIN, 1, 200_000),
    row("scale: drain, 256 shards", DRAIN, 256, 2_500),
    gathering(row("scale: shardfleet, 1,024 shards", FLEET, 1_024, 600)),
    cut(
        gathering(row(
            "streams: shardfleet, 64 shards on 2",
            FLEET,
            64,
            10_000,
        )),
        2,
    ),
    cut(
        gathering(row(
            "streams: shardfleet, 64 shards on 4",
            FLEET,
            64,
            10_000,
        )),
        4,
    ),
];

impl Plan {
    /// Runs, prints, writes.
    pub(crate) async fn run(&self) {
        if self.instructions
            && let Some(what) = callgrind::missing()
        {
            panic!("{what}");
        }
        let rows = if self.quick { &ROWS[..QUICK] } else { ROWS };
        let counted = |row: &&Row| {
            let left_out = UNCOUNTED.iter().any(|name| row.name.contains(name));
            !(self.instructions && left_out)
        };
        let chosen = |row: &&Row| {
            let named = |only: &String| row.name.contains(only.as_str());
            self.only.is_empty() || self.only.iter().any(named)
        };
        let rows: Vec<Row> = rows
            .iter()
            .filter(counted)
            .filter(chosen)
            .copied()
            .collect();
        let once = self.quick || self.instructions;
        let repetitions = self.repetitions.unwrap_or(if once { 1 } else { 5 });
        let needed = if self.instructions {
            instructions::EVENTS
        } else {
            let needed = rows.iter().map(|row| row.events.0 + row.events.1).max();
            needed.unwrap_or(0)
        };
        let blob = Arc::new(Blob::new(needed));
        eprintln!(
            "{} events encoded: {} MB of payloads in {} MB of frames",
            blob.len(),
            blob.raw(0, blob.len()) >> 20,
            blob.bytes.len() >> 20
        );
        if self.instructions {
            let profiles = self.profile.as_deref();
            println!(
                "{}",
                instructions::run(&rows, repetitions, &blob, profiles).await
            );
            return;
        }
        let mut samples: HashMap<&str, Vec<Sample>> = HashMap::new();
        let mut rng = SmallRng::seed_from_u64(1);
        for repetition in 1..=repetitions {
            let mut order = rows.clone();
            order.shuffle(&mut rng);
            for (done, row) in order.iter().enumerate() {
                let sample = measure::row(row, &blob).await;
                eprintln!(
                    "[{repetition}/{repetitions} {}/{}] {}: {sample}",
                    done + 1,
                    order.len(),
                    row.name
                );
                samples.entry(row.name).or_default().push(sample);
            }
        }
        let report = report::Report::new(&rows, &samples);
        println!("{}", report.table());
        if let Some(path) = &self.json {
            std::fs::write(path, serde_json::to_vec_pretty(&samples).unwrap()).unwrap();
        }
        if let Some(folder) = &self.docs {
            report.write(folder);
        }
    }
}
