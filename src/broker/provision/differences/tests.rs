use std::time::Duration;

use async_nats::jetstream::stream::{
    Compression, ConsumerLimits, DiscardPolicy, Placement, Republish, RetentionPolicy, Source,
    StorageType, SubjectTransform,
};

use super::*;
use crate::{
    broker::{bucket, provision},
    config,
    fleet::Layout,
    subject::Names,
};

/// A change of what a server has, and how it is told.
type Edit = (&'static str, fn(&mut Config));

const LAYOUT: Layout = Layout {
    generation: 1,
    shards: 6,
    group_size: 2,
};

fn stream() -> Config {
    let names = Names::new("discord");
    let mut wanted = provision::wanted_streams(&names, &config::Stream::default(), &LAYOUT);
    wanted.remove(0)
}

fn bucket(kind: Kind) -> Config {
    let names = Names::new("discord");
    let (stream, lease) = (config::Stream::default(), config::Lease::default());
    let wanted = provision::wanted_buckets(&names, &stream, &lease);
    let wanted = wanted.into_iter().find(|(of, _)| *of == kind).unwrap().1;
    bucket::stream_config(&wanted, 1)
}

/// As a server gives it back.
fn filled_in(wanted: &Config) -> Config {
    let none = |limit: i64| if limit == 0 { -1 } else { limit };
    let mut found = wanted.clone();
    found.max_bytes = none(found.max_bytes);
    found.max_messages = none(found.max_messages);
    found.max_messages_per_subject = none(found.max_messages_per_subject);
    (found.max_message_size, found.max_consumers) = (-1, -1);
    if found.duplicate_window.is_zero() {
        found.duplicate_window = Duration::from_secs(120);
    }
    found.persist_mode = Some(PersistenceMode::Default);
    found.sources = Some(Vec::new());
    found.first_sequence = None;
    found
}

fn told(kind: Kind, wanted: &Config, edit: impl Fn(&mut Config)) -> Vec<String> {
    let mut found = filled_in(wanted);
    edit(&mut found);
    differences(kind, wanted, &found)
}

/// Each edit is named, by the field and by what it should be.
fn each_is_told(kind: Kind, wanted: &Config, edits: &[Edit]) {
    for (word, edit) in edits {
        let told = told(kind, wanted, edit);
        assert_eq!(told.len(), 1, "{word}: {told:?}");
        assert!(told[0].starts_with(word), "{word}: {told:?}");
        let way = ["should", "(key"];
        let way = way.iter().any(|way| told[0].contains(way));
        assert!(way, "no way out: {told:?}");
    }
}

const OF_BOTH: &[Edit] = &[
    ("subjects should also have", |found| found.subjects.clear()),
    ("subjects should not have other.>", |found| {
        found.subjects.push("other.>".to_owned());
    }),
    ("retention", |found| {
        found.retention = RetentionPolicy::Interest;
    }),
    ("max_age", |found| found.max_age = Duration::from_secs(1)),
    ("max_bytes", |found| found.max_bytes = 1 << 10),
    ("max_msgs is 1", |found| found.max_messages = 1),
    ("max_msg_size", |found| found.max_message_size = 512),
    ("replicas", |found| found.num_replicas = 3),
    ("storage", |found| found.storage = StorageType::Memory),
    ("sealed", |found| found.sealed = true),
    ("no_ack", |found| found.no_ack = true),
    ("discard_new_per_subject", |found| {
        found.discard_new_per_subject = true;
    }),
    ("allow_msg_counter", |found| {
        found.allow_message_counter = true;
    }),
    ("allow_direct", |found| found.allow_direct = false),
    ("deny_delete", |found| found.deny_delete = false),
    ("persist_mode", |found| {
        found.persist_mode = Some(PersistenceMode::Async);
    }),
    ("subject_transform", |found| {
        found.subject_transform = Some(SubjectTransform {
            source: "discord.>".to_owned(),
            destination: "other.>".to_owned(),
        });
    }),
    ("mirror is THEIRS", |found| {
        found.mirror = Some(Source {
            name: "THEIRS".to_owned(),
            ..Source::default()
        });
    }),
    ("sources is THEIRS", |found| {
        found.sources = Some(vec![Source {
            name: "THEIRS".to_owned(),
            ..Source::default()
        }]);
    }),
];

#[test]
fn what_a_server_fills_in_is_no_difference() {
    for kind in [Kind::Stream, Kind::Lease, Kind::State] {
        let wanted = if kind == Kind::Stream {
            stream()
        } else {
            bucket(kind)
        };
        assert_eq!(differences(kind, &wanted, &wanted), [""; 0]);
        assert_eq!(told(kind, &wanted, |_| {}), [""; 0]);
    }
}

#[test]
fn a_partition_without_a_shard_has_the_subject_that_a_server_gives_it() {
    let wanted = Config {
        subjects: Vec::new(),
        ..stream()
    };
    let named = |found: &mut Config| found.subjects = vec![found.name.clone()];
    assert_eq!(told(Kind::Stream, &wanted, named), [""; 0]);
}

#[test]
fn what_discards_refuses_alters_or_unsays_events_is_told() {
    let wanted = stream();
    each_is_told(Kind::Stream, &wanted, OF_BOTH);
    each_is_told(
        Kind::Stream,
        &wanted,
        &[
            ("discard is New", |found| found.discard = DiscardPolicy::New),
            ("max_msgs_per_subject is 1 and should be -1", |found| {
                found.max_messages_per_subject = 1;
            }),
            ("duplicate_window", |found| {
                found.duplicate_window = Duration::from_secs(1);
            }),
            ("deny_purge", |found| found.deny_purge = false),
            ("allow_rollup_hdrs", |found| found.allow_rollup = true),
            ("subject_delete_marker_ttl", |found| {
                found.subject_delete_marker_ttl = Some(Duration::from_secs(1));
            }),
        ],
    );
}

#[test]
fn what_makes_a_bucket_forget_or_refuse_is_told() {
    for kind in [Kind::Lease, Kind::State] {
        let wanted = bucket(kind);
        each_is_told(kind, &wanted, OF_BOTH);
        each_is_told(
            kind,
            &wanted,
            &[
                ("discard is Old", |found| found.discard = DiscardPolicy::Old),
                ("history is 5 and should be 1", |found| {
                    found.max_messages_per_subject = 5;
                }),
                ("max_consumers", |found| found.max_consumers = 2),
                ("consumer_limits", |found| {
                    found.consumer_limits = Some(ConsumerLimits {
                        max_ack_pending: 1,
                        ..ConsumerLimits::default()
                    });
                }),
            ],
        );
    }
}

#[test]
fn what_does_no_harm_is_not_told() {
    let harmless = |found: &mut Config| {
        found.description = Some("theirs".to_owned());
        found
            .metadata
            .insert("whose".to_owned(), "theirs".to_owned());
        found.compression = Some(Compression::S2);
        found.placement = Some(Placement::default());
        found.republish = Some(Republish {
            source: "discord.>".to_owned(),
            destination: "copy.>".to_owned(),
            headers_only: true,
        });
        found.first_sequence = Some(7);
        found.allow_message_ttl = true;
        found.allow_atomic_publish = true;
        found.allow_batch_publish = false;
        found.max_message_size = 64 << 20;
    };
    assert_eq!(told(Kind::Stream, &stream(), harmless), [""; 0]);
    assert_eq!(told(Kind::State, &bucket(Kind::State), harmless), [""; 0]);
    // How many consumers workers may have is for whoever made the stream to say.
    let few = |found: &mut Config| found.max_consumers = 2;
    assert_eq!(told(Kind::Stream, &stream(), few), [""; 0]);
}

#[test]
fn the_order_of_subjects_is_nothing_and_many_of_them_are_counted() {
    let subjects: Vec<_> = (0..6).map(|shard| format!("discord.{shard}.*")).collect();
    let wanted = Config {
        subjects,
        ..stream()
    };
    let turned = |found: &mut Config| found.subjects.reverse();
    assert_eq!(told(Kind::Stream, &wanted, turned), [""; 0]);
    let one = |found: &mut Config| _ = found.subjects.remove(3);
    let lacks = "subjects should also have discord.3.* (keys fleet.name, stream.partitions)";
    assert_eq!(told(Kind::Stream, &wanted, one), [lacks]);
    let other = |found: &mut Config| found.subjects = vec!["other.>".to_owned()];
    let told = &told(Kind::Stream, &wanted, other)[0];
    assert!(
        told.contains("discord.3.* and 2 more and should not have other.>"),
        "{told}"
    );
}

#[test]
fn a_key_is_named_where_one_wants_it_so() {
    let short = |found: &mut Config| found.max_age = Duration::from_secs(1);
    let of = |kind, wanted: &Config| told(kind, wanted, short).remove(0);
    assert!(of(Kind::Stream, &stream()).ends_with("(key stream.max_age)"));
    assert!(of(Kind::Lease, &bucket(Kind::Lease)).ends_with("(key lease.ttl)"));
    // No key makes state age.
    let state = of(Kind::State, &bucket(Kind::State));
    assert_eq!(state, "max_age is 1s and should be 0ns");
}
