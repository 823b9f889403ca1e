//! The NATS server of `up`: who gets in, and who sees the password.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use shardfleet::{broker::Broker, config, subject::Names};

use crate::support::process::{Process, TOKEN, command, output};

/// An `up` that runs, its folder, its server's address and process, and the address with the password.
struct Up {
    process: Process,
    data: PathBuf,
    url: String,
    server: u64,
    login: String,
}

impl Up {
    async fn start(folder: tempfile::TempDir) -> Self {
        let data = folder.path().join("shardfleet-data");
        let process = Process::start_in(folder, &["up"], &[("RUST_LOG", "trace")]);
        process.reached().await;
        let line = process.logged("nats-server runs").await;
        let file = Path::new(line["login"].as_str().unwrap());
        assert!(file.starts_with(data.canonicalize().unwrap()));
        Self {
            login: fs::read_to_string(file).unwrap().trim().to_owned(),
            url: line["url"].as_str().unwrap().to_owned(),
            server: line["pid"].as_u64().unwrap(),
            process,
            data,
        }
    }

    fn password(&self) -> &str {
        let (_, rest) = self.login.split_once("shardfleet:").unwrap();
        rest.split_once('@').unwrap().0
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn refusal(url: &str, user: &str, password: &str) -> Option<String> {
    let nats = config::Nats {
        url: url.to_owned(),
        user: user.to_owned(),
        password: password.to_owned().into(),
        ..config::Nats::default()
    };
    Broker::refusal(&nats).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_the_password() {
    let up = Up::start(tempfile::tempdir().unwrap()).await;
    let refused = Some("the server refuses the login".to_owned());
    assert_eq!(refusal(&up.url, "", "").await, refused);
    assert_eq!(refusal(&up.url, "shardfleet", "").await, refused);
    assert_eq!(refusal(&up.url, "shardfleet", "x").await, refused);
    assert_eq!(refusal(&up.url, "shardfleet", up.password()).await, None);
    assert_eq!(refusal(&up.login, "", "").await, None);
    // Who was let in reads and writes.
    let nats = config::Nats {
        url: up.login.clone(),
        ..config::Nats::default()
    };
    let broker = Broker::connect(&nats, Names::new("discord"), "test").await;
    let broker = broker.unwrap();
    let limit = std::time::Duration::from_secs(10);
    broker.ready(limit).await.unwrap();
    broker
        .jetstream
        .get_key_value("discord_state")
        .await
        .unwrap();

    // Commands of the same user, as `up` tells them.
    let folder = tempfile::tempdir().unwrap();
    let told = up.process.written();
    let line = told
        .lines()
        .find(|line| line.starts_with("status "))
        .unwrap();
    let line = line.trim_start_matches("status").trim();
    let line = line.replace(
        "shardfleet status",
        &format!("{} status", env!("CARGO_BIN_EXE_shardfleet")),
    );
    let mut shell = Command::new("sh");
    let (code, text) = output(shell.arg("-c").arg(line).current_dir(folder.path()));
    assert!(code == 0 && text.contains("leader   "), "{code}: {text}");
    // From a file alone, and not at all.
    let file = up.data.join("nats.password").display().to_string();
    let mut status = command(&folder);
    status
        .env("NATS_URL", &up.url)
        .env("SHARDFLEET_NATS__USER", "shardfleet");
    let (code, text) = output(
        status
            .env("SHARDFLEET_NATS__PASSWORD_FILE", file)
            .arg("status"),
    );
    assert!(code == 0 && text.contains("leader   "), "{code}: {text}");
    let (code, text) = output(command(&folder).env("NATS_URL", &up.url).arg("status"));
    assert!(
        code == 1 && text.contains("refuses the login"),
        "{code}: {text}"
    );
    assert!(!text.contains(up.password()), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_is_only_in_files_of_this_user() {
    let folder = tempfile::tempdir().unwrap();
    // What a release before this one left: open to everybody.
    let data = folder.path().join("shardfleet-data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    fs::write(data.join("nats.conf"), "").unwrap();
    fs::set_permissions(data.join("nats.conf"), Permissions::from_mode(0o644)).unwrap();

    let up = Up::start(folder).await;
    assert!(up.password().len() >= 32 && up.url.starts_with("nats://127.0.0.1:"));
    assert_eq!(mode(&up.data), 0o700);
    for file in ["nats.conf", "nats.password", "nats.url"] {
        let path = up.data.join(file);
        assert_eq!(mode(&path), 0o600, "{file}");
        assert!(
            fs::read_to_string(&path).unwrap().contains(up.password()),
            "{file}"
        );
    }
    let own = up.process.logged("runs").await["pid"].as_u64().unwrap();
    assert!(!up.process.written().contains(up.password()));
    let log = fs::read_to_string(up.data.join("nats.log")).unwrap();
    assert!(!log.is_empty() && !log.contains(up.password()), "{log}");
    for process in [own, up.server] {
        for file in ["cmdline", "environ"] {
            let shown = fs::read(format!("/proc/{process}/{file}")).unwrap();
            let shown = String::from_utf8_lossy(&shown);
            assert!(
                !shown.is_empty() && !shown.contains(up.password()),
                "{file}"
            );
        }
    }
    // The next start has another one.
    let before = up.password().to_owned();
    up.process.signal(Signal::TERM);
    let next = Up::start(up.process.into_folder().await).await;
    assert_ne!(next.password(), before);
    let refused = Some("the server refuses the login".to_owned());
    assert_eq!(refusal(&next.url, "shardfleet", &before).await, refused);
}

/// `--data` may name a folder with other things in it: its mode is its owner's, who is told.
#[tokio::test]
async fn a_folder_of_somebody_elses_keeps_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("home");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("thesis.txt"), "").unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    let up = Process::start_in(folder, &["up", "--data", "home"], &[]);
    up.reached().await;
    up.logged("others on this machine may enter").await;
    assert_eq!(mode(&data), 0o755);
    assert_eq!(mode(&data.join("nats.url")), 0o600);
    assert!(!up.written().contains(TOKEN));
}
