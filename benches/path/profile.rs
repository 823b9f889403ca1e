//! What callgrind wrote, told by crate and by function.
//!
//! `callgrind_annotate` lists a function once for every file whose code was inlined into it, and counts
//! what never returned, such as a thread's first function, as its own work.
//! The format: <https://valgrind.org/docs/manual/cl-format.html>.

use std::{collections::HashMap, fmt::Write as _, path::Path};

/// Instructions by name.
type Counts = HashMap<String, u64>;

/// What one file says.
#[derive(Default)]
pub(crate) struct Profile {
    /// By crate that the line was written in, inlined or not.
    crates: Counts,
    /// By function, with what was inlined into it.
    alone: Counts,
    /// With what it called; recursion counts as often as it goes round.
    inclusive: Counts,
}

impl Profile {
    /// Reads it.
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    fn parse(text: &str) -> Self {
        let mut profile = Self::default();
        let mut names = HashMap::new();
        let (mut file, mut function, mut callee) = (String::new(), String::new(), None);
        let mut after_call = false;
        for line in text.lines() {
            if let Some((key, value)) = line.split_once('=') {
                match key {
                    "fl" | "fi" | "fe" => file = named(&mut names, 'f', value),
                    "fn" => function = named(&mut names, 'n', value),
                    "cfi" | "cfl" => _ = named(&mut names, 'f', value),
                    "cfn" => callee = Some(named(&mut names, 'n', value)),
                    "calls" => after_call = true,
                    _ => {}
                }
                continue;
            }
            if !line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
                continue;
            }
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok());
            let cost: u64 = cost.unwrap_or(0);
            // The line after a call is what the callee cost, not this function.
            if std::mem::take(&mut after_call) {
                if callee.take().is_some_and(|callee| callee == function) {
                    continue;
                }
            } else {
                *profile.crates.entry(written_in(&file)).or_default() += cost;
                *profile.alone.entry(function.clone()).or_default() += cost;
            }
            *profile.inclusive.entry(function.clone()).or_default() += cost;
        }
        profile
    }

    /// The most expensive of each kind, as instructions an event.
    pub(crate) fn tell(&self, events: u64, count: usize) -> String {
        let whole: u64 = self.alone.values().sum();
        let mut text = String::new();
        for (what, counts) in [
            ("by crate of the line, inlined or not", &self.crates),
            ("by function, alone", &self.alone),
            ("by function, with what it calls", &self.inclusive),
        ] {
            _ = writeln!(text, "instructions an event {what}:");
            // What nearly everything goes through, such as a runtime's loop, tells nothing.
            let counts = counts.iter().filter(|(_, cost)| **cost * 10 < whole * 9);
            let mut counts: Vec<_> = counts.collect();
            counts.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
            for (name, cost) in counts.into_iter().take(count) {
                let share = *cost as f64 / whole as f64 * 100.0;
                _ = writeln!(text, "{:>8} {share:>5.1} % {name}", cost / events);
            }
        }
        text
    }
}

/// `(7) name` says what `(7)` means from there on.
fn named(names: &mut HashMap<(char, String), String>, kind: char, value: &str) -> String {
    let (number, name) = match value.split_once(") ") {
        Some((number, name)) => (number, Some(name)),
        None => (value.trim_end_matches(')'), None),
    };
    let key = (kind, number.to_owned());
    if let Some(name) = name {
        names.insert(key, name.to_owned());
        return name.to_owned();
    }
    names.get(&key).cloned().unwrap_or_default()
}

/// `…/registry/src/…/tokio-1.2.3/src/…` is `tokio`; the standard library tells its module.
fn written_in(file: &str) -> String {
    if let Some((_, path)) = file.split_once("/registry/src/") {
        let name = path.split('/').nth(1).unwrap_or(path);
        let end = name
            .match_indices('-')
            .find(|(at, _)| name[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
        return name[..end.map_or(name.len(), |(at, _)| at)].to_owned();
    }
    if let Some((_, path)) = file.split_once("/library/") {
        let parts: Vec<_> = path.split('/').filter(|part| *part != "src").collect();
        return parts[..parts.len().min(2)].join("::");
    }
    match file.strip_prefix(env!("CARGO_MANIFEST_DIR")) {
        Some(path) => path.trim_start_matches('/').to_owned(),
        None => file.rsplit('/').next().unwrap_or(file).to_owned(),
    }
}
