//! The verdict: what the records say, and which of the promises held.

use std::{fmt::Write as _, time::Duration};

use crossterm::style::Stylize;
use serde::Serialize;

use super::{simulator::Seen, story::Facts, view::grouped};
use crate::audit::{Report, report::Example};

/// Identifies of the day that only an operator may spend: the default of `coordinator.reserve`.
const RESERVE: u64 = 50;

/// The verdict of a run.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    /// True if promises 1 to 7 held.
    pub(super) ok: bool,
    sent: u64,
    stored: u64,
    lost: u64,
    duplicated: u64,
    out_of_order: u64,
    altered: u64,
    gaps: u64,
    missing_gaps: u64,
    unexpected: u64,
    undelivered: u64,
    identifies: u64,
    identifies_expected: u64,
    identify_violations: u64,
    other_violations: u64,
    resumes: u64,
    takeover_seconds: f64,
    seconds: f64,
    promises: Promises,
    examples: Vec<Example>,
    violations: Vec<String>,
}

/// Promises 1 to 7, as the design counts them.
#[derive(Debug, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "seven promises, each held or broken"
)]
struct Promises {
    raw: bool,
    in_order: bool,
    nothing_lost_nothing_twice: bool,
    gaps_said: bool,
    identify_limits: bool,
    resume_needs_nobody: bool,
    one_owner: bool,
}

impl Verdict {
    /// Judges.
    pub(super) fn new(report: Report, seen: &Seen, facts: &Facts, elapsed: Duration) -> Self {
        let broken = |rules: &[&str]| {
            let of_them = seen
                .violations
                .iter()
                .filter(|it| rules.contains(&it.rule.as_str()));
            of_them.count() as u64
        };
        let identify_violations = broken(&["identify_concurrency", "daily_limit"]);
        let twice = broken(&["session_used_twice"]);
        let promises = Promises {
            raw: report.raw() && report.stored > 0,
            in_order: report.in_order(),
            // A record that stopped short proves nothing.
            nothing_lost_nothing_twice: report.once() && !seen.record_full,
            gaps_said: report.gaps_said() && report.gaps >= facts.ended,
            identify_limits: identify_violations == 0
                && seen.identifies == facts.identifies
                && seen.identifies_remaining >= RESERVE,
            resume_needs_nobody: facts.resumed_unled,
            one_owner: twice == 0,
        };
        let other_violations = seen.violations.len() as u64 - identify_violations - twice;
        Self {
            ok: promises.each().iter().all(|(_, _, held)| *held) && other_violations == 0,
            sent: report.sent,
            stored: report.stored,
            lost: report.lost,
            duplicated: report.duplicated,
            out_of_order: report.out_of_order,
            altered: report.altered,
            gaps: report.gaps,
            missing_gaps: report.missing_gaps,
            unexpected: report.unexpected,
            undelivered: report.told,
            identifies: seen.identifies,
            identifies_expected: facts.identifies,
            identify_violations,
            other_violations,
            resumes: seen.resumes,
            takeover_seconds: facts.takeover.as_secs_f64(),
            seconds: (elapsed.as_secs_f64() * 10.0).round() / 10.0,
            promises,
            examples: report.examples,
            violations: seen
                .violations
                .iter()
                .take(20)
                .map(ToString::to_string)
                .collect(),
        }
    }

    /// One JSON object on one line.
    pub(super) fn json(&self) -> String {
        // Strings, numbers and booleans: serde_json has nothing to refuse in them.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut table = String::new();
        let rows = [
            ("events sent", grouped(self.sent), String::new()),
            (
                "stored",
                grouped(self.stored),
                format!("{} never left Discord", self.undelivered),
            ),
            ("lost", grouped(self.lost), String::new()),
            ("duplicated", grouped(self.duplicated), String::new()),
            ("out of order", grouped(self.out_of_order), String::new()),
            ("bytes altered", grouped(self.altered), "events".to_owned()),
            (
                "gaps announced",
                grouped(self.gaps),
                format!("{} missing", self.missing_gaps),
            ),
            (
                "identifies used",
                grouped(self.identifies),
                format!("{} needed", self.identifies_expected),
            ),
            (
                "identify rules broken",
                grouped(self.identify_violations),
                match self.other_violations {
                    0 => String::new(),
                    others => format!("others: {others}"),
                },
            ),
            (
                "takeover",
                format!("{:.1} s", self.takeover_seconds),
                "kill -9 to last RESUMED".to_owned(),
            ),
            ("whole run", format!("{:.1} s", self.seconds), String::new()),
        ];
        for (what, figure, beside) in rows {
            _ = writeln!(table, "  {what:<22} {figure:>10}   {}", beside.dark_grey());
        }
        table.push('\n');
        for (number, (_, promise, held)) in self.promises.each().iter().enumerate() {
            let word = if *held {
                "held  ".green()
            } else {
                "BROKEN".red().bold()
            };
            _ = writeln!(table, "  {word}  {}. {promise}", number + 1);
        }
        for line in self
            .examples
            .iter()
            .map(ToString::to_string)
            .chain(self.violations.iter().cloned())
        {
            _ = writeln!(table, "  {} {line}", "!".red());
        }
        let verdict = if self.ok {
            "every promise held".green().bold()
        } else {
            "a promise was broken".red().bold()
        };
        _ = write!(table, "\n  {verdict}");
        table
    }
}

impl Promises {
    fn each(&self) -> [(&'static str, &'static str, bool); 7] {
        [
            (
                "raw",
                "Raw: what is stored is byte for byte what Discord sent",
                self.raw,
            ),
            (
                "in_order",
                "In order: for a shard, stream order is Discord's order",
                self.in_order,
            ),
            (
                "nothing_lost_nothing_twice",
                "Nothing lost, nothing twice: across two kills and every reconnect",
                self.nothing_lost_nothing_twice,
            ),
            (
                "gaps_said",
                "A gap is said aloud, before the next READY",
                self.gaps_said,
            ),
            (
                "identify_limits",
                "Identify limits hold, across the loss of the leader",
                self.identify_limits,
            ),
            (
                "resume_needs_nobody",
                "RESUME needs nobody: it works with no leader",
                self.resume_needs_nobody,
            ),
            (
                "one_owner",
                "One owner a shard: no session was used twice",
                self.one_owner,
            ),
        ]
    }
}
