//! A process under test: pinned to one core, its costs read from `/proc`.

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::callgrind;

/// The core of the process under test; everything else has the others.
const CORE: &str = "0";

/// Where a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// Beside the process under test.
    Beside,
    /// Under test: alone on its core.
    Core,
    /// Under test, and under callgrind, which leaves this file and others beside it.
    Callgrind(&'a Path),
}

/// A process; ends with its value.
pub(crate) struct Process {
    child: Child,
    limit: Duration,
}

/// What a process has cost so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// On a core, user and system together.
    pub(crate) cpu: Duration,
    /// Context switches, of its own will or not.
    pub(crate) switches: u64,
}

impl Process {
    /// Starts `program`.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        variables: &[(&str, String)],
        place: Place<'_>,
    ) -> Self {
        let mut through: Vec<OsString> = Vec::new();
        if place != Place::Beside && cores() > 1 {
            through.extend(["taskset", "-c", CORE].map(OsString::from));
        }
        let mut limit = Duration::from_secs(10);
        if let Place::Callgrind(out) = place {
            through.extend(callgrind::command(out));
            limit *= 6;
        }
        through.push(program.into());
        let mut command = Command::new(&through[0]);
        command.args(&through[1..]).args(arguments);
        command.envs(variables.iter().cloned());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        if std::env::var_os("BENCH_LOUD").is_none() {
            command.stderr(Stdio::null());
        }
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self { child, limit }
    }

    /// Its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// False once it has ended.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its costs so far.
    pub(crate) fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        let threads = format!("/proc/{}/task", self.child.id());
        for thread in fs::read_dir(threads).into_iter().flatten().flatten() {
            let read =
                |what: &str| fs::read_to_string(thread.path().join(what)).unwrap_or_default();
            // The first number: nanoseconds on a core.
            let schedstat = read("schedstat");
            let on_core = schedstat
                .split(' ')
                .next()
                .and_then(|nanos| nanos.parse().ok());
            cost.cpu += Duration::from_nanos(on_core.unwrap_or(0));
            let status = read("status");
            cost.switches += field(&status, "voluntary_ctxt_switches")
                + field(&status, "nonvoluntary_ctxt_switches");
        }
        cost
    }

    /// Bytes of memory that it has in use.
    pub(crate) fn rss(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        field(&status.unwrap_or_default(), "VmRSS") * 1024
    }

    /// SIGTERM, and waits for its end.
    fn end(&mut self) {
        let id = rustix::process::Pid::from_child(&self.child);
        _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let until = Instant::now() + self.limit;
        while Instant::now() < until {
            if !self.lives() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.lives() {
            self.end();
        }
    }
}

impl std::ops::Sub for Cost {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            switches: self.switches.saturating_sub(before.switches),
        }
    }
}

fn field(status: &str, name: &str) -> u64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|value| value.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// How many cores there are.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Moves this process, and what it starts unpinned, off the core of the process under test.
pub(crate) fn step_aside(cores: usize) {
    if cores < 2 {
        eprintln!("one core only: everything shares it, and figures mean little");
        return;
    }
    let pid = std::process::id().to_string();
    let others = format!("1-{}", cores - 1);
    let moved = Command::new("taskset")
        .args(["-a", "-p", "-c", &others, &pid])
        .output();
    assert!(
        moved.is_ok_and(|moved| moved.status.success()),
        "taskset is needed (util-linux)"
    );
}
