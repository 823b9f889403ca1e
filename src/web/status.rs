//! The fleet at a glance: `/` for people, `/api/fleet` for programs. Every process serves both.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Result;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use tokio::sync::Mutex;

use super::html;
use crate::{
    broker::Broker,
    clock::{self, Instant},
    roster::{
        self, Roster,
        overview::{Overview, Shared},
    },
};

/// How long what the fleet shares is shown before it is read again: NATS does not feel how many look.
const KEEP: Duration = Duration::from_secs(1);
/// How long a page waits for NATS before it shows what was known.
const READ_LIMIT: Duration = Duration::from_secs(1);
/// No script, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// The routes; they tell of a fleet once [`Page::open`] was called.
#[derive(Clone, Default)]
pub struct Page(Arc<OnceLock<Fleet>>);

/// Where the figures come from.
pub struct Fleet {
    broker: Broker,
    roster: Roster,
    shared: Mutex<Option<(Instant, Shared)>>,
}

impl Page {
    /// From now on there is something to show; a second call changes nothing.
    pub fn open(&self, fleet: Fleet) {
        _ = self.0.set(fleet);
    }

    /// The routes.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(page))
            .route("/api/fleet", get(api))
            .with_state(self.clone())
    }
}

impl Fleet {
    /// Reads over `broker` what the fleet shares, and from `roster` who is there.
    pub fn new(broker: Broker, roster: Roster) -> Self {
        let shared = Mutex::new(None);
        Self {
            broker,
            roster,
            shared,
        }
    }

    async fn overview(&self) -> Overview {
        // Held while reading, so that many viewers cost one read.
        let mut kept = self.shared.lock().await;
        let now = clock::now();
        let stale = kept
            .as_ref()
            .is_none_or(|(read, _)| now.duration_since(*read) >= KEEP);
        if stale {
            match read(&self.broker).await {
                Ok(shared) => *kept = Some((now, shared)),
                // The roster below shows that NATS is away; what the fleet shares changes rarely.
                Err(error) => tracing::debug!("cannot read what the fleet shares: {error:#}"),
            }
        }
        let shared = kept
            .as_ref()
            .map(|(_, shared)| shared.clone())
            .unwrap_or_default();
        drop(kept);
        self.roster.overview(&self.broker.names, shared)
    }
}

async fn read(broker: &Broker) -> Result<Shared> {
    tokio::time::timeout(READ_LIMIT, roster::shared(broker)).await?
}

async fn api(State(Page(fleet)): State<Page>) -> Response {
    if let Some(fleet) = fleet.get() {
        return Json(fleet.overview().await).into_response();
    }
    let waiting = Json(serde_json::json!({"v": 1, "error": "waiting for NATS"}));
    (StatusCode::SERVICE_UNAVAILABLE, waiting).into_response()
}

async fn page(State(Page(fleet)): State<Page>) -> impl IntoResponse {
    let text = match fleet.get() {
        Some(fleet) => html::page(&fleet.overview().await, fleet.broker.connected()),
        None => html::waiting(),
    };
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(text))
}
