//! A NATS server, a Discord, coordinators and askers, all in this process but the server.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::StreamExt;
use serde_json::json;
use shardfleet::{
    broker::{Broker, provision, server, start::Start},
    clock::{self, Boottime},
    config::Config,
    coordinator,
    fleet::ShardId,
    identify::{Asker, Verdict},
    roster::Board,
    subject::Names,
    wire::{
        self,
        identify::{Reply, Request},
    },
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What is there before any coordinator.
pub(crate) struct World {
    _server: tokio::process::Child,
    _store: tempfile::TempDir,
    pub(crate) config: Arc<Config>,
    pub(crate) names: Names,
    pub(crate) identified: Arc<Mutex<Vec<(Boottime, u32)>>>,
    pub(crate) discord: Arc<Discord>,
    started: u32,
}

/// What `GET /gateway/bot` answers from now on, and how often it was asked.
pub(crate) struct Discord {
    shards: u32,
    pub(crate) remaining: AtomicU32,
    pub(crate) max_concurrency: AtomicU32,
    /// It wants no question for so many seconds; 0: it answers.
    pub(crate) barred: AtomicU32,
    pub(crate) asked: AtomicU32,
}

impl Discord {
    fn answer(&self) -> Response {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let seconds = self.barred.load(Ordering::Relaxed);
        if seconds > 0 {
            let body = json!({"message": "x", "retry_after": seconds, "global": true});
            return (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
        }
        Json(
            json!({"url": "ws://127.0.0.1:1", "shards": self.shards, "session_start_limit": {
            "total": 1000, "remaining": self.remaining.load(Ordering::Relaxed),
            "reset_after": 80_000_000,
            "max_concurrency": self.max_concurrency.load(Ordering::Relaxed)}}),
        )
        .into_response()
    }

    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

/// One coordinator; dropped, it is gone as if killed.
pub(crate) struct Coordinator {
    pub(crate) board: Board,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl World {
    pub(crate) async fn start(shards: u32, max_concurrency: u32) -> Self {
        let store = tempfile::tempdir().unwrap();
        let (server, url) = nats(store.path()).await;
        let identified = Arc::new(Mutex::new(Vec::new()));
        let discord = Arc::new(Discord {
            shards,
            remaining: AtomicU32::new(1_000),
            max_concurrency: AtomicU32::new(max_concurrency),
            barred: AtomicU32::new(0),
            asked: AtomicU32::new(0),
        });
        let answering = Arc::clone(&discord);
        let answer = move || async move { answering.answer() };
        let router = Router::new().route("/api/v10/gateway/bot", get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::default();
        config.discord.api = format!("http://{}/api/v10", listener.local_addr().unwrap());
        config.discord.token = "a.b.c".to_owned().into();
        config.nats.url = url;
        tokio::spawn(axum::serve(listener, router).into_future());
        Self {
            _server: server,
            _store: store,
            names: Names::new(&config.fleet.name.0),
            config: Arc::new(config),
            identified,
            discord,
            started: 0,
        }
    }

    pub(crate) async fn broker(&self, label: &str) -> Broker {
        let broker = Broker::connect(&self.config.nats, self.names.clone(), label)
            .await
            .unwrap();
        while broker.client.server_info().version.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        broker
    }

    pub(crate) async fn coordinator(&mut self) -> Coordinator {
        let config = Arc::clone(&self.config);
        self.coordinator_with(config).await
    }

    pub(crate) async fn coordinator_with(&mut self, config: Arc<Config>) -> Coordinator {
        self.started += 1;
        let name = format!("coordinator-{}", self.started);
        let broker = self.broker(&name).await;
        provision::buckets(&broker, &config.stream, &config.lease)
            .await
            .unwrap();
        let board = Board::new(&name);
        let shutdown = CancellationToken::new();
        let start = Start::new(Duration::from_secs(60));
        let run = coordinator::run(config, broker, None, board.clone(), start, shutdown.clone());
        let task = tokio::spawn(run);
        Coordinator {
            board,
            shutdown,
            task,
        }
    }

    /// One shard asks until it may, identifies at once, and confirms it.
    pub(crate) async fn ask(&self, shard: u32, shards: u32) -> JoinHandle<Request> {
        let broker = self.broker(&format!("shard-{shard}")).await;
        let identified = Arc::clone(&self.identified);
        tokio::spawn(async move {
            let inbox = broker.client.new_inbox();
            let mut replies = broker.client.subscribe(inbox.clone()).await.unwrap();
            let mut leaders = broker
                .client
                .subscribe(broker.names.leader())
                .await
                .unwrap();
            let nonce = broker.client.new_inbox();
            let mut asker = Asker::new(ShardId(shard), shards, nonce, "g", clock::boottime());
            loop {
                let now = clock::boottime();
                let nap = asker.next_wakeup().unwrap().since(now);
                tokio::select! {
                    Some(reply) = replies.next() => {
                        // While nobody leads, NATS itself answers, with nothing in it.
                        let Ok(reply) = wire::decode::<Reply>(&reply.payload) else { continue };
                        let now = clock::boottime();
                        if asker.on_reply(&reply, now) != Verdict::Fire { continue }
                        let Some(confirm) = asker.fire(clock::boottime()) else { continue };
                        identified.lock().unwrap().push((clock::boottime(), shard));
                        say(&broker, &confirm).await;
                        return confirm;
                    }
                    Some(_) = leaders.next() => asker.on_leader(clock::boottime()),
                    () = tokio::time::sleep(nap) => {
                        let ask = wire::encode(&asker.ask(clock::boottime()));
                        let subject = broker.names.identify();
                        broker.client.publish_with_reply(subject, inbox.clone(), ask).await.unwrap();
                    }
                }
            }
        })
    }

    pub(crate) async fn ask_all(
        &self,
        shards: std::ops::Range<u32>,
        of: u32,
    ) -> Vec<JoinHandle<Request>> {
        let mut tasks = Vec::new();
        for shard in shards {
            tasks.push(self.ask(shard, of).await);
        }
        tasks
    }

    /// Discord's rule, on what it would have received.
    pub(crate) fn judge(&self, max_concurrency: u32) {
        let identified = self.identified.lock().unwrap();
        for (n, (at, shard)) in identified.iter().enumerate() {
            for (before, other) in &identified[..n] {
                let apart = at.since(*before);
                assert!(
                    shard % max_concurrency != other % max_concurrency
                        || apart >= Duration::from_secs(5),
                    "shards {other} and {shard} identified {apart:?} apart"
                );
            }
        }
    }
}

impl Coordinator {
    pub(crate) async fn leads(&self) -> bool {
        for _ in 0..600 {
            if self.is_leader() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.board
            .status()
            .coordinator
            .is_some_and(|status| status.leader)
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Ends without a word: nothing is settled, nothing released.
    pub(crate) fn kill(self) {
        self.task.abort();
    }
}

/// Says something that is not answered.
async fn say(broker: &Broker, request: &Request) {
    let subject = broker.names.identify();
    let said = broker.client.publish(subject, wire::encode(request));
    said.await.unwrap();
    broker.client.flush().await.unwrap();
}

/// A server that ends with this process's guard, on a free port.
async fn nats(store: &std::path::Path) -> (tokio::process::Child, String) {
    let child = tokio::process::Command::new(server::find().unwrap())
        .args(["-js", "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
        .arg(store)
        .arg("-sd")
        .arg(store)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let file = store.join(format!("nats-server_{}.ports", child.id().unwrap()));
    for _ in 0..500 {
        let ports = std::fs::read(&file).unwrap_or_default();
        if let Ok(ports) = serde_json::from_slice::<serde_json::Value>(&ports) {
            return (child, ports["nats"][0].as_str().unwrap().to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nats-server did not start");
}
