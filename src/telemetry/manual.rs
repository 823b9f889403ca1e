//! Pure: the manual of metrics, `docs/METRICS.md`, written from the tables that declare them.

use std::fmt::Write;

use super::metrics::{Kind, Metric};
use crate::wire::{event::GapReason, status::ShardState};

const HEAD: &str = "\
# Metrics

Written by `make docs` from the tables in the source; a test fails where the two differ. Every process serves them at `/metrics` on `web.listen`, each with the label `fleet`. Units are seconds and bytes.
";

/// Beside what the code itself enumerates.
const VALUES: &[(&str, &str, &str)] = &[
    (
        "event",
        "`events_total`",
        "the names of dispatch events that Discord documents, such as `MESSAGE_CREATE`; `other` for any other",
    ),
    (
        "reason",
        "`events_dropped_total`",
        "`denied`: by `fleet.allow` or `fleet.deny`; `shed`: no room in the buffer; `seen`: stored before; `stray`: of no session",
    ),
    (
        "reason",
        "`publish_retries_total`",
        "`unanswered`, `refused`, `broken`: the batch broke",
    ),
    (
        "code",
        "`disconnects_total`",
        "the close code: `1000` to `1015`, `4000` to `4014`, `other` for any other, `none` where the connection broke without one",
    ),
    ("kind", "`sessions_started_total`", "`ready`, `resumed`"),
    (
        "op",
        "`commands_total`",
        "`presence`, `voice`, `members`, `soundboard`, `channel_info`; `other` where the command was not understood",
    ),
    (
        "result",
        "`commands_total`",
        "`accepted`, `malformed`, `too_large`, `unknown_op`, `wrong_shard`, `no_session`, `limited`",
    ),
    (
        "kind",
        "`gateway_queue_requests_total`",
        "`granted`, `gone`, `refused`, `probe`",
    ),
    (
        "task",
        "`task_failures_total`",
        "the names of [ARCHITECTURE.md](ARCHITECTURE.md#when-a-task-dies); `other` for a task without one",
    ),
    ("version", "`build_info`", "the release"),
    (
        "kind",
        "`nats_missing`, `nats_lost_total`",
        "`stream`, `lease`, `state`",
    ),
    ("fleet", "every one", "`fleet.name`"),
];

const TAIL: &str = "
## Every process on Linux

The usual ones of a Prometheus client: `process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`, `process_virtual_memory_max_bytes`, `process_open_fds`, `process_max_fds`, `process_start_time_seconds`, `process_threads`. `process_cpu_seconds_total` counts whole seconds: take its rate over minutes.
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
    labels(&mut text);
    text.push_str(TAIL);
    text
}

/// What may stand in each label.
fn labels(text: &mut String) {
    text.push_str(
        "\n## Values of the labels\n\n| label | of `shardfleet_…` | values |\n| --- | --- | --- |\n",
    );
    let row = |text: &mut String, label: &str, of: &str, values: &str| {
        _ = writeln!(text, "| `{label}` | {of} | {values} |");
    };
    let states = ShardState::ALL.map(|state| format!("`{}`", state.as_str()));
    row(text, "state", "`shards`", &states.join(", "));
    let reasons = GapReason::ALL.map(|reason| format!("`{}`", reason.as_str()));
    row(text, "reason", "`gaps_total`", &reasons.join(", "));
    for (label, of, values) in VALUES {
        row(text, label, of, values);
    }
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
