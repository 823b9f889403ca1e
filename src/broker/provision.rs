//! Streams and buckets as data: created where they are missing; where they differ, the difference
//! is named and the process stops. Nobody's stream is changed silently.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_nats::jetstream::{
    ErrorCode,
    context::GetStreamErrorKind,
    stream::{Config as StreamConfig, DiscardPolicy, RetentionPolicy, StorageType},
};

use super::{Broker, bucket};
use crate::{
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
    let replicas = stream.replicas.0 as usize;
    let (leases, state) = (broker.names.lease_bucket(), broker.names.state_bucket());
    for (name, max_age) in [(leases, lease.ttl.0), (state, Duration::ZERO)] {
        let wanted = bucket::config(&name, max_age, replicas);
        let found = match broker.jetstream.get_stream(format!("KV_{name}")).await {
            Ok(found) => found.cached_info().config.clone(),
            Err(error) if missing(&error) => {
                match broker.jetstream.create_key_value(wanted).await {
                    Ok(_) => continue,
                    // Another process was first: look again, it may differ.
                    Err(_) => broker
                        .jetstream
                        .get_stream(format!("KV_{name}"))
                        .await
                        .with_context(|| format!("cannot create the bucket {name}"))?
                        .cached_info()
                        .config
                        .clone(),
                }
            }
            Err(error) => return Err(error).context("cannot look for the buckets"),
        };
        let mut differences = Vec::new();
        differ(
            &mut differences,
            "max_age",
            &max_age,
            &found.max_age,
            "lease.ttl",
        );
        differ(
            &mut differences,
            "replicas",
            &replicas,
            &found.num_replicas,
            "stream.replicas",
        );
        differ(
            &mut differences,
            "history",
            &1,
            &found.max_messages_per_subject,
            "",
        );
        refuse("bucket", &name, &differences)?;
    }
    Ok(())
}

/// Creates the event streams of a layout, or says how what is there differs.
///
/// # Errors
/// A difference, or NATS away.
pub async fn streams(broker: &Broker, stream: &config::Stream, layout: &Layout) -> Result<()> {
    for wanted in wanted_streams(&broker.names, stream, layout) {
        let name = wanted.name.clone();
        let found = match broker.jetstream.get_stream(&name).await {
            Ok(found) => found.cached_info().config.clone(),
            Err(error) if missing(&error) => {
                // Where another process is first with the same configuration, this is no error.
                let created = broker.jetstream.create_stream(wanted.clone()).await;
                created.with_context(|| format!("cannot create the stream {name}"))?;
                tracing::info!(stream = name, "created the stream {name}");
                continue;
            }
            Err(error) => return Err(error).context("cannot look for the streams"),
        };
        refuse("stream", &name, &stream_differences(&wanted, &found))?;
    }
    Ok(())
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

/// What differs between a stream as wanted and as found; empty: nothing that matters.
pub fn stream_differences(wanted: &StreamConfig, found: &StreamConfig) -> Vec<String> {
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

fn refuse(kind: &str, name: &str, differences: &[String]) -> Result<()> {
    if differences.is_empty() {
        return Ok(());
    }
    bail!(
        "the {kind} {name} is there and differs: {}. Change the configuration to what is there, or \
         the {kind} itself (`nats stream edit`); it is not changed silently",
        differences.join("; ")
    )
}

fn missing(error: &async_nats::jetstream::context::GetStreamError) -> bool {
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

    #[test]
    fn a_difference_is_named_with_its_key() {
        let config = config::Stream::default();
        let wanted = &wanted_streams(&Names::new("discord"), &config, &LAYOUT)[0];
        assert!(stream_differences(wanted, wanted).is_empty());
        let found = StreamConfig {
            max_age: Duration::from_secs(1),
            ..wanted.clone()
        };
        let differences = stream_differences(wanted, &found);
        assert_eq!(differences.len(), 1);
        assert!(differences[0].contains("stream.max_age"), "{differences:?}");
    }
}
