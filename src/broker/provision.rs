//! Streams and buckets as data: created where they are missing; where they differ, the difference
//! is named and the process stops. Nobody's stream is changed silently.

mod differences;
mod refused;
mod standing;

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use async_nats::jetstream::{
    ErrorCode,
    context::{CreateStreamError, CreateStreamErrorKind, GetStreamError, GetStreamErrorKind},
    kv,
    stream::{Compression, Config as StreamConfig, DiscardPolicy, RetentionPolicy, StorageType},
};

pub(super) use self::differences::differences;
pub use self::standing::{Standing, WAY_OUT};
use super::{Broker, bucket, start::Final, upkeep::Kind};
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
    for (kind, wanted) in wanted_buckets(&broker.names, stream, lease) {
        let mut standing = compare_bucket(broker, kind, &wanted).await?;
        if let Standing::Missing { name } = &standing {
            may_create(stream, "bucket", name)?;
            create(broker, &bucket::stream_config(&wanted, clock::unix_ms())).await?;
            standing = appeared(async || compare_bucket(broker, kind, &wanted).await).await?;
        }
        standing.refuse("bucket")?;
    }
    Ok(())
}

/// Creates a stream, or that of a bucket. Where another process is first with it, this is no error: how it
/// made it is looked at afterwards.
///
/// # Errors
/// Where the server refuses, or does not answer.
pub(super) async fn create(broker: &Broker, wanted: &StreamConfig) -> Result<()> {
    // In boxes: they are large, and seldom there.
    let mut made = Box::pin(broker.jetstream.create_stream(wanted.clone())).await;
    if wanted.allow_batch_publish && made.as_ref().is_err_and(knows_no_batches) {
        let alone = StreamConfig {
            allow_batch_publish: false,
            ..wanted.clone()
        };
        made = Box::pin(broker.jetstream.create_stream(alone)).await;
    }
    match made {
        Ok(_) => tracing::info!(stream = wanted.name, "created the stream {}", wanted.name),
        Err(error) if is_there(&error) => {}
        Err(error) => {
            if let Some(refused) = refused::for_good(&error, wanted) {
                return Err(anyhow!(Final(refused)));
            }
            return Err(error).with_context(|| format!("cannot create the stream {}", wanted.name));
        }
    }
    Ok(())
}

/// A server before 2.14 has no word for batches: 2.12 refuses what it does not know, 2.11 reads over it.
fn knows_no_batches(error: &CreateStreamError) -> bool {
    matches!(error.kind(), CreateStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::INVALID_JSON)
}

/// The server's word for a stream of this name that is made otherwise.
fn is_there(error: &CreateStreamError) -> bool {
    matches!(error.kind(), CreateStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::STREAM_NAME_EXIST)
}

fn may_create(stream: &config::Stream, kind: &str, name: &str) -> Result<()> {
    if stream.create.0 {
        return Ok(());
    }
    Err(anyhow!(Final(format!(
        "NATS has no {kind} {name}, and stream.create is false: make it by hand as docs/OPERATIONS.md says, \
         or set stream.create = true, then start again"
    ))))
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
    for (kind, wanted) in wanted_buckets(&broker.names, stream, lease) {
        differences.push(compare_bucket(broker, kind, &wanted).await?);
    }
    Ok(differences)
}

pub(super) fn wanted_buckets(
    names: &Names,
    stream: &config::Stream,
    lease: &config::Lease,
) -> [(Kind, kv::Config); 2] {
    let replicas = stream.replicas.0 as usize;
    let leases = bucket::config(&names.lease_bucket(), lease.ttl.0, replicas);
    let state = bucket::config(&names.state_bucket(), Duration::ZERO, replicas);
    [(Kind::Lease, leases), (Kind::State, state)]
}

async fn compare_bucket(broker: &Broker, kind: Kind, wanted: &kv::Config) -> Result<Standing> {
    let name = wanted.bucket.clone();
    let Some(found) = found(broker, &format!("KV_{name}")).await? else {
        return Ok(Standing::Missing { name });
    };
    Ok(Standing::of_bucket(kind, wanted, &found))
}

/// Creates the event streams of a layout, or says how what is there differs.
///
/// # Errors
/// A difference, or NATS away.
pub async fn streams(broker: &Broker, stream: &config::Stream, layout: &Layout) -> Result<()> {
    for wanted in wanted_streams(&broker.names, stream, layout) {
        let mut standing = compare_stream(broker, &wanted).await?;
        if let Standing::Missing { name } = &standing {
            may_create(stream, "stream", name)?;
            create(broker, &wanted).await?;
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

/// How long a replicated stream may take to elect its first leader.
const APPEARS_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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
            compression: compression(stream.compression),
            allow_direct: true,
            // Not of a server before 2.14, where every message is published alone.
            allow_batch_publish: true,
            deny_delete: true,
            deny_purge: true,
            max_messages: -1,
            max_messages_per_subject: -1,
            ..Default::default()
        })
        .collect()
}

/// As the server has it; none: not compressed.
fn compression(wanted: config::Compression) -> Option<Compression> {
    match wanted {
        config::Compression::None => None,
        config::Compression::S2 => Some(Compression::S2),
    }
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

/// JetStream's own word that there is no such stream.
pub(super) fn missing(error: &GetStreamError) -> bool {
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
