//! The HTTP side of Discord: how a client finds the gateway, and the door to the gateway itself.
//! <https://discord.com/developers/docs/events/gateway#get-gateway-bot>

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Query, Request as HttpRequest, State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde::Deserialize;
use serde_json::json;

use super::fault::Door;
use super::gateway;
use super::hub::Hub;
use super::listen::HangUp;
use super::peer::Request;
use super::{control, frame};
use crate::clock;

/// Every route of the port.
pub(super) fn router(hub: Arc<Hub>) -> Router {
    let mut router = Router::new();
    for version in ["v10", "v9"] {
        router = router
            .route(&format!("/api/{version}/gateway"), get(gateway_url))
            .route(&format!("/api/{version}/gateway/bot"), get(gateway_bot));
    }
    router
        .route("/", any(connect))
        .route("/resume", any(connect))
        .route("/resume/", any(connect))
        .merge(control::routes())
        .fallback(not_found)
        .with_state(hub)
}

async fn gateway_url(State(hub): State<Arc<Hub>>, headers: HeaderMap) -> Response {
    axum::Json(json!({ "url": url(&hub, &headers) })).into_response()
}

async fn gateway_bot(State(hub): State<Arc<Hub>>, headers: HeaderMap) -> Response {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut registry = hub.registry();
    if !token.starts_with("Bot ") || !registry.knows(token) {
        let body = json!({ "message": "401: Unauthorized", "code": 0 });
        return (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response();
    }
    let (remaining, reset_after) = registry.identifies_left(clock::now());
    axum::Json(json!({
        "url": url(&hub, &headers),
        "shards": hub.options.shards,
        "session_start_limit": {
            "total": registry.daily.total,
            "remaining": remaining,
            "reset_after": u64::try_from(reset_after.as_millis()).unwrap_or(u64::MAX),
            "max_concurrency": registry.concurrency.max,
        },
    }))
    .into_response()
}

async fn not_found() -> Response {
    (
        StatusCode::NOT_FOUND,
        axum::Json(json!({ "message": "404: Not Found", "code": 0 })),
    )
        .into_response()
}

/// The query of a gateway URL.
#[derive(Debug, Default, Deserialize)]
struct Parameters {
    v: Option<String>,
    encoding: Option<String>,
    compress: Option<String>,
}

async fn connect(State(hub): State<Arc<Hub>>, request: HttpRequest) -> Response {
    let resuming = request.uri().path() != "/";
    match hub.script().door(resuming, clock::now()) {
        Door::Ok => {}
        Door::Refuse => return HangUp.into_response(),
        Door::Unavailable => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
    let host = host(request.headers());
    let (mut parts, _) = request.into_parts();
    let parameters = Query::<Parameters>::from_request_parts(&mut parts, &hub).await;
    let Query(parameters) = parameters.unwrap_or_default();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &hub).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let request = Request {
        version: parameters.v.and_then(|v| v.parse().ok()),
        encoding: parameters.encoding,
        compress: parameters.compress,
        host,
    };
    // Larger than allowed, so that a frame that is too large gets its close code and not a broken pipe.
    upgrade
        .max_message_size(frame::MOST_BYTES * 256)
        .on_upgrade(move |socket| {
            let tasks = hub.tasks.clone();
            tasks.track_future(gateway::serve(socket, hub, request))
        })
}

fn url(hub: &Hub, headers: &HeaderMap) -> String {
    format!("ws{}://{}", hub.secure, host(headers))
}

/// The host by which the client found us: right behind a name, a container port or a forward, too.
fn host(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    host.unwrap_or("127.0.0.1").to_owned()
}
