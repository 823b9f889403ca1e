//! The demo's processes: each on a tether, each with a log of its own, killed by name.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use crate::broker::server::tethered;

/// Variables of the caller that would reach into the run.
const FOREIGN: [&str; 4] = ["DISCORD_TOKEN", "NATS_URL", "NATS_CREDS", "RUST_LOG"];

/// Everyone who runs.
pub(super) struct Crew {
    program: PathBuf,
    logs: PathBuf,
    members: Vec<(String, Child)>,
}

impl Crew {
    /// Nobody yet; logs go to the folder `logs`.
    pub(super) fn new(logs: &Path) -> Result<Self> {
        Ok(Self {
            program: std::env::current_exe().context("cannot find this binary")?,
            logs: logs.to_owned(),
            members: Vec::new(),
        })
    }

    /// Starts this binary under a name.
    pub(super) fn start(
        &mut self,
        name: &str,
        arguments: &[String],
        variables: &[(&str, String)],
    ) -> Result<&mut Child> {
        let log = self.log(name);
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = tethered(&self.program)?;
        for (key, _) in std::env::vars_os() {
            let key = key.to_string_lossy();
            if key.starts_with("SHARDFLEET_") || FOREIGN.contains(&key.as_ref()) {
                command.env_remove(key.as_ref());
            }
        }
        let child = command
            .args(arguments)
            .envs(variables.iter().map(|(key, value)| (key, value)))
            // Away from a config.toml that may lie where the demo was started.
            .current_dir(&self.logs)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        self.members.push((name.to_owned(), child));
        Ok(&mut self.members.last_mut().context("a crew of nobody")?.1)
    }

    /// `kill -9`, and waits until it is gone.
    pub(super) async fn kill(&mut self, name: &str) -> Result<()> {
        let at = self.members.iter().position(|(member, _)| member == name);
        let (_, mut child) = self
            .members
            .remove(at.with_context(|| format!("no {name} runs"))?);
        child
            .kill()
            .await
            .with_context(|| format!("cannot kill {name}"))
    }

    /// Nobody must end unasked.
    pub(super) fn check(&mut self) -> Result<()> {
        for at in 0..self.members.len() {
            let (name, child) = &mut self.members[at];
            if let Some(status) = child.try_wait()? {
                let name = name.clone();
                bail!(
                    "{name} ended with {status}; see {}",
                    self.log(&name).display()
                );
            }
        }
        Ok(())
    }

    /// Ends everyone. What they did is on record; nothing waits for them any more.
    pub(super) async fn end(mut self) {
        for (_, child) in &mut self.members {
            _ = child.kill().await;
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }
}

/// The first line that a child writes to stdout; what follows it is thrown away.
pub(super) async fn first_line(child: &mut Child) -> Result<String> {
    let mut lines = BufReader::new(child.stdout.take().context("stdout is taken")?).lines();
    let first = lines
        .next_line()
        .await?
        .context("it wrote nothing to stdout")?;
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(first)
}
