//! How streams and buckets that somebody made by hand stand to the configuration, as a real server tells.

use std::time::Duration;

use async_nats::jetstream::stream::{
    Compression, Config, DiscardPolicy, PersistenceMode, Republish, RetentionPolicy, Source,
    StorageType, SubjectTransform,
};
use shardfleet::{
    broker::{
        Broker,
        provision::{self, Standing},
    },
    config::{self, Storage},
    fleet::Layout,
};

use crate::support::{nats::Nats, publisher::connect};

const LAYOUT: Layout = Layout {
    generation: 1,
    shards: 4,
    group_size: 2,
};

/// A change of what is made, and the word for it.
type Edit = (&'static str, fn(&mut Config));

fn wanted(storage: Storage) -> (config::Stream, config::Lease) {
    let stream = config::Stream {
        max_bytes: config::Size::mib(64),
        storage,
        ..config::Stream::default()
    };
    (stream, config::Lease::default())
}

async fn standings(broker: &Broker, storage: Storage) -> Vec<Standing> {
    let (stream, lease) = wanted(storage);
    let mut all = provision::bucket_standings(broker, &stream, &lease)
        .await
        .unwrap();
    let streams = provision::stream_standings(broker, &stream, &LAYOUT).await;
    all.extend(streams.unwrap());
    all
}

fn as_wanted(standing: &Standing) -> bool {
    matches!(standing, Standing::AsWanted { .. })
}

/// What a server fills in by itself is no difference.
#[tokio::test]
async fn what_is_made_is_as_wanted() {
    for storage in [Storage::File, Storage::Memory] {
        let nats = Nats::start(-1).await;
        let broker = connect(&nats.url).await;
        let (stream, lease) = wanted(storage);
        provision::buckets(&broker, &stream, &lease).await.unwrap();
        provision::streams(&broker, &stream, &LAYOUT).await.unwrap();
        let all = standings(&broker, storage).await;
        assert!(all.len() == 3 && all.iter().all(as_wanted), "{all:#?}");
    }
}

/// Made by hand with one thing otherwise: it is named, and nothing else is.
#[tokio::test]
async fn whatever_refuses_forgets_or_alters_is_named() {
    let (nats, storage) = (Nats::start(-1).await, Storage::File);
    let broker = connect(&nats.url).await;
    let (stream, lease) = wanted(storage);
    provision::buckets(&broker, &stream, &lease).await.unwrap();
    provision::streams(&broker, &stream, &LAYOUT).await.unwrap();
    for name in ["DISCORD", "KV_discord_lease", "KV_discord_state"] {
        let made = broker.jetstream.get_stream(name).await.unwrap();
        let made = made.cached_info().config.clone();
        let own: &[Edit] = match name {
            "DISCORD" => OF_EVENTS,
            _ => OF_BUCKETS,
        };
        for (word, edit) in OF_BOTH.iter().chain(own) {
            let mut config = made.clone();
            edit(&mut config);
            make(&broker, config).await;
            let all = standings(&broker, storage).await;
            let differs: Vec<_> = all.iter().filter(|one| !as_wanted(one)).collect();
            let [Standing::Fields { fields, .. }] = differs[..] else {
                panic!("{name}, {word}: {differs:?}");
            };
            let named = fields.iter().any(|field| field.starts_with(word));
            // Some cannot be had without others.
            let few = fields.len() <= 3;
            assert!(named && few, "{name}, {word}: {fields:?}");
        }
        let mut harmless = made.clone();
        harmless.description = Some("somebody's".to_owned());
        harmless.compression = Some(Compression::S2);
        harmless.metadata.insert("owner".into(), "somebody".into());
        harmless.republish = Some(Republish {
            source: harmless.subjects[0].clone(),
            destination: "copy.>".to_owned(),
            headers_only: true,
        });
        make(&broker, harmless).await;
        let all = standings(&broker, storage).await;
        assert!(all.iter().all(as_wanted), "{all:#?}");
        make(&broker, made).await;
    }
}

/// In place of what is there.
async fn make(broker: &Broker, config: Config) {
    let jetstream = &broker.jetstream;
    jetstream.delete_stream(&config.name).await.unwrap();
    let open = Config {
        sealed: false,
        ..config.clone()
    };
    let made = jetstream.create_stream(open).await;
    made.unwrap_or_else(|error| panic!("{error}: {config:?}"));
    if config.sealed {
        // None is made with a seal.
        jetstream.update_stream(config).await.unwrap();
    }
}

const OF_BOTH: &[Edit] = &[
    ("subjects", |config| {
        config.subjects = vec!["other.>".to_owned()];
    }),
    ("subjects", |config| {
        config.subjects.push("other.>".to_owned());
    }),
    ("retention", |config| {
        config.retention = RetentionPolicy::WorkQueue;
    }),
    ("max_age", |config| {
        config.max_age = Duration::from_secs(150);
    }),
    ("max_bytes", |config| config.max_bytes = 1 << 16),
    ("max_msgs is 5", |config| config.max_messages = 5),
    ("max_msg_size", |config| config.max_message_size = 512),
    ("storage", |config| config.storage = StorageType::Memory),
    ("sealed", |config| config.sealed = true),
    ("no_ack", |config| config.no_ack = true),
    ("allow_direct", |config| config.allow_direct = false),
    ("deny_delete", |config| config.deny_delete = false),
    ("persist_mode", |config| {
        config.persist_mode = Some(PersistenceMode::Async);
        config.allow_batch_publish = false;
    }),
    ("subject_transform", |config| {
        config.subject_transform = Some(SubjectTransform {
            source: config.subjects[0].clone(),
            destination: "other.>".to_owned(),
        });
    }),
    ("mirror", |config| {
        config.mirror = Some(theirs());
        (config.subjects, config.first_sequence) = (Vec::new(), None);
        config.allow_batch_publish = false;
    }),
    ("sources", |config| config.sources = Some(vec![theirs()])),
];

const OF_EVENTS: &[Edit] = &[
    ("discard is", |config| config.discard = DiscardPolicy::New),
    ("discard_new_per_subject", |config| {
        config.discard = DiscardPolicy::New;
        config.discard_new_per_subject = true;
        config.max_messages_per_subject = 1_000;
    }),
    ("max_msgs_per_subject", |config| {
        config.max_messages_per_subject = 1;
    }),
    ("duplicate_window", |config| {
        config.duplicate_window = Duration::from_secs(1);
    }),
    ("deny_purge", |config| config.deny_purge = false),
    ("allow_rollup_hdrs", |config| {
        (config.allow_rollup, config.deny_purge) = (true, false);
    }),
    ("subject_delete_marker_ttl", |config| {
        config.subject_delete_marker_ttl = Some(Duration::from_secs(60));
        (config.allow_message_ttl, config.allow_rollup) = (true, true);
        config.deny_purge = false;
    }),
    ("allow_msg_counter", |config| {
        config.allow_message_counter = true;
        config.allow_batch_publish = false;
    }),
];

const OF_BUCKETS: &[Edit] = &[
    ("discard is", |config| config.discard = DiscardPolicy::Old),
    ("discard_new_per_subject", |config| {
        config.discard_new_per_subject = true;
    }),
    ("history is 5", |config| config.max_messages_per_subject = 5),
    ("max_consumers", |config| config.max_consumers = 1),
];

fn theirs() -> Source {
    Source {
        name: "THEIRS".to_owned(),
        ..Source::default()
    }
}
