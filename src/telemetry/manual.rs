//! Pure: the manual of metrics, `docs/METRICS.md`, written from the tables that declare them.

use std::fmt::Write;

use super::metrics::{Kind, Metric};

const HEAD: &str = "\
# Metrics

Written by `make docs` from the tables in the source; a test fails where the two differ. Every process serves them at `/metrics` on `web.listen`, each with the label `fleet`. Units are seconds and bytes.
";

const TAIL: &str = "
## Every process on Linux

The usual ones of a Prometheus client: `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`, `process_virtual_memory_max_bytes`, `process_open_fds`, `process_max_fds`, `process_start_time_seconds`, `process_threads`.
";

/// The manual of `parts`: a title and a table each.
pub fn markdown(parts: &[(&str, &[Metric])]) -> String {
    let mut text = HEAD.to_owned();
    for (title, table) in parts {
        _ = write!(
            text,
            "\n## {title}\n\n| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n"
        );
        for metric in *table {
            row(&mut text, metric);
        }
    }
    text.push_str(TAIL);
    text
}

fn row(text: &mut String, metric: &Metric) {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let labels: Vec<_> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
    let buckets: Vec<_> = metric.buckets.iter().map(f64::to_string).collect();
    let more = if buckets.is_empty() {
        String::new()
    } else {
        format!(" Buckets: {}.", buckets.join(", "))
    };
    let (name, labels, help) = (metric.name, labels.join(", "), metric.help);
    _ = writeln!(text, "| `{name}` | {kind} | {labels} | {help}{more} |");
}
