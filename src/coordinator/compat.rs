//! The HTTP endpoint that answers as twilight's gateway-queue does: any path, method and headers,
//! `?shard=N`, an answer once that shard may identify. On every coordinator, leader or not.
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
mod wait;

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use self::{body::Confirming, wait::Waiting};
use crate::{broker::Broker, fleet::ShardId, web::serve::serve};

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
    if FROM_A_PAGE
        .iter()
        .any(|name| request.headers().contains_key(*name))
    {
        let reason = "a web page asks here; only a gateway may\n";
        return (StatusCode::FORBIDDEN, reason).into_response();
    }
    let shard = match shard(request.uri().query()) {
        Ok(shard) => shard,
        Err(reason) => return (StatusCode::BAD_REQUEST, reason).into_response(),
    };
    let Ok(room) = front.room.clone().try_acquire_owned() else {
        let reason = "too many clients wait already\n";
        return (StatusCode::SERVICE_UNAVAILABLE, reason).into_response();
    };
    let waiting = Waiting::new(&front, ShardId(shard));
    match waiting.granted().await {
        Ok(confirm) => {
            drop(room);
            Response::new(Body::new(Confirming::new(PROCESSED, confirm)))
        }
        Err(reason) => (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response(),
    }
}

/// The shard that a query names; without one it is 0, as in twilight's gateway-queue.
///
/// # Errors
/// Where it names none, or several.
pub fn shard(query: Option<&str>) -> Result<u32, String> {
    let mut named =
        query
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| match pair.split_once('=') {
                Some(("shard", value)) => Some(value),
                None if pair == "shard" => Some(""),
                _ => None,
            });
    let Some(value) = named.next() else {
        return Ok(0);
    };
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(shard) if digits && named.next().is_none() => Ok(shard),
        _ => Err("?shard= takes one number, that of the shard\n".to_owned()),
    }
}

/// What browsers add to a page's requests, and no gateway library sends.
const FROM_A_PAGE: [&str; 4] = ["origin", "referer", "sec-fetch-site", "sec-fetch-mode"];
/// Byte for byte what twilight's gateway-queue answers.
const PROCESSED: &str = r#"{"message": "You're free to connect now! :)"}"#;
/// Clients that wait at once; each costs a connection and a subscription.
const MOST_CLIENTS: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_one_shard_or_none() {
        assert_eq!(shard(None), Ok(0));
        assert_eq!(shard(Some("")), Ok(0));
        assert_eq!(shard(Some("a=b")), Ok(0));
        assert_eq!(shard(Some("a=b&shard=17")), Ok(17));
        for bad in [
            "shard=",
            "shard",
            "shard=x",
            "shard=-1",
            "shard=+1",
            "shard=1&shard=2",
            "shard=99999999999",
            "shard=1%20",
        ] {
            assert!(shard(Some(bad)).is_err(), "{bad}");
        }
    }
}
