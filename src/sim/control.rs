//! The simulator's own endpoints under `/sim`: see what happened, make things go wrong.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;

use super::event::Event;
use super::hub::Hub;
use super::record::Row;
use super::registry::Shared;
use super::{emit, fault, verdict};
use crate::clock;

/// The routes.
pub(super) fn routes() -> Router<Arc<Hub>> {
    Router::new()
        .route(
            "/sim/verdict",
            get(async |State(hub): State<Arc<Hub>>| Json(verdict::verdict(&hub, clock::now()))),
        )
        .route(
            "/sim/state",
            get(async |State(hub): State<Arc<Hub>>| Json(verdict::state(&hub, clock::now()))),
        )
        .route("/sim/record", get(record))
        .route("/sim/fault", post(inject))
        .route("/sim/event", post(event))
        .route("/sim/traffic", post(traffic))
        .route("/sim/max-concurrency", post(max_concurrency))
}

async fn inject(State(hub): State<Arc<Hub>>, body: Bytes) -> Response {
    match fault::parse(&body) {
        Ok((fault, shards)) => {
            let applied = hub.apply(&fault, &shards);
            tracing::info!(applied, "fault {fault:?} for {shards:?}");
            Json(json!({ "applied": applied })).into_response()
        }
        Err(error) => bad(&error),
    }
}

async fn event(State(hub): State<Arc<Hub>>, body: Bytes) -> Response {
    match emit::parse(&body) {
        Ok(wish) => Json(json!({ "dispatched": hub.emit(&wish) })).into_response(),
        Err(error) => bad(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Traffic {
    events_per_second: u32,
}

async fn traffic(State(hub): State<Arc<Hub>>, body: Bytes) -> Response {
    match serde_json::from_slice::<Traffic>(&body) {
        Ok(Traffic { events_per_second }) => {
            hub.rate.store(events_per_second, Ordering::Relaxed);
            Json(json!({ "events_per_second": events_per_second })).into_response()
        }
        Err(error) => bad(&error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaxConcurrency {
    max_concurrency: std::num::NonZeroU32,
}

async fn max_concurrency(State(hub): State<Arc<Hub>>, body: Bytes) -> Response {
    match serde_json::from_slice::<MaxConcurrency>(&body) {
        Ok(MaxConcurrency { max_concurrency }) => {
            hub.registry().resize_buckets(max_concurrency.get());
            Json(json!({ "max_concurrency": max_concurrency })).into_response()
        }
        Err(error) => bad(&error.to_string()),
    }
}

/// The whole record, a piece of a session at a time: as long as it is, little of it is in memory twice.
async fn record(State(hub): State<Arc<Hub>>) -> Response {
    let sessions = hub.registry().all.clone().into_iter();
    let state = Reading {
        rest: sessions,
        current: None,
        index: 0,
        started_ms: hub.started_ms,
    };
    let lines = stream::unfold(state, |mut state| async move {
        let text = state.next()?;
        Some((Ok::<_, std::convert::Infallible>(text), state))
    });
    (
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(lines),
    )
        .into_response()
}

/// How far the record has been read.
struct Reading {
    rest: std::vec::IntoIter<Arc<Shared>>,
    current: Option<Arc<Shared>>,
    index: usize,
    started_ms: u64,
}

impl Reading {
    fn next(&mut self) -> Option<String> {
        loop {
            let shared = match &self.current {
                Some(shared) => Arc::clone(shared),
                None => self.rest.next()?,
            };
            if let Some(text) = piece(&shared, self.index, self.started_ms) {
                self.current = Some(shared);
                self.index += 1;
                return Some(text);
            }
            self.current = None;
            self.index = 0;
        }
    }
}

fn piece(shared: &Shared, index: usize, started_ms: u64) -> Option<String> {
    let (rows, id, number, delivered) = {
        let session = shared.lock();
        let rows = session.rows.piece(index)?.into_iter();
        let named = rows.map(|row| (session.rows.odd_name(&row), row));
        (
            named.collect::<Vec<_>>(),
            json!(session.identity.id),
            session.identity.shard,
            session.delivered(),
        )
    };
    let mut text = String::with_capacity(rows.len() * 200);
    for (odd, row) in rows {
        let Row {
            seq,
            bytes,
            hash,
            at,
            event,
        } = row;
        let name = event.map(Event::name).or(odd.as_deref());
        let written = writeln!(
            text,
            r#"{{"session":{id},"shard":{number},"seq":{seq},"event":{},"bytes":{bytes},"hash":"{:032x}","at_ms":{},"delivered":{}}}"#,
            json!(name.unwrap_or_default()),
            u128::from_be_bytes(hash),
            started_ms + u64::from(at),
            u64::from(seq) <= delivered,
        );
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    Some(text)
}

fn bad(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}
