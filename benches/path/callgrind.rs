//! A process under callgrind: its instructions from one moment to another, all threads together.
//!
//! Instructions of the process alone, not of the kernel on its behalf.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// What it lacks here.
pub(crate) fn missing() -> Option<&'static str> {
    if cfg!(not(feature = "valgrind")) {
        return Some("the gateway runs under valgrind only when built with `--features valgrind`");
    }
    let said = Command::new("valgrind").arg("--version").output();
    let found = said.is_ok_and(|said| said.status.success());
    (!found).then_some("valgrind is needed (Debian: apt-get install valgrind)")
}

/// What a process under it is started through.
pub(crate) fn command(out: &Path) -> Vec<OsString> {
    let mut out_file = OsString::from("--callgrind-out-file=");
    out_file.push(out);
    let options = ["valgrind", "-q", "--tool=callgrind", "--fair-sched=yes"];
    options
        .map(OsString::from)
        .into_iter()
        .chain([out_file])
        .collect()
}

/// The way to one process's callgrind.
pub(crate) struct Callgrind {
    process: u32,
    out: PathBuf,
    dumps: usize,
}

impl Callgrind {
    /// Of this process, started through [`command`] with the same `out`.
    pub(crate) fn of(process: u32, out: PathBuf) -> Self {
        Self {
            process,
            out,
            dumps: 0,
        }
    }

    /// Counts from here.
    pub(crate) fn zero(&self) {
        self.ask("zero");
    }

    /// What was counted since [`Self::zero`], and the file with the profile of it.
    pub(crate) fn take(&mut self) -> (u64, PathBuf) {
        self.ask("dump");
        self.dumps += 1;
        let mut profile = self.out.clone().into_os_string();
        profile.push(format!(".{}", self.dumps));
        let profile = PathBuf::from(profile);
        let text = std::fs::read_to_string(&profile)
            .unwrap_or_else(|error| panic!("callgrind left no {}: {error}", profile.display()));
        let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
        let totals = totals.and_then(|totals| totals.trim().parse().ok());
        (totals.expect("callgrind counts"), profile)
    }

    /// Through valgrind's own door.
    fn ask(&self, what: &str) {
        let done = Command::new("vgdb")
            .arg(format!("--pid={}", self.process))
            .args(["--wait=30", what])
            .output()
            .unwrap_or_else(|error| panic!("vgdb, which valgrind comes with: {error}"));
        assert!(
            done.status.success(),
            "callgrind does not {what}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}
