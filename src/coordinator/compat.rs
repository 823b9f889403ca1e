//! The HTTP endpoint that answers as twilight's gateway-queue does: `GET /` or `GET /?shard=N`, an answer
//! once that shard may identify. On every coordinator, leader or not. What else is asked, by a health
//! check say, has an answer of its own and spends nothing: [`call`].
//!
//! <https://github.com/twilight-rs/gateway-queue>
//!
//! It enters by the same door as the fleet's own shards: this front asks over NATS in the client's
//! name, repeats and confirms for it. What a client does after its answer is not seen; the leader
//! adds [`HTTP_SLACK`](crate::wire::identify::HTTP_SLACK). A client that goes away gives its place back.
//!
//! A browser is turned away: a page that is open in one on this machine could spend the day's
//! identifies, for to ask is all it takes.

mod body;
pub mod call;
mod wait;

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use async_nats::connection::State as ConnectionState;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use self::{body::Confirming, call::Call, wait::Waiting};
use super::metrics::{self, Heard};
use crate::{broker::Broker, web::serve::serve};

/// What every request needs.
#[derive(Clone)]
pub(super) struct Front {
    broker: Broker,
    process: String,
    room: Arc<Semaphore>,
}

impl Front {
    pub(super) fn new(broker: Broker, process: String) -> Self {
        Self {
            broker,
            process,
            room: Arc::new(Semaphore::new(MOST_CLIENTS)),
        }
    }

    fn reaches_nats(&self) -> bool {
        self.broker.client.connection_state() == ConnectionState::Connected
    }
}

/// Binds the address; the future serves it until `shutdown`.
pub(super) async fn listen(
    address: SocketAddr,
    front: Front,
    shutdown: CancellationToken,
) -> Result<impl Future<Output = ()>> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on coordinator.http {address}"))?;
    tracing::info!(%address, "answers as a gateway-queue");
    let router = Router::new().fallback(answer).with_state(front);
    Ok(async move {
        // Clients that still wait would keep a graceful end waiting: they ask again elsewhere.
        tokio::select! {
            () = serve(listener, router, shutdown.clone()) => {}
            () = shutdown.cancelled() => {}
        }
    })
}

async fn answer(State(front): State<Front>, request: Request) -> Response {
    let headers = request.headers();
    if FROM_A_PAGE.iter().any(|name| headers.contains_key(*name)) {
        metrics::queue_request(Heard::Refused);
        let reason = "a web page asks here; only a gateway may\n";
        return (StatusCode::FORBIDDEN, reason).into_response();
    }
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let uri = request.uri();
    let call = Call::read(request.method(), uri.path(), uri.query(), agent);
    let (status, text) = match call {
        Call::Identify(shard) => return grant(&front, shard).await,
        Call::Unclear => {
            metrics::queue_request(Heard::Refused);
            let reason = "?shard= takes one number, that of the shard\n";
            return (StatusCode::BAD_REQUEST, reason).into_response();
        }
        Call::Live | Call::Methods => (StatusCode::OK, SERVED),
        Call::Ready if front.reaches_nats() => (StatusCode::OK, SERVED),
        Call::Ready => (StatusCode::SERVICE_UNAVAILABLE, "NATS is not reached\n"),
        Call::NotAllowed => (StatusCode::METHOD_NOT_ALLOWED, SERVED),
        Call::NotFound => (StatusCode::NOT_FOUND, SERVED),
    };
    metrics::queue_request(Heard::Probe);
    (status, [(header::ALLOW, METHODS)], text).into_response()
}

/// Waits until the client may identify.
async fn grant(front: &Front, shard: Option<u32>) -> Response {
    let Ok(room) = front.room.clone().try_acquire_owned() else {
        metrics::queue_request(Heard::Refused);
        let reason = "too many clients wait already\n";
        return (StatusCode::SERVICE_UNAVAILABLE, reason).into_response();
    };
    match Waiting::new(front, shard).granted().await {
        Ok(confirm) => {
            drop(room);
            Response::new(Body::new(Confirming::new(PROCESSED, confirm)))
        }
        Err(reason) => (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response(),
    }
}

/// What browsers add to a page's requests, and no gateway library sends.
const FROM_A_PAGE: [&str; 4] = ["origin", "referer", "sec-fetch-site", "sec-fetch-mode"];
/// The methods that anything here takes.
const METHODS: &str = "GET, HEAD, POST, OPTIONS";
/// What a probe, or somebody who looks in, is told.
const SERVED: &str = "\
shardfleet's gateway-queue. GET /?shard=N is answered once shard N may IDENTIFY, GET / once one may whose \
number nobody tells; each answer is one IDENTIFY of the day. GET /live and /ready tell of this listener \
and spend nothing. Metrics and the fleet's page are at web.listen.\n";
/// Byte for byte what twilight's gateway-queue answers.
const PROCESSED: &str = r#"{"message": "You're free to connect now! :)"}"#;
/// Clients that wait at once; each costs a connection and a subscription.
const MOST_CLIENTS: usize = 16_384;
