//! How what is in NATS differs from what this configuration wants, said so that it can be mended.

use anyhow::{Result, anyhow, bail};
use async_nats::jetstream::{kv, stream::Config};

use crate::broker::start::Final;

/// How one bucket or stream stands to the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As wanted.
    AsWanted {
        /// Its name.
        name: String,
    },
    /// Not there.
    Missing {
        /// Its name.
        name: String,
    },
    /// There, and different.
    Fields {
        /// Its name.
        name: String,
        /// What differs, each with the key that wants it so.
        fields: Vec<String>,
    },
}

impl Standing {
    /// Compares what a bucket is made of.
    pub(super) fn of_bucket(wanted: &kv::Config, found: &Config) -> Self {
        let mut fields = Vec::new();
        let list = &mut fields;
        let (replicas, history) = (found.num_replicas, found.max_messages_per_subject);
        differ(
            list,
            "max_age",
            &wanted.max_age,
            &found.max_age,
            "lease.ttl",
        );
        differ(
            list,
            "replicas",
            &wanted.num_replicas,
            &replicas,
            "stream.replicas",
        );
        differ(list, "history", &wanted.history, &history, "");
        Self::new(wanted.bucket.clone(), fields)
    }

    /// Compares what a stream is made of.
    pub(super) fn of_stream(wanted: &Config, found: &Config) -> Self {
        Self::new(wanted.name.clone(), stream_differences(wanted, found))
    }

    /// Nothing, unless it is as wanted.
    pub(super) fn refuse(self, kind: &str) -> Result<()> {
        match self {
            Self::AsWanted { .. } => Ok(()),
            Self::Missing { name } => bail!("the {kind} {name} is gone: somebody deleted it"),
            Self::Fields { name, fields } => Err(anyhow!(Final(format!(
                "the {kind} {name} is there and differs: {}. Change the configuration to what is \
                 there, or the {kind} itself (`nats stream edit`); it is not changed silently",
                fields.join("; ")
            )))),
        }
    }

    fn new(name: String, fields: Vec<String>) -> Self {
        if fields.is_empty() {
            Self::AsWanted { name }
        } else {
            Self::Fields { name, fields }
        }
    }
}

/// What differs between a stream as wanted and as found; empty: nothing that matters.
fn stream_differences(wanted: &Config, found: &Config) -> Vec<String> {
    let mut differences = Vec::new();
    let list = &mut differences;
    differ(
        list,
        "subjects",
        &wanted.subjects,
        &found.subjects,
        "fleet.name, stream.partitions",
    );
    differ(list, "retention", &wanted.retention, &found.retention, "");
    differ(list, "discard", &wanted.discard, &found.discard, "");
    differ(
        list,
        "max_age",
        &wanted.max_age,
        &found.max_age,
        "stream.max_age",
    );
    differ(
        list,
        "max_bytes",
        &wanted.max_bytes,
        &found.max_bytes,
        "stream.max_bytes",
    );
    differ(
        list,
        "replicas",
        &wanted.num_replicas,
        &found.num_replicas,
        "stream.replicas",
    );
    differ(
        list,
        "storage",
        &wanted.storage,
        &found.storage,
        "stream.storage",
    );
    let windows = (&wanted.duplicate_window, &found.duplicate_window);
    differ(
        list,
        "duplicate_window",
        windows.0,
        windows.1,
        "stream.duplicate_window",
    );
    differ(
        list,
        "allow_direct",
        &wanted.allow_direct,
        &found.allow_direct,
        "",
    );
    differences
}

fn differ<T: PartialEq + std::fmt::Debug>(
    list: &mut Vec<String>,
    field: &str,
    wanted: &T,
    found: &T,
    key: &str,
) {
    if wanted != found {
        let key = if key.is_empty() {
            String::new()
        } else {
            format!(" (key {key})")
        };
        list.push(format!(
            "{field} is {found:?}, this configuration wants {wanted:?}{key}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_difference_is_named_with_its_key() {
        let wanted = Config {
            max_age: Duration::from_secs(60),
            ..Config::default()
        };
        assert!(stream_differences(&wanted, &wanted).is_empty());
        let found = Config {
            max_age: Duration::from_secs(1),
            ..wanted.clone()
        };
        let differences = stream_differences(&wanted, &found);
        assert_eq!(differences.len(), 1);
        assert!(differences[0].contains("stream.max_age"), "{differences:?}");
        let told = Standing::of_stream(&wanted, &found).refuse("stream");
        assert!(
            told.is_err()
                && Standing::of_stream(&wanted, &wanted)
                    .refuse("stream")
                    .is_ok()
        );
    }
}
