//! The floors: a file imports from lower floors, and from its own only what its row names.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Module, floor, and what it may import from its own floor.
const FLOORS: &[(&str, u8, &[&str])] = &[
    ("fleet", 0, &[]),
    ("wire", 0, &["fleet"]),
    ("subject", 0, &["fleet"]),
    ("backoff", 0, &[]),
    ("clock", 0, &[]),
    ("alarm", 1, &[]),
    ("config", 1, &[]),
    ("files", 1, &[]),
    ("shutdown", 1, &["supervise"]),
    ("supervise", 1, &["telemetry"]),
    ("telemetry", 1, &["config"]),
    ("bot", 2, &["rest"]),
    ("broker", 2, &[]),
    ("identify", 2, &[]),
    ("lease", 2, &["broker"]),
    ("rest", 2, &[]),
    ("roster", 2, &["broker"]),
    ("web", 2, &["broker", "roster"]),
    // Roles never import each other: they meet in `wire` and `subject`.
    ("gateway", 3, &[]),
    ("coordinator", 3, &[]),
    ("sim", 3, &[]),
    ("audit", 4, &[]),
    ("app", 4, &[]),
    ("cli", 4, &["app", "audit"]),
];

/// What judges a fleet shares nothing with it, least of all its arithmetic.
const SIM: &[&str] = &["clock", "config", "shutdown", "telemetry", "web"];

/// More lines of code than this are more than one thing.
const MOST_LINES: usize = 300;
/// Files that were larger when this was written: they may shrink.
const GROWN: &[(&str, usize)] = &[("gateway/shard.rs", 330)];

/// Files that decide: no waiting, no clock, no input or output.
const PURE: &[&str] = &[
    "fleet.rs",
    "wire.rs",
    "wire/",
    "subject.rs",
    "backoff.rs",
    "broker/differs.rs",
    "broker/loss.rs",
    "audit.rs",
    "audit/",
    "cli/check/migration.rs",
    "cli/check/sizes.rs",
    "identify.rs",
    "lease/state.rs",
    "roster/overview.rs",
    "roster/waits.rs",
    "web/chronicle.rs",
    "web/html.rs",
    "web/html/",
    "gateway/assign.rs",
    "gateway/peek.rs",
    "gateway/broken.rs",
    "gateway/buffer.rs",
    "gateway/command/limits.rs",
    "gateway/control.rs",
    "gateway/heartbeat.rs",
    "gateway/lifecycle.rs",
    "gateway/lifecycle/action.rs",
    "gateway/lifecycle/state.rs",
    "gateway/openings.rs",
    "gateway/forward/flight.rs",
    "gateway/forward/ingest.rs",
    "gateway/reach.rs",
    "gateway/holders.rs",
    "coordinator/buckets.rs",
    "coordinator/buckets/",
    "coordinator/budget.rs",
    "coordinator/slowdown.rs",
    "coordinator/slowdown/",
    "coordinator/standstill.rs",
    "coordinator/yielding.rs",
    "coordinator/leader.rs",
    "coordinator/limits/answer.rs",
    "coordinator/leader/",
    "coordinator/compat/call.rs",
    "sim/session.rs",
    "sim/stencil.rs",
    "sim/frames.rs",
    "sim/limits.rs",
    "sim/armed.rs",
    "sim/arrivals.rs",
    "sim/bot.rs",
    "sim/world.rs",
];
const IMPURE: &[&str] = &[
    "async fn",
    ".await",
    "tokio::spawn",
    "clock::now()",
    "clock::unix_ms()",
    "clock::boottime()",
    "std::fs",
    "std::net",
    "std::env",
    "async_nats",
    "reqwest",
];

#[test]
fn no_import_goes_up_or_sideways() {
    let floors: BTreeMap<_, _> = FLOORS
        .iter()
        .map(|(name, floor, own)| (*name, (*floor, *own)))
        .collect();
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let Some(module) = module(&file) else {
            continue;
        };
        let Some((floor, own)) = floors.get(module.as_str()) else {
            wrong.push(format!("{}: {module} has no row in FLOORS", file.display()));
            continue;
        };
        for imported in imports(&text) {
            if imported == module {
                continue;
            }
            let Some((theirs, _)) = floors.get(imported.as_str()) else {
                wrong.push(format!(
                    "{}: crate::{imported} has no row in FLOORS",
                    file.display()
                ));
                continue;
            };
            let allowed = theirs < floor || (theirs == floor && own.contains(&imported.as_str()));
            let foreign = module == "sim" && !SIM.contains(&imported.as_str());
            if !allowed || foreign {
                wrong.push(format!("{}: {module} imports {imported}", file.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports against the floors:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_simulator_knows_nothing_of_the_fleet() {
    for (file, text) in sources() {
        if module(&file).as_deref() == Some("sim") {
            for name in ["async_nats", "twilight_gateway", "shardfleet::"] {
                assert!(
                    !code(&text).contains(name),
                    "{} names {name}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn what_decides_does_nothing_else() {
    for (file, text) in sources() {
        let name = file.to_string_lossy();
        let pure = PURE
            .iter()
            .any(|p| *p == name || p.ends_with('/') && name.starts_with(p));
        if pure {
            for word in IMPURE {
                assert!(
                    !code(&text).contains(word),
                    "{name} is pure, but has {word}"
                );
            }
        }
    }
}

#[test]
fn files_are_small_and_named_for_one_thing() {
    for (file, text) in sources() {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let vague = [
            "mod.rs",
            "utils.rs",
            "util.rs",
            "helpers.rs",
            "models.rs",
            "constants.rs",
            "error.rs",
        ];
        assert!(
            !vague.contains(&name.as_str()),
            "{} is named for nothing",
            file.display()
        );
        let lines = code(&text)
            .lines()
            .filter(|line| !line.trim().is_empty())
            .count();
        // A list of cases is read one case at a time, and may be long.
        if name == "tests.rs" {
            continue;
        }
        let grown = GROWN.iter().find(|(grown, _)| file == Path::new(grown));
        let most = grown.map_or(MOST_LINES, |(_, lines)| *lines);
        assert!(
            lines <= most,
            "{} has {lines} lines of code",
            file.display()
        );
    }
}

/// Every file of `src/`, by its path in it.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_owned();
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(files.len() > 20, "the sources were not found");
    files
}

/// The first name of a file's path; none for the crate's own roots.
fn module(file: &Path) -> Option<String> {
    let name = file.iter().next()?.to_string_lossy();
    let name = name.trim_end_matches(".rs");
    (!["lib", "main"].contains(&name)).then(|| name.to_owned())
}

/// The modules that a file names with `crate::`, one by one or in braces.
fn imports(text: &str) -> BTreeSet<String> {
    let text: String = text.lines().map(uncommented).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(first_names(list)),
            None => found.extend(word(rest)),
        }
    }
    found
}

/// The first name of each path in a list up to its closing brace.
fn first_names(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut fresh) = (0, Vec::new(), true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && !c.is_whitespace() => {
                names.extend(word(&list[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

/// A module's name; the crate's one macro, `metrics!`, belongs to no floor.
fn word(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let is_macro = text[end..].starts_with('!') || &text[..end] == "metrics";
    (end > 0 && !is_macro).then(|| text[..end].to_owned())
}

/// A file without its tests and comments.
fn code(text: &str) -> String {
    let text = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    text.lines().map(uncommented).collect::<Vec<_>>().join("\n")
}

fn uncommented(line: &str) -> &str {
    match line.trim_start() {
        trimmed if trimmed.starts_with("//") => "",
        _ => line.split(" // ").next().unwrap_or_default(),
    }
}

#[test]
fn imports_are_read_in_every_form() {
    let text = "use crate::{\n    broker::{self, Broker},\n    clock, wire::x::{a, b},\n};\n// crate::sim\n\
                fn f() { crate::fleet::g(); crate::metrics!(); pub(crate) }\n";
    let found: Vec<_> = imports(text).into_iter().collect();
    assert_eq!(found, ["broker", "clock", "fleet", "wire"]);
}
