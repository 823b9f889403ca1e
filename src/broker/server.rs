//! A `nats-server` child: found, started on a free loopback port with a store of its own, ended
//! with its parent.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::process::{Child, Command};

use crate::clock;

/// How long a server may take to open its port.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A server of our own. Dropping it kills it; [`Server::stop`] lets it flush first.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub url: String,
    /// Its process id.
    pub pid: u32,
}

impl Server {
    /// Starts a server whose store is the folder `store`, which is created.
    ///
    /// # Errors
    /// Where no binary is found, or it does not open its port in time.
    pub async fn start(store: &Path) -> Result<Self> {
        let binary = find()?;
        let ports = store.join("ports");
        std::fs::create_dir_all(&ports)
            .with_context(|| format!("cannot create {}", ports.display()))?;
        let config = store.join("nats.conf");
        std::fs::write(&config, configuration(store, &ports))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let log = std::fs::File::create(store.join("nats.log"))?;
        let child = tethered(&binary)?
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let pid = child.id().unwrap_or_default();
        let mut server = Self {
            child,
            url: String::new(),
            pid,
        };
        server.url = server.wait_for_port(&ports, store).await?;
        tracing::info!(pid, url = server.url, "nats-server runs at {}", server.url);
        Ok(server)
    }

    async fn wait_for_port(&mut self, ports: &Path, store: &Path) -> Result<String> {
        let file = ports.join(format!("nats-server_{}.ports", self.pid));
        let deadline = clock::now() + START_LIMIT;
        loop {
            if let Some(url) = std::fs::read(&file).ok().and_then(|text| first_url(&text)) {
                return Ok(url);
            }
            let log = store.join("nats.log");
            if let Some(status) = self.child.try_wait()? {
                bail!("nats-server ended with {status}; see {}", log.display());
            }
            if clock::now() >= deadline {
                bail!(
                    "nats-server opened no port within {START_LIMIT:?}; see {}",
                    log.display()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns when it has ended, asked or not.
    ///
    /// # Errors
    /// Where the operating system does not tell.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        self.child
            .wait()
            .await
            .context("cannot wait for nats-server")
    }

    /// Asks it to end and waits until it has; kills it after `limit`.
    ///
    /// # Errors
    /// Where the operating system refuses.
    pub async fn stop(mut self, limit: Duration) -> Result<()> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let pid = rustix::process::Pid::from_raw(pid).ok_or_else(|| anyhow!("no process"))?;
            _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(limit, self.child.wait())
            .await
            .is_err()
        {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// A command that dies with its parent, also when that is killed: this binary's hidden `tether`.
///
/// # Errors
/// Where the path of this binary is unknown.
pub fn tethered(program: &Path) -> Result<Command> {
    let own = match std::env::var_os("SHARDFLEET_BIN") {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe().context("cannot find this binary")?,
    };
    let mut command = Command::new(own);
    command
        .arg("tether")
        .arg("--parent")
        .arg(std::process::id().to_string())
        .arg("--");
    command.arg(program);
    Ok(command)
}

/// The server's binary: `NATS_SERVER`, then `.tools/`, then PATH.
///
/// # Errors
/// Says where it was looked for and how to get one.
pub fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NATS_SERVER").map(PathBuf::from) {
        return if path.is_file() {
            Ok(path)
        } else {
            bail!("NATS_SERVER names no file: {}", path.display())
        };
    }
    let tools = PathBuf::from(".tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(tools)
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join("nats-server"))
        .find(|binary| binary.is_file())
        .map(|binary| binary.canonicalize().unwrap_or(binary))
        .ok_or_else(|| {
            anyhow!(
                "there is no nats-server in .tools/bin or on PATH: run `make tools`, install it \
                 (2.11 or later), or set NATS_SERVER or nats.url"
            )
        })
}

fn configuration(store: &Path, ports: &Path) -> String {
    format!(
        "listen: \"127.0.0.1:-1\"\nports_file_dir: \"{}\"\nmax_payload: 8MB\nwrite_deadline: \"10s\"\n\
         jetstream {{ store_dir: \"{}\" }}\n",
        ports.display(),
        store.display()
    )
}

fn first_url(ports: &[u8]) -> Option<String> {
    let ports: serde_json::Value = serde_json::from_slice(ports).ok()?;
    Some(ports.get("nats")?.get(0)?.as_str()?.to_owned())
}
