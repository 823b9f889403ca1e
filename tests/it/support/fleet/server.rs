//! A real nats-server of one test, on a port that it gets again after a restart.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
};

use shardfleet::broker::server;

use super::{
    member::{Process, Start},
    wait::{SOON, eventually},
};

/// The server.
pub(crate) struct Nats {
    pub(crate) address: SocketAddr,
    process: Option<Process>,
    folder: PathBuf,
}

impl Nats {
    /// Starts one with its store in `folder`.
    pub(crate) async fn start(folder: &Path, max_payload: u32) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let store = folder.join("store");
        let config = format!(
            "listen: \"{address}\"\nmax_payload: {max_payload}\njetstream {{ store_dir: \"{}\" }}\n",
            store.display()
        );
        std::fs::write(folder.join("nats.conf"), config).unwrap();
        let folder = folder.to_owned();
        let mut nats = Self {
            address,
            process: None,
            folder,
        };
        nats.restart().await;
        nats
    }

    /// `kill -9`; what it had acknowledged is in its store.
    pub(crate) fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// Starts it again: the same store, the same port.
    pub(crate) async fn restart(&mut self) {
        let arguments = ["-c".to_owned(), "nats.conf".to_owned()];
        let mut process = Process::start(&Start {
            name: "nats",
            program: &server::find().unwrap(),
            arguments: &arguments,
            variables: &[],
            folder: &self.folder,
        });
        let address = self.address;
        eventually("nats-server opens its port", SOON, async || {
            assert!(process.ended().is_none(), "nats-server ended at once");
            TcpStream::connect(address).ok()
        })
        .await;
        self.process = Some(process);
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }
}

/// A port below those that the system hands out by itself: so nobody else gets it while its owner is
/// away for a moment.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 97).unwrap_or(0) * 100;
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
