//! `shardfleet audit DIR`: compares the two records of an evidence folder again.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;

use crate::audit::{
    Audit, Report,
    evidence::{Sessions, StoredLine},
};

/// Options of `audit`.
#[derive(Args)]
pub(super) struct Options {
    /// The folder that `demo --evidence` wrote
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Prints what differs, the counts as one JSON object last; true if nothing does.
///
/// # Errors
/// Where a file is not there, or holds something else.
pub(super) fn run(options: &Options) -> Result<bool> {
    let report = compare(&options.folder)?;
    let mut err = std::io::stderr().lock();
    report
        .examples
        .iter()
        .try_for_each(|example| writeln!(err, "{example}"))?;
    writeln!(
        std::io::stdout().lock(),
        "{}",
        serde_json::to_string(&report)?
    )?;
    Ok(report.clean())
}

/// Compares `sent.ndjson` with `stored.ndjson`, by the sessions of `sessions.json`.
///
/// # Errors
/// Where a file is not there, or holds something else.
pub(super) fn compare(folder: &Path) -> Result<Report> {
    let mut audit = Audit::default();
    let (path, file) = open(folder, "sessions.json")?;
    let sessions: Sessions =
        serde_json::from_reader(file).with_context(|| format!("{} is another", path.display()))?;
    audit.read_sessions(&sessions);
    each_line(folder, "sent.ndjson", |line| audit.read_sent(line))?;
    each_line(folder, "stored.ndjson", |line| {
        let stored: StoredLine = serde_json::from_str(line)?;
        audit.read_stored(&stored)
    })?;
    Ok(audit.report())
}

fn each_line(folder: &Path, name: &str, mut take: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let (path, mut file) = open(folder, name)?;
    let (mut line, mut number) = (String::new(), 0_u64);
    while file.read_line(&mut line)? > 0 {
        number += 1;
        take(line.trim_end()).with_context(|| format!("{}:{number}", path.display()))?;
        line.clear();
    }
    Ok(())
}

fn open(folder: &Path, name: &str) -> Result<(PathBuf, BufReader<File>)> {
    let path = folder.join(name);
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((path, BufReader::new(file)))
}
