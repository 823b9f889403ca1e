//! Documents that are written from the code are what the code says. `make docs` writes them.

use std::path::Path;

use shardfleet::{app::METRICS, telemetry::manual};

/// The file is what the tables say; with `UPDATE_DOCS=1` it is made so.
#[test]
fn the_manual_of_metrics_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/METRICS.md");
    let wanted = manual::markdown(&METRICS);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == wanted,
        "docs/METRICS.md differs: run `make docs`"
    );
}

/// Names say their unit and kind as Prometheus wants them, and a histogram its buckets in order.
#[test]
fn metrics_are_named_as_prometheus_names_them() {
    for metric in METRICS.iter().flat_map(|(_, table)| *table) {
        let counter = metric.kind == shardfleet::telemetry::metrics::Kind::Counter;
        let histogram = metric.kind == shardfleet::telemetry::metrics::Kind::Histogram;
        let name = metric.name;
        assert!(name.starts_with("shardfleet_"), "{name}");
        assert_eq!(name.ends_with("_total"), counter, "{name}");
        assert_eq!(metric.buckets.is_empty(), !histogram, "{name}");
        assert!(metric.buckets.is_sorted(), "{name}");
        assert!(
            metric.help.ends_with('.') && !metric.help.contains('|'),
            "{name}"
        );
        let grows = ["guild", "user", "channel", "shard", "process"];
        assert!(
            !metric.labels.iter().any(|label| grows.contains(label)),
            "{name}"
        );
    }
}
