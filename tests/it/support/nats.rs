//! NATS servers: real ones, and one that only claims to be old.

use std::{path::PathBuf, process::Stdio};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
};

use super::{process::BIN, until};

/// The server's binary; `make tools` sees to it.
pub(crate) fn binary() -> PathBuf {
    let found = shardfleet::broker::server::find().expect("run `make tools` first");
    found.canonicalize().unwrap()
}

/// A server on a port of its own, with JetStream; ends with its test, however that ends.
pub(crate) struct Nats {
    _child: Child,
    _store: TempDir,
    /// Where it listens.
    pub(crate) url: String,
}

impl Nats {
    /// Starts one on `port`; -1: any free one.
    pub(crate) async fn start(port: i32) -> Self {
        Self::with(port, "", "").await
    }

    /// Starts one with more in its configuration: within `jetstream`, and beside it.
    pub(crate) async fn with(port: i32, jetstream: &str, beside: &str) -> Self {
        let store = tempfile::tempdir().unwrap();
        let folder = store.path().display();
        let config = store.path().join("nats.conf");
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nports_file_dir: \"{folder}\"\nmax_payload: 8MB\n\
             jetstream {{ store_dir: \"{folder}\"{jetstream} }}\n{beside}\n"
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new(BIN)
            .args(["tether", "--parent", &std::process::id().to_string(), "--"])
            .arg(binary())
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let ports = store
            .path()
            .join(format!("nats-server_{}.ports", child.id().unwrap()));
        let url = until("nats-server has opened its port", async || {
            let ports: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&ports).ok()?).ok()?;
            Some(ports["nats"][0].as_str()?.to_owned())
        })
        .await;
        Self {
            _child: child,
            _store: store,
            url,
        }
    }
}

/// A listener that greets like a server of another version, and answers pings.
pub(crate) async fn claims(version: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let info = serde_json::json!({
        "server_id": "old", "server_name": "old", "version": version, "go": "go1.20",
        "host": "127.0.0.1", "port": port, "headers": true, "max_payload": 1_048_576,
        "jetstream": true, "proto": 1,
    });
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let info = format!("INFO {info}\r\n");
            tokio::spawn(async move {
                let (read, mut write) = socket.split();
                _ = write.write_all(info.as_bytes()).await;
                let mut lines = BufReader::new(read).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.starts_with("PING") {
                        _ = write.write_all(b"PONG\r\n").await;
                    }
                }
            });
        }
    });
    format!("nats://127.0.0.1:{port}")
}
