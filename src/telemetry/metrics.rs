//! Metrics: each declared once, its doc comment its HELP; rendered for Prometheus.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use super::VERSION;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// One row of the table of metrics.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// With the prefix `shardfleet_`.
    pub name: &'static str,
    /// What it counts, and in which unit.
    pub help: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// Upper bounds of a histogram's buckets.
    pub buckets: &'static [f64],
}

/// Declares metrics: a constant each, and `ALL` for the exporter and the manual.
///
/// ```ignore
/// metrics! {
///     /// Events acknowledged by the stream.
///     EVENTS: Counter "shardfleet_events_total" ["event"];
/// }
/// ```
#[macro_export]
macro_rules! metrics {
    ($( #[doc = $help:literal] $name:ident: $kind:ident $text:literal [$($label:literal),*] $( = $buckets:expr )? ; )*) => {
        $( #[doc = $help]
        pub const $name: $crate::telemetry::metrics::Metric = $crate::telemetry::metrics::Metric {
            name: $text,
            help: $help.trim_ascii(),
            kind: $crate::telemetry::metrics::Kind::$kind,
            labels: &[$($label),*],
            buckets: $crate::metrics!(@buckets $($buckets)?),
        }; )*
        /// Every metric of this table.
        pub const ALL: &[$crate::telemetry::metrics::Metric] = &[$($name),*];
    };
    (@buckets) => { &[] };
    (@buckets $buckets:expr) => { $buckets };
}

metrics! {
    /// One if every connection of this process to NATS stands; a gateway has one a lane, and one more.
    NATS_CONNECTED: Gauge "shardfleet_nats_connected" [];
    /// Tasks that panicked, or ended although nobody had asked them to; `other` is a task without a name.
    TASK_FAILURES: Counter "shardfleet_task_failures_total" ["task"];
    /// Always one; its labels say what runs.
    BUILD_INFO: Gauge "shardfleet_build_info" ["version"];
}

/// Installs the exporter of this process and describes every metric of `tables`.
///
/// # Errors
/// Where a process has one already, or a bucket list is empty.
pub fn install(fleet: &str, tables: &[&[Metric]]) -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new().add_global_label("fleet", fleet);
    for metric in tables
        .iter()
        .copied()
        .flatten()
        .filter(|m| m.kind == Kind::Histogram)
    {
        let matcher = Matcher::Full(metric.name.to_owned());
        builder = builder.set_buckets_for_metric(matcher, metric.buckets)?;
    }
    let handle = builder.install_recorder()?;
    for metric in tables.iter().copied().flatten() {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    // There from the start: an alert can tell zero from nobody home, and a rate sees the first one.
    for metric in tables
        .iter()
        .copied()
        .flatten()
        .filter(|metric| metric.labels.is_empty())
    {
        match metric.kind {
            Kind::Counter => metrics::counter!(metric.name).increment(0),
            Kind::Gauge => metrics::gauge!(metric.name).set(0),
            Kind::Histogram => drop(metrics::histogram!(metric.name)),
        }
    }
    metrics::gauge!(BUILD_INFO.name, "version" => VERSION).set(1);
    Ok(handle)
}

/// Folds what was measured into the buckets, also where nobody scrapes: memory stays bounded.
pub async fn keep_up(handle: PrometheusHandle, closed: CancellationToken) {
    let upkeep = async {
        let mut tick = tokio::time::interval(UPKEEP_EVERY);
        loop {
            tick.tick().await;
            handle.run_upkeep();
        }
    };
    closed.run_until_cancelled(upkeep).await;
}

const UPKEEP_EVERY: Duration = Duration::from_secs(5);
