//! A `nats-server` child: found, started on a free loopback port with a store of its own, ended
//! with its parent.
//!
//! Any user of this machine reaches a loopback port, so it has one user, with a password of its own for
//! each start. That stands in files which this user alone may read, in the folder of the store: nobody
//! sees it on a command line, in a variable or in a log.

mod private;

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use rand::Rng;
use tokio::process::{Child, Command};

use crate::{
    clock,
    config::{Nats, Secret},
};

/// How long a server may take to open its port.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Who may log in.
const USER: &str = "shardfleet";

/// A server of our own. Dropping it kills it; [`Server::stop`] lets it flush first.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub url: String,
    /// Its process id.
    pub pid: u32,
    password: Secret,
    store: PathBuf,
}

impl Server {
    /// Starts a server whose store is the folder `store`, which is created.
    ///
    /// # Errors
    /// Where no binary is found, or it does not open its port in time.
    pub async fn start(store: &Path) -> Result<Self> {
        let binary = find()?;
        if !store.is_dir() {
            private::folder(store)?;
        }
        let ports = store.join("ports");
        std::fs::create_dir_all(&ports)
            .with_context(|| format!("cannot create {}", ports.display()))?;
        let password = password();
        let config = store.join("nats.conf");
        private::file(&config, &configuration(store, &ports, &password))?;
        private::file(&store.join(PASSWORD_FILE), password.expose())?;
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
            password,
            store: store.to_owned(),
        };
        server.url = server.wait_for_port(&ports, store).await?;
        private::file(&server.url_file(), &server.url_with_login())?;
        let login = server.url_file().display().to_string();
        tracing::info!(
            pid,
            url = server.url,
            login,
            "nats-server runs at {}; its address with user and password stands in {login}",
            server.url
        );
        Ok(server)
    }

    /// How this process reaches it.
    pub fn nats(&self) -> Nats {
        Nats {
            url: self.url.clone(),
            user: USER.to_owned(),
            password: self.password.clone(),
            ..Nats::default()
        }
    }

    /// How another process of this user reaches it: configuration keys and their values.
    pub fn keys(&self) -> [(&'static str, String); 3] {
        let file = self.store.join(PASSWORD_FILE).display().to_string();
        [
            ("nats.url", self.url.clone()),
            ("nats.user", USER.to_owned()),
            ("nats.password_file", file),
        ]
    }

    /// The file with its URL, user and password in it: what a person gives to `NATS_URL`.
    pub fn url_file(&self) -> PathBuf {
        self.store.join("nats.url")
    }

    fn url_with_login(&self) -> String {
        let password = self.password.expose();
        let address = self.url.trim_start_matches("nats://");
        format!("nats://{USER}:{password}@{address}\n")
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

/// Creates the folder of a store, or closes the one that is there to other users of this machine.
///
/// # Errors
/// Where it cannot be created.
pub fn create_store(store: &Path) -> Result<()> {
    private::folder(store)
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

fn configuration(store: &Path, ports: &Path, password: &Secret) -> String {
    format!(
        "listen: \"127.0.0.1:-1\"\nports_file_dir: \"{}\"\nmax_payload: 8MB\nwrite_deadline: \"10s\"\n\
         authorization {{ user: \"{USER}\", password: \"{}\" }}\njetstream {{ store_dir: \"{}\" }}\n",
        ports.display(),
        password.expose(),
        store.display()
    )
}

/// Letters and digits that a URL and a configuration take as they are.
fn password() -> Secret {
    format!("{:032x}", rand::rng().random::<u128>()).into()
}

fn first_url(ports: &[u8]) -> Option<String> {
    let ports: serde_json::Value = serde_json::from_slice(ports).ok()?;
    Some(ports.get("nats")?.get(0)?.as_str()?.to_owned())
}

const PASSWORD_FILE: &str = "nats.password";
