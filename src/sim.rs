//! A simulated Discord: REST bootstrap and gateway on one port, strict like the real one, with a record of
//! its own that a fleet is judged by. It shares no protocol code with what it judges.
//!
//! # Endpoints
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /` | a page with sessions, verdict and a button for each fault |
//! | `GET /api/v10/gateway` | `{"url"}` |
//! | `GET /api/v10/gateway/bot` | `{"url","shards","session_start_limit"}`; needs `Authorization: Bot <token>` |
//! | `/api/v10/…` | REST to log in, look around and post, see docs/SIMULATOR.md; needs the token too |
//! | WebSocket `/?v=10&encoding=json` | the gateway; `compress` is `zlib-stream` or `zstd-stream` |
//! | WebSocket `/resume/?…` | the same, as `resume_gateway_url` |
//! | WebSocket `/at/<name>/?…`, `/at/<name>/resume/?…` | the same, for the fault `move_gateway` |
//! | `GET /sim/verdict` | what was seen, below |
//! | `GET /sim/state` | its figures, cheap enough to poll |
//! | `GET /sim/record` | every dispatch, a line of JSON each |
//! | `POST /sim/fault` | makes something go wrong: `{"fault":"drop","shards":[0,1]}`; a wrong name is answered with the right ones |
//! | `POST /sim/event` | makes an event happen: `{"event":"MESSAGE_CREATE","guild_id":"…","count":5}`; `"all"` is one of each; `data` is sent word for word |
//! | `POST /sim/traffic` | `{"events_per_second":0}` |
//! | `POST /sim/max-concurrency` | `{"max_concurrency":1}` |
//!
//! # Verdict
//!
//! ```json
//! {"v":1, "ok":true, "sent":9000, "identifies":32, "identifies_refused":0, "identifies_remaining":968,
//!  "resumes":2, "connections":34, "attempts":36, "worst_second":9, "rest_requests":4,
//!  "shards":[{"shard":0,"connections":2,"worst_second":1}], "record_full":false, "violation_count":0,
//!  "violations":[{"rule":"identify_concurrency","shard":3,"at_ms":0,"detail":""}],
//!  "sessions":[{"id":"","shard":0,"shards":32,"started_ms":0,"last_seq":90,"delivered_seq":90,
//!    "state":"live","connected":true,"guilds_loaded":8,"ended_ms":null,"end_reason":null}],
//!  "ready":[{"shard":0,"session":"","at_ms":0}], "resumed":[{"shard":0,"session":"","at_ms":0}]}
//! ```
//!
//! `ok`: no rule was broken. `attempts`: requests for a gateway socket, refused ones too; `worst_second`: most of
//! them within any one second; `shards`: connections by the shard that they named. `sent`: dispatches numbered,
//! delivered or not. `delivered_seq`: the highest sequence that was handed to a socket. `state`: `live` with a
//! socket, `ready_no_socket` while it can be resumed, `ended`. `end_reason`: `closed_by_client`, `expired`,
//! `forgotten`, `invalidated`, `token_reset`. Times are Unix milliseconds. A session that identified is in `ready`
//! when it was granted, READY follows at once.
//!
//! Rules, by name: `identify_concurrency`, `daily_limit`, `command_rate`, `payload_size`, `bad_payload`,
//! `bad_opcode`, `not_authenticated`, `already_authenticated`, `heartbeat_late`, `wrong_token`, `bad_shard`,
//! `sharding_required`, `bad_intents`, `disallowed_intents`, `bad_version`, `bad_encoding`,
//! `bad_compression`, `sequence_ahead` (a client claims what it was never sent), `session_used_twice`
//! (resumed or identified again while the old socket was alive), `resume_after_close`, `presence_rate`,
//! `members_rate`, `members_intent`, `before_hello`, `identify_at_resume_url`,
//! `foreign_session`, `session_closed`.
//!
//! # Record
//!
//! ```json
//! {"session":"","shard":0,"seq":1,"event":"READY","bytes":900,"hash":"","at_ms":0,"delivered":true}
//! ```
//!
//! `hash`: the first 16 bytes of the SHA-256 of the payload before compression, in hexadecimal.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::sim::SimOptions;
use hub::Hub;
use plan::Plan;

mod admission;
mod answer;
mod api;
mod armed;
mod arrivals;
mod body;
mod bot;
mod connection;
mod control;
mod dice;
pub mod doors;
mod emit;
mod event;
mod fault;
mod frame;
mod frames;
mod gateway;
mod guild;
mod happening;
mod hub;
mod inject;
mod interrupt;
mod limits;
mod line;
mod listen;
mod mailbox;
mod object;
mod outbox;
mod pace;
mod page;
mod payload;
mod peer;
mod plan;
mod pulse;
mod record;
mod refusal;
mod registry;
mod reply;
mod rest;
mod rhythm;
mod sample;
mod script;
mod session;
mod stencil;
mod tell;
mod traffic;
mod transport;
mod verdict;
mod words;
mod world;

/// How long connections may take to end.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves until shutdown. Writes one line to stdout once it can be reached: where it is.
pub async fn run(options: SimOptions, shutdown: CancellationToken) -> Result<()> {
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    let address = listener.local_addr().context("cannot tell the address")?;
    let scheme = if options.tls_cert.is_some() {
        "https"
    } else {
        "http"
    };
    let server = Server::new(options, shutdown)?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "simulated Discord at {scheme}://{address}")
        .context("cannot write to stdout")?;
    stdout.flush().context("cannot write to stdout")?;
    drop(stdout);
    server.serve(listener).await;
    Ok(())
}

/// Serves on a listener that is there already until shutdown: for tests in the same process.
pub async fn serve(
    options: SimOptions,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<()> {
    Server::new(options, shutdown)?.serve(listener).await;
    Ok(())
}

struct Server {
    hub: Arc<Hub>,
    tls: Option<tokio_rustls::TlsAcceptor>,
    plan: Plan,
}

impl Server {
    fn new(options: SimOptions, shutdown: CancellationToken) -> Result<Self> {
        let tls = listen::tls(options.tls_cert.as_deref(), options.tls_key.as_deref())?;
        let plan = match &options.script {
            Some(path) => Plan::read(path)?,
            None => Plan::default(),
        };
        Ok(Self {
            plan,
            hub: Arc::new(Hub::new(options, shutdown)),
            tls,
        })
    }

    async fn serve(self, listener: TcpListener) {
        let Self { hub, tls, plan } = self;
        hub.tasks.spawn(pulse::run(Arc::clone(&hub)));
        hub.tasks.spawn(plan::run(Arc::clone(&hub), plan));
        listen::accept(
            listener,
            rest::router(Arc::clone(&hub)),
            tls,
            Arc::clone(&hub),
        )
        .await;
        hub.tasks.close();
        if timeout(DRAIN, hub.tasks.wait()).await.is_err() {
            tracing::warn!("connections did not end in {DRAIN:?}");
        }
    }
}
