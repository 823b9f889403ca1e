//! Medians and ratios of a whole run, as text.

use std::{collections::HashMap, fmt::Write as _, path::Path};

use crate::{measure::Sample, memory, plan::Row, plot};

/// Where a table goes in docs/PERFORMANCE.md.
const MARKS: (&str, &str) = ("<!-- bench -->\n", "<!-- /bench -->\n");

/// Ratios asked for: what of them, of which row to which, and at most how much.
const RATIOS: &[(&str, &str, &str, f64)] = &[
    (
        "shardfleet ÷ drain, flat out",
        "flat: shardfleet",
        "flat: drain",
        1.6,
    ),
    (
        "shardfleet ÷ (drain + core publish), flat out",
        "flat: shardfleet",
        "flat: drain + core publish",
        f64::NAN,
    ),
    (
        "shardfleet ÷ typical peer, flat out",
        "flat: shardfleet",
        "flat: typical peer",
        1.0 / 3.5,
    ),
    (
        "two lanes ÷ one",
        "flat: shardfleet, two lanes",
        "flat: shardfleet",
        1.1,
    ),
    (
        "shardfleet ÷ drain with the same gather, paced",
        "paced: shardfleet",
        "paced: drain, gathering",
        1.6,
    ),
    (
        "shardfleet ÷ plain drain, paced",
        "paced: shardfleet",
        "paced: drain",
        0.65,
    ),
    (
        "256 shards ÷ 1 shard",
        "scale: shardfleet, 256 shards",
        "scale: shardfleet, 1 shard",
        1.1,
    ),
    (
        "drain: 256 shards ÷ 1 shard",
        "scale: drain, 256 shards",
        "scale: drain, 1 shard",
        f64::NAN,
    ),
];

/// All samples, row by row.
pub(crate) struct Report<'a> {
    rows: &'a [Row],
    samples: &'a HashMap<&'static str, Vec<Sample>>,
}

impl<'a> Report<'a> {
    /// Of these.
    pub(crate) fn new(rows: &'a [Row], samples: &'a HashMap<&'static str, Vec<Sample>>) -> Self {
        Self { rows, samples }
    }

    /// Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text =
            "| row | shards | CPU µs an event | nats-server µs | switches an event | events/s | \
                        KiB a shard idle, warm | latency p50 / p99 / p99.9 ms |\n\
                        | --- | --- | --- | --- | --- | --- | --- | --- |\n"
                .to_owned();
        for row in self.rows {
            let of = |what: fn(&Sample) -> f64| spread(&self.values(row.name, what));
            let latency = [0, 1, 2].map(|index| {
                let samples = self.samples[row.name].iter();
                let values: Vec<f64> = samples
                    .filter_map(|sample| Some(sample.latency_ms?[index]))
                    .collect();
                (!values.is_empty()).then(|| format!("{:.2}", median(&values)))
            });
            let latency = latency.map(Option::unwrap_or_default).join(" / ");
            _ = writeln!(
                text,
                "| {} | {} | {} | {:.2} | {:.3} | {:.0} | {:.0}, {:.0} | {} |",
                row.name,
                row.setting.shards,
                of(|sample| sample.cpu_us),
                median(&self.values(row.name, |sample| sample.server_us)),
                median(&self.values(row.name, |sample| sample.switches)),
                median(&self.values(row.name, |sample| sample.rate)),
                median(&self.values(row.name, |sample| sample.idle_kib)),
                median(&self.values(row.name, |sample| sample.warm_kib)),
                if latency.len() > 6 {
                    latency
                } else {
                    String::new()
                },
            );
        }
        _ = writeln!(
            text,
            "\n| CPU an event, ratio in one repetition | median (least to most) | wanted |\n| --- | --- | --- |"
        );
        for (name, of, to, limit) in RATIOS {
            let ratios: Vec<f64> = self
                .values(of, |sample| sample.cpu_us)
                .iter()
                .zip(self.values(to, |sample| sample.cpu_us))
                .map(|(of, to)| of / to)
                .collect();
            if ratios.is_empty() {
                continue;
            }
            let wanted = if limit.is_nan() {
                String::new()
            } else {
                format!("≤ {limit:.2}")
            };
            _ = writeln!(text, "| {name} | {} | {wanted} |", spread(&ratios));
        }
        text += &memory::table(self);
        text
    }

    /// Puts table and picture into the documents of this folder.
    pub(crate) fn write(&self, folder: &Path) {
        let path = folder.join("PERFORMANCE.md");
        let text = std::fs::read_to_string(&path).unwrap();
        let (head, rest) = text
            .split_once(MARKS.0)
            .expect("the document has a place for the table");
        let (_, tail) = rest.split_once(MARKS.1).expect("the place has an end");
        let picture = "![CPU an event by row](performance.svg)\n\n";
        let text = format!(
            "{head}{}{picture}{}{}{tail}",
            MARKS.0,
            self.table(),
            MARKS.1
        );
        std::fs::write(path, text).unwrap();
        let bars: Vec<_> = self
            .rows
            .iter()
            .map(|row| (row.name, self.values(row.name, |sample| sample.cpu_us)))
            .collect();
        std::fs::write(folder.join("performance.svg"), plot::bars(&bars)).unwrap();
    }

    /// How many a row has.
    pub(crate) fn shards(&self, row: &str) -> f64 {
        let row = self.rows.iter().find(|known| known.name == row);
        row.map_or(f64::NAN, |row| f64::from(row.setting.shards))
    }

    /// Of all repetitions.
    pub(crate) fn values(&self, row: &str, what: fn(&Sample) -> f64) -> Vec<f64> {
        let samples = self.samples.get(row).into_iter().flatten();
        samples.map(what).collect()
    }
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The middle one, the least and the most.
pub(crate) fn spread(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({least:.2} to {most:.2})", median(values))
}
