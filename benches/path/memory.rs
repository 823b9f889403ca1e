//! What a shard takes beyond its process: of many shards and of one, the difference.

use std::fmt::Write as _;

use crate::{
    measure::Sample,
    report::{Report, median, spread},
};

/// More than a bare shard takes, at most.
const WANTED: f64 = 1.1;
/// Who is compared with whom.
const PAIR: [(&str, [&str; 2]); 2] = [
    (
        "shardfleet",
        [
            "scale: shardfleet, 1 shard",
            "scale: shardfleet, 256 shards",
        ],
    ),
    (
        "drain",
        ["scale: drain, 1 shard", "scale: drain, 256 shards"],
    ),
];

/// Markdown; nothing where one of the rows did not run.
pub(crate) fn table(report: &Report<'_>) -> String {
    let of = |what: fn(&Sample) -> f64| PAIR.map(|(_, rows)| beyond(report, rows, what));
    let (idle, warm) = (of(|sample| sample.idle_kib), of(|sample| sample.warm_kib));
    if idle.iter().any(Vec::is_empty) {
        return String::new();
    }
    let mut text =
        "\n| KiB a shard beyond the process, 256 shards less 1 | idle | warm | wanted |\n\
                    | --- | --- | --- | --- |\n"
            .to_owned();
    for (index, (name, _)) in PAIR.iter().enumerate() {
        let (idle, warm) = (median(&idle[index]), median(&warm[index]));
        _ = writeln!(text, "| {name} | {idle:.0} | {warm:.0} |  |");
    }
    let [idle, warm] = [idle, warm].map(|[ours, bare]| {
        let ratios: Vec<f64> = ours
            .iter()
            .zip(bare)
            .map(|(ours, bare)| ours / bare)
            .collect();
        spread(&ratios)
    });
    _ = writeln!(
        text,
        "| shardfleet ÷ drain | {idle} | {warm} | ≤ {WANTED:.2} |"
    );
    text
}

fn beyond(report: &Report<'_>, rows: [&str; 2], what: fn(&Sample) -> f64) -> Vec<f64> {
    let [one, many] = rows.map(|row| {
        let shards = report.shards(row);
        report
            .values(row, what)
            .into_iter()
            .map(move |a_shard| (shards, a_shard * shards))
    });
    one.zip(many)
        .map(|((few, least), (many, most))| (most - least) / (many - few))
        .collect()
}
