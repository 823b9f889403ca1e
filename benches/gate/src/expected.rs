//! The counts that are expected, and how far off a count may be.

use std::fmt::Write as _;

/// Where they stand.
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/expected.txt");
/// Per cent that a count may be above the expected one.
const TOLERANCE: f64 = 5.0;
/// The same where another compiler counted.
const OTHER_COMPILER: f64 = 20.0;

/// What was counted now.
pub(crate) struct Counted {
    /// Compiler and machine.
    pub(crate) by: String,
    /// Instructions a round, by case.
    pub(crate) counts: Vec<(&'static str, u64)>,
}

/// What was counted when somebody looked at it.
pub(crate) struct Expected {
    by: String,
    counts: Vec<(String, u64)>,
}

impl Expected {
    /// Reads them.
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(PATH).unwrap();
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let by = lines.next().unwrap().to_owned();
        let count = |line: &str| {
            let (count, name) = line.split_once(' ').unwrap();
            (name.to_owned(), count.parse().unwrap())
        };
        Self {
            by,
            counts: lines.map(count).collect(),
        }
    }

    /// Prints how they compare. False where one is too dear, or is expected and not counted, or the
    /// other way round.
    pub(crate) fn judge(&self, counted: &Counted) -> bool {
        let same = self.by == counted.by;
        let tolerance = if same { TOLERANCE } else { OTHER_COMPILER };
        if !same {
            println!("expected by {}, counted by {}", self.by, counted.by);
        }
        println!("instructions a round, at most {tolerance} % more than expected:");
        let mut passes = true;
        for (name, _) in &self.counts {
            if !counted.counts.iter().any(|(counted, _)| counted == name) {
                println!("{name}: FAILED, expected and not counted");
                passes = false;
            }
        }
        for (name, count) in &counted.counts {
            let expected = self.counts.iter().find(|(expected, _)| expected == name);
            let Some((_, expected)) = expected else {
                println!("{count:>9} {name}: FAILED, nothing is expected");
                passes = false;
                continue;
            };
            let more = (*count as f64 / *expected as f64 - 1.0) * 100.0;
            let verdict = if more > tolerance {
                passes = false;
                ": FAILED, dearer"
            } else if more < -tolerance {
                ": cheaper, so renew what is expected"
            } else {
                ""
            };
            println!("{count:>9} {name}, expected {expected}, {more:+.1} %{verdict}");
        }
        passes
    }
}

/// Expects from now on what was counted.
pub(crate) fn write(counted: &Counted) {
    let mut text = format!(
        "# Instructions a round; UPDATE=1 tests/extra/50-instructions.sh writes this.\n{}\n",
        counted.by
    );
    for (name, count) in &counted.counts {
        _ = writeln!(text, "{count} {name}");
    }
    std::fs::write(PATH, text).unwrap();
}
