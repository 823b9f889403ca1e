//! One run of one row: the figures that it leaves.

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    blob::Blob,
    latency::Latency,
    plan::Row,
    stage::{Leg, Stage},
};

/// The figures of one run.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    /// Microseconds of a core an event, of the process under test.
    pub(crate) cpu_us: f64,
    /// The same of nats-server.
    pub(crate) server_us: f64,
    /// Context switches an event, of the process under test.
    pub(crate) switches: f64,
    /// Events a second.
    pub(crate) rate: f64,
    /// KiB a shard before the first event and after the last one, the empty process not taken off.
    pub(crate) idle_kib: f64,
    /// See `idle_kib`.
    pub(crate) warm_kib: f64,
    /// Milliseconds from the generator to a subscriber: p50, p99, p99.9.
    pub(crate) latency_ms: Option<[f64; 3]>,
}

/// Runs it.
pub(crate) async fn row(row: &Row, blob: &Arc<Blob>) -> Sample {
    let (before, measured) = row.events;
    let pace = row.setting.pace;
    let timed = if pace.is_some() { before + measured } else { 0 };
    let mut stage = Stage::set(row.setting, blob, timed).await;
    let idle = stage.rss();
    let latency = match pace {
        Some(_) => Some(Latency::listen(&stage.client, &stage.generator).await),
        None => None,
    };
    stage.leg(before, pace).await;
    _ = latency.as_ref().map(Latency::percentiles);
    let leg = stage.leg(measured, pace).await;
    let percentiles = latency.and_then(|latency| latency.percentiles());
    Sample::new(&leg, row.setting.shards, idle, stage.rss(), percentiles)
}

impl Sample {
    fn new(leg: &Leg, shards: u32, idle: u64, warm: u64, latency: Option<[Duration; 3]>) -> Self {
        let events = leg.events as f64;
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / events;
        let a_shard = |bytes: u64| bytes as f64 / 1024.0 / f64::from(shards);
        Self {
            cpu_us: each(leg.cost.cpu),
            server_us: each(leg.server.cpu),
            switches: leg.cost.switches as f64 / events,
            rate: events / leg.wall.as_secs_f64(),
            idle_kib: a_shard(idle),
            warm_kib: a_shard(warm),
            latency_ms: latency.map(|times| times.map(|time| time.as_secs_f64() * 1e3)),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu_us,
            server_us,
            switches,
            rate,
            idle_kib,
            warm_kib,
            ..
        } = self;
        write!(
            f,
            "{cpu_us:.2} µs, server {server_us:.2} µs, {switches:.4} switches an event, {rate:.0}/s, \
             {idle_kib:.0} and {warm_kib:.0} KiB a shard"
        )?;
        if let Some([p50, p99, p999]) = self.latency_ms {
            write!(f, ", {p50:.2} / {p99:.2} / {p999:.2} ms")?;
        }
        Ok(())
    }
}
