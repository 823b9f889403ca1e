//! Streams and buckets as data: created where they are missing; where they differ, the difference
//! is named and the process stops. Nobody's stream is changed silently.

mod standing;

use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::jetstream::{
    ErrorCode,
    context::{CreateKeyValueError, CreateStreamError, GetStreamError, GetStreamErrorKind},
    kv,
    stream::{Config as StreamConfig, DiscardPolicy, RetentionPolicy, StorageType},
};

pub use self::standing::Standing;
use super::{Broker, bucket};
use crate::{
    clock,
    config::{self, Storage},
    fleet::Layout,
    subject::Names,
};

/// Creates the buckets of leases and of state, or says how what is there differs.
///
/// # Errors
/// A difference, or NATS away.
pub async fn buckets(
    broker: &Broker,
    stream: &config::Stream,
    lease: &config::Lease,
) -> Result<()> {
    for wanted in wanted_buckets(&broker.names, stream, lease) {
        let name = wanted.bucket.clone();
        let mut standing = compare_bucket(broker, &wanted).await?;
        if let Standing::Missing { .. } = standing {
            let created = broker.jetstream.create_key_value(wanted.clone()).await;
            standing = appeared(async || compare_bucket(broker, &wanted).await).await?;
            // Another process may have been first: then it is there.
            if let (Err(error), Standing::Missing { .. }) = (created, &standing) {
                return Err(error).with_context(|| format!("cannot create the bucket {name}"));
            }
        }
        standing.refuse("bucket")?;
    }
    Ok(())
}

/// How each bucket stands to the configuration; creates none.
///
/// # Errors
/// NATS away, or silent.
pub async fn bucket_standings(
    broker: &Broker,
    stream: &config::Stream,
    lease: &config::Lease,
) -> Result<Vec<Standing>> {
    let mut differences = Vec::new();
    for wanted in wanted_buckets(&broker.names, stream, lease) {
        differences.push(compare_bucket(broker, &wanted).await?);
    }
    Ok(differences)
}

fn wanted_buckets(
    names: &Names,
    stream: &config::Stream,
    lease: &config::Lease,
) -> [kv::Config; 2] {
    let replicas = stream.replicas.0 as usize;
    let leases = bucket::config(&names.lease_bucket(), lease.ttl.0, replicas);
    let state = bucket::config(&names.state_bucket(), Duration::ZERO, replicas);
    [leases, state]
}

async fn compare_bucket(broker: &Broker, wanted: &kv::Config) -> Result<Standing> {
    let name = wanted.bucket.clone();
    let Some(found) = found(broker, &format!("KV_{name}")).await? else {
        return Ok(Standing::Missing { name });
    };
    Ok(Standing::of_bucket(wanted, &found))
}

/// Creates the event streams of a layout, or says how what is there differs.
///
/// # Errors
/// A difference, or NATS away.
pub async fn streams(broker: &Broker, stream: &config::Stream, layout: &Layout) -> Result<()> {
    for wanted in wanted_streams(&broker.names, stream, layout) {
        let name = wanted.name.clone();
        let mut standing = compare_stream(broker, &wanted).await?;
        if let Standing::Missing { .. } = standing {
            // Where another process is first with the same configuration, this is no error.
            let created = broker.jetstream.create_stream(wanted.clone()).await;
            created.with_context(|| format!("cannot create the stream {name}"))?;
            tracing::info!(stream = name, "created the stream {name}");
            standing = appeared(async || compare_stream(broker, &wanted).await).await?;
        }
        standing.refuse("stream")?;
    }
    Ok(())
}

/// Waits for what was just created: a cluster says that it is not there until its replicas have
/// elected who leads.
async fn appeared(look: impl AsyncFn() -> Result<Standing>) -> Result<Standing> {
    let deadline = clock::now() + APPEARS_WITHIN;
    loop {
        let standing = look().await?;
        if !matches!(standing, Standing::Missing { .. }) || clock::now() >= deadline {
            return Ok(standing);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Tries until NATS answers, at most until `deadline`: a cluster that has just started elects before
/// it does. A difference does not mend itself, and is an error at once.
///
/// # Errors
/// Those of the last try.
pub async fn until_answered(
    deadline: clock::Instant,
    attempt: impl AsyncFn() -> Result<()>,
) -> Result<()> {
    loop {
        match attempt().await {
            Err(error) if is_unanswered(&error) && clock::now() < deadline => {
                tracing::warn!("JetStream is not ready: {error:#}");
                tokio::time::sleep(ANSWERS_AGAIN).await;
            }
            outcome => return outcome,
        }
    }
}

/// False for a difference.
fn is_unanswered(error: &anyhow::Error) -> bool {
    error.is::<GetStreamError>()
        || error.is::<CreateKeyValueError>()
        || error.is::<CreateStreamError>()
}

/// How long a replicated stream may take to elect its first leader.
const APPEARS_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How soon a question that was not answered is put again.
const ANSWERS_AGAIN: Duration = Duration::from_secs(1);

/// How each event stream of a layout stands to the configuration; creates none.
///
/// # Errors
/// NATS away, or silent.
pub async fn stream_standings(
    broker: &Broker,
    stream: &config::Stream,
    layout: &Layout,
) -> Result<Vec<Standing>> {
    let mut differences = Vec::new();
    for wanted in wanted_streams(&broker.names, stream, layout) {
        differences.push(compare_stream(broker, &wanted).await?);
    }
    Ok(differences)
}

async fn compare_stream(broker: &Broker, wanted: &StreamConfig) -> Result<Standing> {
    let name = wanted.name.clone();
    let found = found(broker, &name).await?;
    Ok(match found {
        None => Standing::Missing { name },
        Some(found) => Standing::of_stream(wanted, &found),
    })
}

async fn found(broker: &Broker, stream: &str) -> Result<Option<StreamConfig>> {
    match broker.jetstream.get_stream(stream).await {
        Ok(found) => Ok(Some(found.cached_info().config.clone())),
        Err(error) if missing(&error) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot look for {stream}")),
    }
}

/// The streams that a layout needs.
pub fn wanted_streams(
    names: &Names,
    stream: &config::Stream,
    layout: &Layout,
) -> Vec<StreamConfig> {
    let partitions = stream.partitions.0;
    (0..partitions)
        .map(|partition| StreamConfig {
            name: names.stream(partition, partitions),
            description: Some(format!("Discord events of the fleet {}", names.fleet())),
            subjects: subjects(names, layout, partition, partitions),
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            max_age: stream.max_age.0,
            max_bytes: i64::try_from(stream.max_bytes.0).unwrap_or(i64::MAX),
            duplicate_window: stream.duplicate_window.0,
            num_replicas: stream.replicas.0 as usize,
            storage: match stream.storage {
                Storage::File => StorageType::File,
                Storage::Memory => StorageType::Memory,
            },
            allow_direct: true,
            // Ignored by a server before 2.14, where every message is published alone.
            allow_batch_publish: true,
            deny_delete: true,
            deny_purge: true,
            max_messages: -1,
            max_messages_per_subject: -1,
            ..Default::default()
        })
        .collect()
}

fn subjects(names: &Names, layout: &Layout, partition: u32, partitions: u32) -> Vec<String> {
    if partitions == 1 {
        return vec![names.events()];
    }
    layout
        .group_ids()
        .filter(|group| Names::partition_of(*group, partitions) == partition)
        .flat_map(|group| layout.shards_of(group))
        .map(|shard| names.shard(shard))
        .collect()
}

fn missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        generation: 1,
        shards: 6,
        group_size: 2,
    };

    #[test]
    fn partitions_share_the_shards_by_group() {
        let names = Names::new("discord");
        assert_eq!(subjects(&names, &LAYOUT, 0, 1), ["discord.>"]);
        let expected = ["discord.0.*", "discord.1.*", "discord.4.*", "discord.5.*"];
        assert_eq!(subjects(&names, &LAYOUT, 0, 2), expected);
        assert_eq!(
            subjects(&names, &LAYOUT, 1, 2),
            ["discord.2.*", "discord.3.*"]
        );
    }
}
