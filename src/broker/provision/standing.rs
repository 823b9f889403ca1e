//! How what is in NATS differs from what this configuration wants, said so that it can be mended.

use anyhow::{Result, anyhow, bail};
use async_nats::jetstream::{kv, stream::Config};

use super::differences::differences;
use crate::broker::{bucket, start::Final, upkeep::Kind};

/// What to do with a stream, or that of a bucket, that differs.
pub const WAY_OUT: &str = "the stream itself (`nats stream edit`; what NATS does not let anybody edit, such as a \
                           seal, ends only with a stream that is deleted and made anew)";

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
    /// Compares what a bucket is made of; `kind` is which.
    pub(super) fn of_bucket(kind: Kind, wanted: &kv::Config, found: &Config) -> Self {
        let stream = bucket::stream_config(wanted, 0);
        Self::new(wanted.bucket.clone(), differences(kind, &stream, found))
    }

    /// Compares what a stream is made of.
    pub(super) fn of_stream(wanted: &Config, found: &Config) -> Self {
        let fields = differences(Kind::Stream, wanted, found);
        Self::new(wanted.name.clone(), fields)
    }

    /// Nothing, unless it is as wanted.
    pub(super) fn refuse(self, kind: &str) -> Result<()> {
        match self {
            Self::AsWanted { .. } => Ok(()),
            Self::Missing { name } => bail!("the {kind} {name} is gone: somebody deleted it"),
            Self::Fields { name, fields } => Err(anyhow!(Final(format!(
                "the {kind} {name} is there and differs: {}. Change the configuration to what is \
                 there, or {WAY_OUT}; it is not changed silently",
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
        let found = Config {
            max_age: Duration::from_secs(1),
            ..wanted.clone()
        };
        let told = Standing::of_stream(&wanted, &found).refuse("stream");
        let told = told.unwrap_err().to_string();
        for part in ["stream.max_age", "nats stream edit", "made anew"] {
            assert!(told.contains(part), "{part:?} is not in: {told}");
        }
        let as_wanted = Standing::of_stream(&wanted, &wanted);
        assert!(as_wanted.refuse("stream").is_ok());
    }
}
