//! One child process: its log in a file, its end with its guard.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{super::process::BIN, wait::eventually};

/// Variables of whoever runs the tests that would reach into a fleet.
const FOREIGN: [&str; 4] = ["DISCORD_TOKEN", "NATS_URL", "NATS_CREDS", "RUST_LOG"];

/// A process of a fleet.
pub(crate) struct Process {
    pub(crate) name: String,
    child: Child,
}

/// What to start.
pub(crate) struct Start<'a> {
    /// Names its log.
    pub(crate) name: &'a str,
    /// The program.
    pub(crate) program: &'a Path,
    /// Its arguments.
    pub(crate) arguments: &'a [String],
    /// Variables that it gets.
    pub(crate) variables: &'a [(&'a str, String)],
    /// Where it runs, and where its log goes.
    pub(crate) folder: &'a Path,
}

impl Process {
    /// Starts it on a tether: it ends with this process, however that ends.
    pub(crate) fn start(start: &Start<'_>) -> Self {
        let log = log(start);
        let errors = log.try_clone().unwrap();
        Self::spawn(start, log.into(), errors.into())
    }

    /// Starts it, and waits for the first line of its stdout.
    pub(crate) fn start_and_hear(start: &Start<'_>) -> (Self, String) {
        let mut process = Self::spawn(start, Stdio::piped(), log(start).into());
        let mut line = String::new();
        let stdout = process.child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{} ended at once", start.name);
        (process, line.trim().to_owned())
    }

    fn spawn(start: &Start<'_>, stdout: Stdio, stderr: Stdio) -> Self {
        let mut command = Command::new(BIN);
        for (key, _) in std::env::vars_os() {
            let key = key.to_string_lossy().into_owned();
            let foreign = key.starts_with("SHARDFLEET_") || FOREIGN.contains(&key.as_str());
            // Loopback is reached directly, whatever proxy the machine has.
            if foreign || key.to_lowercase().ends_with("_proxy") {
                command.env_remove(key);
            }
        }
        let own = std::process::id().to_string();
        let child = command
            .args(["tether", "--parent", &own, "--"])
            .arg(start.program)
            .args(start.arguments)
            .envs(start.variables.iter().map(|(key, value)| (key, value)))
            .current_dir(start.folder)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        let name = start.name.to_owned();
        Self { name, child }
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; its exit code, once it has ended.
    pub(crate) async fn stop(self, limit: Duration) -> Option<i32> {
        self.signal(Signal::TERM);
        self.end(limit).await
    }

    /// Its exit code, once it has ended by itself.
    pub(crate) async fn end(mut self, limit: Duration) -> Option<i32> {
        let what = format!("the end of {}", self.name);
        let status = eventually(&what, limit, async || self.ended()).await;
        status.code()
    }

    /// Its number; the tether becomes the program.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Any signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; a stopped one dies of this too.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn log(start: &Start<'_>) -> File {
    let path: PathBuf = start.folder.join(format!("{}.log", start.name));
    let mut options = OpenOptions::new();
    options.create(true).append(true).open(path).unwrap()
}
