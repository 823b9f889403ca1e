//! What the simulator saw: rules broken, sessions, resumes. The schema is in the documentation of
//! [`crate::sim`].

use std::sync::atomic::Ordering;

use serde::Serialize;
use tokio::time::Instant;

use super::arrivals::ShardArrivals;
use super::hub::Hub;
use super::session::Session;

/// Violations kept word for word; more are counted only.
const MOST_KEPT: usize = 10_000;

/// The broken rules.
#[derive(Debug, Default)]
pub(super) struct Log {
    kept: Vec<Violation>,
    /// Also those that were not kept.
    pub(super) count: u64,
}

/// One broken rule.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Violation {
    rule: &'static str,
    shard: Option<u32>,
    at_ms: u64,
    detail: String,
}

impl Log {
    pub(super) fn add(
        &mut self,
        rule: &'static str,
        shard: Option<u32>,
        at_ms: u64,
        detail: impl Into<String>,
    ) {
        let detail = detail.into();
        tracing::warn!(rule, shard, "the client broke {rule}: {detail}");
        self.count += 1;
        if self.kept.len() < MOST_KEPT {
            self.kept.push(Violation {
                rule,
                shard,
                at_ms,
                detail,
            });
        }
    }
}

/// `GET /sim/verdict`.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    v: u8,
    ok: bool,
    sent: u64,
    identifies: u64,
    identifies_refused: u64,
    identifies_remaining: u32,
    resumes: usize,
    connections: u64,
    attempts: u64,
    worst_second: usize,
    shards: Vec<ShardArrivals>,
    rest_requests: u64,
    record_full: bool,
    violation_count: u64,
    violations: Vec<Violation>,
    sessions: Vec<SessionView>,
    ready: Vec<Moment>,
    resumed: Vec<Moment>,
}

/// `GET /sim/state`: cheap enough to poll.
#[derive(Debug, Serialize)]
pub(super) struct State {
    v: u8,
    sessions_live: usize,
    connected: usize,
    ready: usize,
    sent: u64,
    identifies: u64,
    identifies_remaining: u32,
    resumes: usize,
    connections: u64,
    attempts: u64,
    rest_requests: u64,
    violations: u64,
    events_per_second: u32,
    max_concurrency: u32,
}

#[derive(Debug, Serialize)]
struct SessionView {
    id: String,
    shard: u32,
    shards: u32,
    started_ms: u64,
    last_seq: u64,
    delivered_seq: u64,
    state: &'static str,
    connected: bool,
    guilds_loaded: usize,
    ended_ms: Option<u64>,
    end_reason: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Moment {
    shard: u32,
    session: String,
    at_ms: u64,
}

/// Everything that was seen.
pub(super) fn verdict(hub: &Hub, now: Instant) -> Verdict {
    let (attempts, worst_second) = hub.arrivals().all();
    let mut registry = hub.registry();
    let (identifies_remaining, _) = registry.identifies_left(now);
    let sessions: Vec<_> = registry
        .all
        .iter()
        .map(|session| view(&session.lock()))
        .collect();
    let moment = |shard, session: &str, at_ms| Moment {
        shard,
        session: session.to_owned(),
        at_ms,
    };
    Verdict {
        v: 1,
        ok: registry.log.count == 0,
        sent: hub.sent.load(Ordering::Relaxed),
        identifies: registry.identifies,
        identifies_refused: registry.refused,
        identifies_remaining,
        resumes: registry.resumes.len(),
        connections: hub.connections.load(Ordering::Relaxed),
        attempts,
        worst_second,
        shards: hub.arrivals().shards(),
        rest_requests: hub.rest_requests.load(Ordering::Relaxed),
        record_full: hub.record_full(),
        violation_count: registry.log.count,
        violations: registry.log.kept.clone(),
        ready: sessions
            .iter()
            .map(|one| moment(one.shard, &one.id, one.started_ms))
            .collect(),
        resumed: registry
            .resumes
            .iter()
            .map(|(shard, id, at_ms)| moment(*shard, id, *at_ms))
            .collect(),
        sessions,
    }
}

/// The figures alone.
pub(super) fn state(hub: &Hub, now: Instant) -> State {
    let mut registry = hub.registry();
    let (identifies_remaining, _) = registry.identifies_left(now);
    let (mut sessions_live, mut connected, mut ready) = (0, 0, 0);
    for session in registry.live() {
        let session = session.lock();
        sessions_live += 1;
        let has_socket = session.listener().is_some();
        connected += usize::from(has_socket);
        ready += usize::from(has_socket && session.flows());
    }
    State {
        v: 1,
        sessions_live,
        connected,
        ready,
        sent: hub.sent.load(Ordering::Relaxed),
        identifies: registry.identifies,
        identifies_remaining,
        resumes: registry.resumes.len(),
        connections: hub.connections.load(Ordering::Relaxed),
        attempts: hub.arrivals().all().0,
        rest_requests: hub.rest_requests.load(Ordering::Relaxed),
        violations: registry.log.count,
        events_per_second: hub.rate.load(Ordering::Relaxed),
        max_concurrency: registry.main.concurrency.max,
    }
}

fn view(session: &Session) -> SessionView {
    let connected = session.listener().is_some();
    SessionView {
        id: session.identity.id.clone(),
        shard: session.identity.shard,
        shards: session.identity.shards,
        started_ms: session.identity.started_ms,
        last_seq: session.last(),
        delivered_seq: session.delivered(),
        state: match (session.ended, connected) {
            (Some(_), _) => "ended",
            (None, true) => "live",
            (None, false) => "ready_no_socket",
        },
        connected,
        guilds_loaded: session.loaded,
        ended_ms: session.ended.map(|(_, at)| at),
        end_reason: session.ended.map(|(reason, _)| reason),
    }
}
