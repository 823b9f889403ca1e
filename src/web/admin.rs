//! For whoever runs the process.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /live` | 200 while the process runs; depends on neither NATS nor Discord. 503 and why, once a task of it is gone that it cannot do without: it is about to end with 1 |
//! | `GET /ready` | 200 while the process can be counted on, else 503 and why, as [`super::readiness`] decides. Never "all shards up": a cold start takes minutes |
//! | `GET /metrics` | Prometheus text |
//! | `PUT /log` | sets the level, or directives as `RUST_LOG` takes them; from this machine only, and by its own name |

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::{ConnectInfo, DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::{get, put},
};
use metrics_exporter_prometheus::PrometheusHandle;
use metrics_process::Collector;

use super::readiness::{self, Facts, Roles};
use crate::{broker::answers::Answers, roster::Board, telemetry::log::Level};

/// More than any directives need.
const LOG_BODY_LIMIT: usize = 4096;

/// What the endpoints tell of.
#[derive(Clone)]
pub struct Admin(Arc<Parts>);

struct Parts {
    ready: Ready,
    live: Live,
    exporter: PrometheusHandle,
    process: Collector,
    level: Level,
}

/// Whether the process can go on; once it cannot, why.
#[derive(Clone, Default)]
pub struct Live(Arc<OnceLock<String>>);

impl Live {
    /// It cannot. The first word counts.
    pub fn failed(&self, why: &str) {
        _ = self.0.set(why.to_owned());
    }

    fn answer(&self) -> (StatusCode, String) {
        match self.0.get() {
            None => (StatusCode::OK, "live\n".to_owned()),
            Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        }
    }
}

/// Whether the process should be counted on.
#[derive(Clone)]
pub struct Ready(Arc<Given>);

struct Given {
    roles: Roles,
    board: Board,
    answers: OnceLock<Answers>,
    draining: AtomicBool,
}

impl Ready {
    /// Of a process that has these roles and says there how it is.
    pub fn new(roles: Roles, board: Board) -> Self {
        Self(Arc::new(Given {
            roles,
            board,
            answers: OnceLock::new(),
            draining: AtomicBool::new(false),
        }))
    }

    /// NATS answered, and the buckets are there.
    pub fn reached_nats(&self, answers: Answers) {
        answers.heard();
        _ = self.0.answers.set(answers);
    }

    /// The process hands over what it holds.
    pub fn draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Why the process is not ready; none if it is.
    fn wanting(&self) -> Option<String> {
        readiness::wanting(&Facts {
            draining: self.0.draining.load(Ordering::Relaxed),
            silent: self.0.answers.get().and_then(Answers::silent),
            roles: self.0.roles,
            status: self.0.board.status(),
            footing: self.0.board.footing(),
        })
    }
}

impl Admin {
    /// Endpoints of this process.
    pub fn new(ready: Ready, live: Live, exporter: PrometheusHandle, level: Level) -> Self {
        let process = Collector::default();
        process.describe();
        Self(Arc::new(Parts {
            ready,
            live,
            exporter,
            process,
            level,
        }))
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/live", get(live))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .route(
                "/log",
                put(log).layer(DefaultBodyLimit::max(LOG_BODY_LIMIT)),
            )
            .with_state(self)
    }
}

async fn live(State(Admin(parts)): State<Admin>) -> (StatusCode, String) {
    parts.live.answer()
}

async fn ready(State(Admin(parts)): State<Admin>) -> (StatusCode, String) {
    match parts.ready.wanting() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(Admin(parts)): State<Admin>) -> impl IntoResponse {
    parts.process.collect();
    let text = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, text)], parts.exporter.render())
}

async fn log(
    State(Admin(parts)): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    directives: String,
) -> (StatusCode, String) {
    // Behind a proxy on this machine everybody's peer is loopback.
    let relayed = ["forwarded", "x-forwarded-for"].map(|name| headers.contains_key(name));
    if !peer.ip().to_canonical().is_loopback() || relayed.contains(&true) {
        let told = "the log level is set from the machine itself\n".to_owned();
        return (StatusCode::FORBIDDEN, told);
    }
    match parts.level.set(directives.trim()) {
        Ok(()) => {
            let set = directives.trim();
            tracing::info!(directives = set, "the log level is {set} now");
            (StatusCode::OK, format!("{set}\n"))
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_process_that_cannot_go_on_says_why() {
        let live = Live::default();
        assert_eq!(live.answer(), (StatusCode::OK, "live\n".to_owned()));
        live.failed("its task roster panicked");
        live.failed("another");
        let (status, why) = live.answer();
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(why, "its task roster panicked\n");
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_goes_with_jetstream_and_comes_with_it() {
        let (ready, answers) = (
            Ready::new(Roles::default(), Board::new("one")),
            Answers::default(),
        );
        assert!(ready.wanting().is_some());
        ready.reached_nats(answers.clone());
        assert_eq!(ready.wanting(), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(ready.wanting().is_some_and(|why| why.contains("60 s")));
        answers.heard();
        assert_eq!(ready.wanting(), None);
        ready.draining();
        assert_eq!(ready.wanting().as_deref(), Some("draining"));
    }
}
