//! Fails where what every event or every round passes has become dearer, in instructions.
//!
//! Instructions do not depend on what else the machine does. They do on compiler and optimisation, so
//! `expected.txt` names the compiler, and tests/extra/50-instructions.sh, which runs this, always builds
//! in the same way. That script with `UPDATE=1` writes the expectation anew.

mod cases;
mod expected;
#[path = "../../path/heads.rs"]
mod heads;

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

use self::{
    cases::CASES,
    expected::{Counted, Expected},
};

/// As in the product; the one of the C library is another on every machine.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many rounds are counted together.
const ROUNDS: u32 = 256;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    if let [what, case] = &arguments[..]
        && what == "count"
    {
        let (_, set_up) = CASES[case.parse::<usize>().unwrap()];
        let mut case = set_up();
        // What happens once only.
        case();
        counted(&mut case);
        return ExitCode::SUCCESS;
    }
    let counts = CASES.iter().enumerate();
    let counts = counts.map(|(index, (name, _))| (*name, count(index)));
    let counted = Counted {
        by: compiler(),
        counts: counts.collect(),
    };
    if env::var_os("UPDATE").is_some_and(|update| update == "1") {
        expected::write(&counted);
    }
    let passes = Expected::read().judge(&counted);
    if passes {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Callgrind counts what happens in here, and nothing else.
#[inline(never)]
fn counted(case: &mut dyn FnMut()) {
    for _ in 0..ROUNDS {
        case();
    }
}

/// Instructions of one round.
fn count(case: usize) -> u64 {
    let gate = env::current_exe().unwrap();
    let out = gate.with_extension("callgrind.out");
    let done = Command::new("valgrind")
        .args(["-q", "--tool=callgrind", "--toggle-collect=gate::counted*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(&gate)
        .args(["count", &case.to_string()])
        .output()
        .expect("valgrind is installed");
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{told}");
    let whole = totals(&out);
    assert!(whole > 0, "callgrind has not seen gate::counted: {told}");
    whole / u64::from(ROUNDS)
}

fn totals(out: &Path) -> u64 {
    let text = std::fs::read_to_string(out).unwrap();
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    totals.unwrap().trim().parse().unwrap()
}

/// Compiler and machine.
fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    format!("{}, {}", said.trim(), env::consts::ARCH)
}
