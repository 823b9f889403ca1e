//! The fleet at a glance. Every process serves it.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /` | the page, for people: complete without a script |
//! | `GET /api/fleet` | the same figures as JSON |
//! | `GET /api/live` | server-sent events: the parts of the page that have changed, every second |
//! | `GET /fleet.js` | what puts those parts in their places |

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Result;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{
        Html, IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::get,
};
use futures_util::{FutureExt, Stream, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    chronicle::Chronicle,
    html::{self, Parts},
};
use crate::{
    broker::Broker,
    clock,
    roster::{Roster, looks::Looks, overview::Overview},
    supervise,
};

/// How often the fleet is looked at: NATS does not feel how many watch.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Nothing from elsewhere, and no script but our own file.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; \
                      connect-src 'self'; img-src data:; frame-ancestors 'none'";
const SCRIPT: &str = include_str!("fleet.js");

/// The routes; they tell of a fleet once [`Page::open`] was called.
#[derive(Clone, Default)]
pub struct Page(Arc<OnceLock<watch::Receiver<Arc<Look>>>>);

/// The fleet at one moment, and what led to it.
struct Look {
    fleet: Overview,
    chronicle: Chronicle,
    /// Drawn for the first who asks, and for all others.
    parts: OnceLock<Parts>,
}

impl Look {
    fn parts(&self) -> &Parts {
        self.parts
            .get_or_init(|| html::parts(&self.fleet, &self.chronicle))
    }
}

impl Page {
    /// From now until `closed` there is something to show; a second call changes nothing.
    pub fn open(&self, broker: Broker, roster: Roster, closed: CancellationToken) {
        let fleet = Looks::new(broker, roster);
        let first = Look {
            fleet: fleet.last().clone(),
            chronicle: Chronicle::default(),
            parts: OnceLock::new(),
        };
        let (looks, seen) = watch::channel(Arc::new(first));
        if self.0.set(seen).is_ok() {
            let until = closed.clone();
            let watched = closed.run_until_cancelled_owned(watch(fleet, looks));
            supervise::vital("page", &until, watched.map(|_| ()));
        }
    }

    /// The routes.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(page))
            .route("/api/fleet", get(api))
            .route("/api/live", get(live))
            .route("/fleet.js", get(script))
            .with_state(self.clone())
    }
}

/// Looks at the fleet every second, for everybody who watches.
async fn watch(mut fleet: Looks, looks: watch::Sender<Arc<Look>>) {
    let mut chronicle = Chronicle::default();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let fleet = fleet.look().await.clone();
        chronicle.observe(&fleet);
        looks.send_replace(Arc::new(Look {
            fleet,
            chronicle: chronicle.clone(),
            parts: OnceLock::new(),
        }));
    }
}

async fn api(State(Page(looks)): State<Page>) -> Response {
    let Some(looks) = looks.get() else {
        let waiting = Json(serde_json::json!({"v": 1, "error": "waiting for NATS"}));
        return (StatusCode::SERVICE_UNAVAILABLE, waiting).into_response();
    };
    let look = Arc::clone(&looks.borrow());
    Json(&look.fleet).into_response()
}

async fn page(State(Page(looks)): State<Page>) -> impl IntoResponse {
    let look = looks.get().map(|looks| Arc::clone(&looks.borrow()));
    let text = match look {
        Some(look) => html::page(&look.fleet.fleet, look.parts()),
        None => html::waiting(),
    };
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(text))
}

async fn script() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        SCRIPT,
    )
}

async fn live(State(Page(looks)): State<Page>) -> Response {
    match looks.get() {
        Some(looks) => Sse::new(changes(looks.clone())).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Ends when nobody looks at the fleet any more: at the end of the process.
fn changes(mut looks: watch::Receiver<Arc<Look>>) -> impl Stream<Item = Result<Event, Infallible>> {
    looks.mark_changed();
    stream::unfold((looks, Parts::default()), async |(mut looks, shown)| {
        looks.changed().await.ok()?;
        let look = Arc::clone(&looks.borrow_and_update());
        let parts = look.parts();
        let news: serde_json::Map<_, _> = parts
            .iter()
            .filter(|(name, text)| shown.get(*name) != Some(*text))
            .map(|(name, text)| ((*name).to_owned(), text.as_str().into()))
            .collect();
        let event = Event::default()
            .id(clock::unix_ms().to_string())
            .data(serde_json::Value::Object(news).to_string());
        Some((Ok(event), (looks, parts.clone())))
    })
}
