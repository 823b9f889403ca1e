//! Real nats-servers of one test, one or a cluster, each on ports that it gets again after a restart.

use std::{
    fmt::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
};

use rustix::process::Signal;
use shardfleet::broker::server;

use super::{
    member::{Process, Start},
    plan::Plan,
    wait::{SOON, eventually},
};

/// The servers.
pub(crate) struct Nats {
    nodes: Vec<Node>,
}

/// One of them.
pub(crate) struct Node {
    /// What it calls itself, and its log.
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// Where it tells of itself, over HTTP.
    pub(crate) monitor: SocketAddr,
    route: SocketAddr,
    process: Option<Process>,
    folder: PathBuf,
}

impl Nats {
    /// Starts as many as planned, with their stores in `folder`.
    pub(crate) async fn start(folder: &Path, plan: &Plan) -> Self {
        let names: Vec<_> = match plan.nodes {
            1 => vec!["nats".to_owned()],
            many => (0..many).map(|at| format!("nats-{at}")).collect(),
        };
        let mut nodes: Vec<_> = names
            .into_iter()
            .map(|name| Node::new(name, folder))
            .collect();
        let routes: Vec<_> = nodes.iter().map(|node| node.route).collect();
        for node in &mut nodes {
            let config = node.configuration(plan, &routes);
            std::fs::write(folder.join(format!("{}.conf", node.name)), config).unwrap();
            node.run();
        }
        for node in &mut nodes {
            node.opened().await;
        }
        Self { nodes }
    }

    /// One of them.
    pub(crate) fn node(&mut self, at: usize) -> &mut Node {
        &mut self.nodes[at]
    }

    /// All of them.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// `kill -9` of the only one; what it had acknowledged is in its store.
    pub(crate) fn kill(&mut self) {
        self.only().kill();
    }

    /// Starts the only one again: the same store, the same port.
    pub(crate) async fn restart(&mut self) {
        self.only().restart().await;
    }

    /// `kill -9` of all, and their stores removed: whatever was in them is lost.
    pub(crate) fn wipe(&mut self) {
        for node in &mut self.nodes {
            node.kill();
        }
        std::fs::remove_dir_all(self.nodes[0].folder.join("store")).unwrap();
    }

    /// Where they are, as a process is told.
    pub(crate) fn url(&self) -> String {
        let urls = self.addresses().into_iter();
        let urls: Vec<_> = urls.map(|address| format!("nats://{address}")).collect();
        urls.join(",")
    }

    /// Where they are.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.address).collect()
    }

    fn only(&mut self) -> &mut Node {
        assert_eq!(self.nodes.len(), 1, "say which node");
        self.node(0)
    }
}

impl Node {
    fn new(name: String, folder: &Path) -> Self {
        let [address, route, monitor] =
            std::array::from_fn(|_| SocketAddr::from(([127, 0, 0, 1], free_port())));
        Self {
            name,
            address,
            monitor,
            route,
            process: None,
            folder: folder.to_owned(),
        }
    }

    /// `kill -9`; what it had acknowledged is in its store.
    pub(crate) fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// Starts it again: the same store, the same ports.
    pub(crate) async fn restart(&mut self) {
        self.run();
        self.opened().await;
    }

    /// SIGSTOP: its sockets stay, and say nothing.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Lame duck: it asks its clients to leave, then makes them, and ends.
    pub(crate) fn lame_duck(&self) {
        self.signal(Signal::USR2);
    }

    /// Waits until it has ended by itself, as a lame duck does.
    pub(crate) async fn gone(&mut self, limit: std::time::Duration) {
        self.process.take().unwrap().end(limit).await;
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().unwrap().signal(signal);
    }

    fn run(&mut self) {
        let arguments = ["-c".to_owned(), format!("{}.conf", self.name)];
        self.process = Some(Process::start(&Start {
            name: &self.name,
            program: &server::find().unwrap(),
            arguments: &arguments,
            variables: &[],
            folder: &self.folder,
        }));
    }

    async fn opened(&mut self) {
        let (address, process) = (self.address, self.process.as_mut().unwrap());
        eventually("nats-server opens its port", SOON, async || {
            assert!(process.ended().is_none(), "nats-server ended at once");
            TcpStream::connect(address).ok()
        })
        .await;
    }

    fn configuration(&self, plan: &Plan, routes: &[SocketAddr]) -> String {
        let (name, address, monitor) = (&self.name, self.address, self.monitor);
        // In a folder of its own name where it is not alone.
        let store = if routes.len() == 1 {
            self.folder.join("store")
        } else {
            self.folder.join("store").join(name)
        };
        let (payload, store) = (plan.max_payload, store.display());
        let most = plan.max_store;
        let most = most.map_or_else(String::new, |bytes| format!(", max_file_store: {bytes}"));
        let mut text = format!(
            "server_name: {name}\nlisten: \"{address}\"\nhttp: \"{monitor}\"\n\
             max_payload: {payload}\njetstream {{ store_dir: \"{store}\"{most} }}\n\
             lame_duck_grace_period: \"10s\"\nlame_duck_duration: \"30s\"\n"
        );
        if routes.len() > 1 {
            // Who comes by wires must not hear of a way around them.
            let (route, silent) = (self.route, plan.wired);
            let routes = routes.iter().map(|route| format!("\"nats://{route}\""));
            let routes = routes.collect::<Vec<_>>().join(", ");
            writeln!(
                text,
                "cluster {{ name: it, listen: \"{route}\", no_advertise: {silent}, routes: [{routes}] }}"
            )
            .unwrap();
        }
        text
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
