//! A row of docs/FAULTS.md: what became of the stream under one fault.

use std::{fs::OpenOptions, io::Write, thread};

use serde::Serialize;
use shardfleet::{audit::Report, clock};

use super::{Fleet, silence::Silence};

/// Names the file that rows are appended to; set by `make chaos`.
const FILE: &str = "SHARDFLEET_MATRIX";

/// One audit of one test, as a line of JSON.
#[derive(Serialize)]
struct Row<'a> {
    /// `module::the_test`: its words are the fault's name.
    test: String,
    #[serde(flatten)]
    report: &'a Report,
    /// Spent after the first one of each shard.
    identifies: u64,
    resumes: u64,
    rules_broken: usize,
    still_ms: u128,
    /// The event that ended it.
    still_until: &'a str,
    events_per_second: u32,
    /// From the first process to the audit.
    lasted_ms: u128,
    /// Of the gateways that live, the most memory that one ever had.
    peak_kib: u64,
}

impl Fleet {
    /// Appends a row, if somebody collects them. Several audits of a test: the last one counts.
    pub(super) async fn keep_row(&self, report: &Report, silence: &Silence) {
        let Some(path) = std::env::var_os(FILE) else {
            return;
        };
        let verdict = self.sim_verdict().await;
        let figures = self.discord.figures().await;
        let gateways = 0..self.gateways.len();
        let row = Row {
            // The test's own thread: tests run on it, whatever their runtime has beside it.
            test: thread::current().name().unwrap_or_default().to_owned(),
            report,
            identifies: verdict.identifies.saturating_sub(self.plan.shards.into()),
            resumes: figures.resumes,
            rules_broken: verdict.violations.len(),
            still_ms: silence.longest.as_millis(),
            still_until: &silence.until,
            events_per_second: self.plan.events_per_second,
            lasted_ms: (clock::now() - self.began).as_millis(),
            peak_kib: gateways
                .filter_map(|at| self.peak_kib(at))
                .max()
                .unwrap_or(0),
        };
        let mut line = serde_json::to_string(&row).unwrap();
        line.push('\n');
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// The most memory that a gateway ever had, in KiB; none while it does not run.
    pub(crate) fn peak_kib(&self, gateway: usize) -> Option<u64> {
        let process = self.gateways[gateway].process.as_ref()?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }
}
