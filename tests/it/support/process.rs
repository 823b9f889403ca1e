//! shardfleet processes: started with a clean environment in a folder of their own, killed with
//! their test.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{http, until};

/// The binary under test.
pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_shardfleet");

/// The token of every fleet under test.
pub(crate) const TOKEN: &str = "MTk4NjIyNDgzNDcx.Cl2FMQ.not-a-real-token-but-a-secret";
/// A Discord that nobody answers at.
pub(crate) const AWAY: &str = "http://127.0.0.1:9/api/v10";

/// A running shardfleet.
pub(crate) struct Process {
    child: Child,
    folder: TempDir,
}

/// A command in `folder` that sees nothing of this machine's own configuration.
pub(crate) fn command(folder: &TempDir) -> Command {
    command_of(Path::new(BIN), folder)
}

/// The same of another build.
pub(crate) fn command_of(program: &Path, folder: &TempDir) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .env_clear()
        .envs(std::env::vars_os().filter(|(key, _)| {
            let key = key.to_string_lossy();
            !key.starts_with("SHARDFLEET_")
                && !["DISCORD_TOKEN", "NATS_URL", "NATS_CREDS", "RUST_LOG"].contains(&&*key)
        }))
        .env("NATS_SERVER", super::nats::binary());
    command
}

/// Runs a command to its end; returns its code, and all that it wrote.
pub(crate) fn output(command: &mut Command) -> (i32, String) {
    let output = command.output().expect("the binary must start");
    let text = [output.stdout, output.stderr].concat();
    let code = output.status.code().unwrap_or(-1);
    (code, String::from_utf8_lossy(&text).into_owned())
}

impl Process {
    /// Starts `shardfleet` with these arguments; its page on a free port, Discord away.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments, &[])
    }

    /// The same with variables, in a folder that may hold a configuration or a store already.
    pub(crate) fn start_in(
        folder: TempDir,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let file = |name| File::create(folder.path().join(name)).unwrap();
        let child = command(&folder)
            .env("DISCORD_TOKEN", TOKEN)
            .env("SHARDFLEET_DISCORD__API", AWAY)
            .env("SHARDFLEET_WEB__LISTEN", "127.0.0.1:0")
            .envs(variables.iter().copied())
            .args(arguments)
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .expect("the binary must start");
        Self { child, folder }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.unwrap(), signal).expect("the process must be there");
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        until("the process has ended", async || {
            self.child.try_wait().unwrap()
        })
        .await
    }

    /// Waits for its end, then returns its folder to another process.
    pub(crate) async fn into_folder(mut self) -> TempDir {
        self.ended().await;
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    /// What it has written so far, to both streams.
    pub(crate) fn written(&self) -> String {
        ["stdout", "stderr"]
            .map(|name| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default())
            .concat()
    }

    /// Waits for a line of its JSON log and returns it.
    pub(crate) async fn logged(&self, message: &str) -> serde_json::Value {
        until(&format!("it logs {message:?}"), async || {
            let written = self.written();
            let mut lines = written
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            lines.find(|line: &serde_json::Value| {
                let said = line["message"].as_str();
                said.is_some_and(|said| said.contains(message))
            })
        })
        .await
    }

    /// The address of its page.
    pub(crate) async fn page(&self) -> String {
        let line = self.logged("the page is at").await;
        format!("http://{}", line["address"].as_str().unwrap())
    }

    /// Waits until it has reached NATS; returns the address of its page.
    pub(crate) async fn reached(&self) -> String {
        let page = self.page().await;
        until("it has reached NATS", async || {
            http::is_well(&format!("{page}/api/fleet"))
                .await
                .then_some(())
        })
        .await;
        page
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the test runner shows it with the failure"
)]
impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- what {} wrote:\n{}", self.child.id(), self.written());
        }
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
