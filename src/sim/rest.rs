//! The HTTP side of Discord: how a client finds the gateway, the door to the gateway itself, and the way
//! from a request to [`super::api`] and back.
//! <https://discord.com/developers/docs/events/gateway#get-gateway-bot>

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Query, Request as HttpRequest, State, WebSocketUpgrade};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{self, Answer, Ask};
use super::fault::Door;
use super::hub::Hub;
use super::line::Reset;
use super::listen::HangUp;
use super::peer::Request;
use super::world::BOT_ID;
use super::{body, control, frame, gateway, page};
use crate::clock;

mod fault;

pub(super) use fault::RestFault;

/// Every route of the port.
pub(super) fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/", any(connect))
        .route("/resume", any(connect))
        .route("/resume/", any(connect))
        .route("/at/{place}", any(connect))
        .route("/at/{place}/", any(connect))
        .route("/at/{place}/resume", any(connect))
        .route("/at/{place}/resume/", any(connect))
        .route("/api/{*path}", any(api))
        .merge(control::routes())
        .fallback(async || not_found())
        .with_state(hub)
}

async fn api(
    State(hub): State<Arc<Hub>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    hub.rest_requests.fetch_add(1, Ordering::Relaxed);
    let path = body::segments(uri.path());
    let mut path = path.iter().map(String::as_str).skip(1).peekable();
    // A call without a version is answered like the newest one.
    match path.peek() {
        Some(&"v10" | &"v9") => drop(path.next()),
        Some(version) if version.starts_with('v') && version.len() < 4 => {
            let body = json!({ "message": "Invalid API version", "code": 50041 });
            return (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
        }
        _ => {}
    }
    let path: Vec<String> = path.map(str::to_owned).collect();
    let route = format!("/{}", path.join("/"));
    let fault = hub.script().rest(&route, clock::now());
    let call = Call {
        method,
        uri,
        headers,
        path,
        bytes,
    };
    match fault {
        None => usual(&hub, call),
        Some(fault) => {
            let url = url(&hub, &call.headers);
            let usual = fault.wants_usual().then(|| usual(&hub, call));
            fault.answer(&hub, &url, usual.unwrap_or_default()).await
        }
    }
}

/// One request to REST.
struct Call {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    /// What follows the version, in segments.
    path: Vec<String>,
    bytes: Bytes,
}

fn usual(hub: &Hub, call: Call) -> Response {
    let Call {
        method,
        uri,
        headers,
        path,
        bytes,
    } = call;
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    if let ["gateway"] = names[..] {
        return axum::Json(json!({ "url": url(hub, &headers) })).into_response();
    }
    let open = matches!(names[..], ["interactions" | "webhooks", _, _, ..]);
    let bot = authorized(hub, &headers).or(open.then_some(BOT_ID));
    let Some(bot) = bot else {
        let body = json!({ "message": "401: Unauthorized", "code": 0 });
        return (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response();
    };
    if let Some((wait, global)) = hub.script().refuse_request() {
        return limited(wait, global);
    }
    if let ["gateway", "bot"] = names[..] {
        return gateway_bot(hub, &headers, bot);
    }
    let content_type = headers.get(header::CONTENT_TYPE);
    let Ok(body) = body::read(content_type, &bytes) else {
        let body = json!({ "message": "400: Bad Request", "code": 50109 });
        return (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
    };
    let bucket = body::bucket(method.as_str(), &path);
    let ask = Ask {
        bot,
        method: method.as_str(),
        path,
        query: Query::try_from_uri(&uri).map_or_else(|_| Vec::new(), |Query(pairs)| pairs),
        body,
        now_ms: clock::unix_ms(),
    };
    let scope = hub.scope();
    let Answer { status, body, news } = api::answer(&mut hub.desk(), &scope, &ask);
    for one in &news {
        hub.tell(one);
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    // Callbacks of interactions carry no bucket: hikari complains of one.
    if ask
        .path
        .first()
        .is_some_and(|first| first == "interactions")
    {
        return answered(status, body);
    }
    let headers = [
        ("x-ratelimit-limit", "50".to_owned()),
        ("x-ratelimit-remaining", "49".to_owned()),
        ("x-ratelimit-reset-after", "1.000".to_owned()),
        (
            "x-ratelimit-reset",
            format!("{}.{:03}", ask.now_ms / 1000 + 1, ask.now_ms % 1000),
        ),
        ("x-ratelimit-bucket", bucket),
    ];
    (headers, answered(status, body)).into_response()
}

fn answered(status: StatusCode, body: Value) -> Response {
    match body {
        Value::Null => status.into_response(),
        body => (status, axum::Json(body)).into_response(),
    }
}

/// The bot whose token a request carries.
fn authorized(hub: &Hub, headers: &HeaderMap) -> Option<u64> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let token = Some(token).filter(|token| token.starts_with("Bot "))?;
    hub.registry().whose(token)
}

fn gateway_bot(hub: &Hub, headers: &HeaderMap, bot: u64) -> Response {
    let mut registry = hub.registry();
    let bot = registry.bot(bot);
    let (remaining, reset_after) = bot.daily.left(clock::now());
    axum::Json(json!({
        "url": url(hub, headers),
        "shards": hub.options.shards,
        "session_start_limit": {
            "total": bot.daily.total,
            "remaining": remaining,
            "reset_after": u64::try_from(reset_after.as_millis()).unwrap_or(u64::MAX),
            "max_concurrency": bot.concurrency.max,
        },
    }))
    .into_response()
}

/// 429, <https://discord.com/developers/docs/topics/rate-limits#exceeding-a-rate-limit>.
fn limited(wait: f64, global: bool) -> Response {
    let body = json!({
        "message": "You are being rate limited.", "retry_after": wait, "global": global,
    });
    let mut headers = vec![
        ("retry-after", format!("{:.0}", wait.ceil())),
        ("x-ratelimit-reset-after", format!("{wait:.3}")),
        ("x-ratelimit-limit", "50".to_owned()),
        ("x-ratelimit-remaining", "0".to_owned()),
        (
            "x-ratelimit-scope",
            if global { "global" } else { "user" }.to_owned(),
        ),
    ];
    if global {
        headers.push(("x-ratelimit-global", "true".to_owned()));
    }
    let mut response = (StatusCode::TOO_MANY_REQUESTS, axum::Json(body)).into_response();
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn not_found() -> Response {
    let body = json!({ "message": "404: Not Found", "code": 0 });
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}

/// The query of a gateway URL.
#[derive(Debug, Default, Deserialize)]
struct Parameters {
    v: Option<String>,
    encoding: Option<String>,
    compress: Option<String>,
}

async fn connect(State(hub): State<Arc<Hub>>, request: HttpRequest) -> Response {
    let path = request.uri().path().trim_end_matches('/');
    let (place, resuming) = match path.strip_suffix("/resume") {
        Some(place) => (place.to_owned(), true),
        None => (path.to_owned(), false),
    };
    let plain = !request.headers().contains_key(header::UPGRADE);
    if plain && place.is_empty() && !resuming && request.method() == Method::GET {
        return page::serve();
    }
    hub.arrivals().came(clock::now());
    let door = hub.script().door(&place, resuming, clock::now());
    match door {
        Door::Ok => {}
        Door::Hang => {
            hub.shutdown.cancelled().await;
            return HangUp.into_response();
        }
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
        resuming,
        reset: parts.extensions.get::<Reset>().cloned().unwrap_or_default(),
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
    let place = hub.script().place();
    format!("ws{}://{}{place}", hub.secure, host(headers))
}

/// The host by which the client found us: right behind a name, a container port or a forward, too.
fn host(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    host.unwrap_or("127.0.0.1").to_owned()
}
