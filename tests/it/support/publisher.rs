//! Publishers of shards on their own: no Discord, no gateway, but a real stream.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use async_nats::{
    HeaderMap,
    jetstream::{
        kv,
        stream::{Config, StorageType},
    },
};
use bytes::Bytes;
use futures_util::StreamExt;
use shardfleet::{
    broker::{Broker, bucket::Bucket},
    clock, config,
    fleet::{Epoch, GroupId, Layout, ShardId},
    gateway::{
        buffer::Budget,
        forward::{
            Body, End, GroupBatch, Handover, Message, Outlet, Progress, Publisher, Told,
            tend::{Ground, Tender},
        },
        inbox::Inbox,
        kind::Kind,
        metrics::{self, Meters},
    },
    lease::Held,
    subject::Names,
    telemetry::seldom::Seldom,
};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::LIMIT;

/// The stream.
pub(crate) const STREAM: &str = "DISCORD";

/// A message of the stream.
pub(crate) struct Stored {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

impl Stored {
    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }
}

/// A connection of its own.
pub(crate) async fn connect(url: &str) -> Broker {
    let settings = config::Nats {
        url: url.to_owned(),
        ..config::Nats::default()
    };
    let broker = Broker::connect(&settings, Names::new("discord"), "publisher");
    let broker = broker.await.unwrap();
    broker.ready(LIMIT).await.unwrap();
    broker
}

/// Creates the stream, which takes batches as the fleet's own do.
pub(crate) async fn create_stream(broker: &Broker) {
    let stream = Config {
        name: STREAM.to_owned(),
        subjects: vec!["discord.>".to_owned()],
        storage: StorageType::File,
        allow_batch_publish: true,
        ..Config::default()
    };
    broker.jetstream.create_stream(stream).await.unwrap();
    let state = kv::Config {
        bucket: broker.names.state_bucket(),
        ..kv::Config::default()
    };
    broker.jetstream.create_key_value(state).await.unwrap();
}

/// The one group of all shards.
pub(crate) struct Group {
    batch: GroupBatch,
    budget: Budget,
    #[expect(dead_code, reason = "it ends with the group")]
    running: AbortOnDropHandle<()>,
}

/// Begins the group under this lease; its batch is running until it is dropped.
pub(crate) async fn begin(broker: &Broker, held: watch::Receiver<Option<Held>>) -> Group {
    let state = Bucket::open(broker, &broker.names.state_bucket())
        .await
        .unwrap();
    let ground = Ground {
        broker: broker.clone(),
        state,
        layout: Layout {
            generation: 1,
            shards: 1000,
            group_size: 1000,
        },
        group: GroupId(0),
        epoch: Epoch(1),
    };
    let budget = Budget::new(64 << 20);
    let losses = [
        broker.losses.of(STREAM),
        broker.losses.of("KV_discord_state"),
    ];
    let tender = Tender::open(&ground, held, budget.clone(), Seldom::default(), losses);
    let tender = tender.await.unwrap();
    let batch = tender.batch();
    let running = AbortOnDropHandle::new(tokio::spawn(tender.run()));
    Group {
        batch,
        budget,
        running,
    }
}

/// From now on the stream refuses messages larger than this; -1: none.
pub(crate) async fn limit_messages(broker: &Broker, bytes: i32) {
    let stream = broker.jetstream.get_stream(STREAM).await.unwrap();
    let found = stream.cached_info().config.clone();
    let max_message_size = bytes;
    let limited = Config {
        max_message_size,
        ..found
    };
    broker.jetstream.update_stream(limited).await.unwrap();
}

/// A lease that outlasts every test; the sender ends it.
pub(crate) fn lease() -> (watch::Sender<Option<Held>>, watch::Receiver<Option<Held>>) {
    let until = clock::boottime().plus(Duration::from_secs(600));
    let epoch = Epoch(1);
    watch::channel(Some(Held { epoch, until }))
}

/// An event of the session `<shard>`.
pub(crate) fn event(shard: u32, seq: u64) -> Message {
    let payload = format!(r#"{{"t":"X","s":{seq},"op":0,"d":"{}"}}"#, "x".repeat(400));
    let kind = Arc::new(Kind {
        name: "X".into(),
        original: None,
        subject: format!("discord.{shard}.X").into(),
        stored: metrics::stored("X"),
        forwarded: true,
        sheddable: false,
    });
    let payload = payload.into();
    Message {
        session: shard.to_string().into(),
        seq,
        unnumbered: 0,
        body: Body::Event { kind, payload },
        read_at: clock::now(),
    }
}

/// The publisher of a shard, and the way to it.
pub(crate) async fn publisher(
    broker: &Broker,
    group: Option<&Group>,
    shard: u32,
    held: watch::Receiver<Option<Held>>,
) -> (Handover, Box<Publisher>) {
    let (inbox, handing_out) = Inbox::open(broker).await.unwrap();
    tokio::spawn(handing_out);
    let answers = inbox.part();
    let outlet = Outlet::open(broker, ShardId(shard), STREAM, answers, Seldom::default());
    let (queue, waiting) = mpsc::unbounded_channel();
    let (ready, _) = mpsc::unbounded_channel();
    let progress = Arc::<Progress>::default();
    let told = Told {
        progress: Arc::clone(&progress),
        ready,
    };
    let mut outlet = outlet.await.unwrap();
    outlet.made = outlet.made_now().await.unwrap();
    let seat = group.map(|group| group.batch.join(told.clone(), outlet.form.clone()));
    let publisher = Box::new(Publisher {
        outlet,
        queue: waiting,
        held,
        budget: group.map_or_else(|| Budget::new(64 << 20), |group| group.budget.clone()),
        told,
        meters: Meters::default(),
        seat: seat.clone(),
        losses: broker.losses.of(STREAM),
        stored: None,
        lost: false,
        renamed: None,
    });
    let handover = Handover {
        queue,
        seat,
        progress,
    };
    (handover, publisher)
}

/// Publishes a backlog that is complete before the first message goes out.
pub(crate) async fn backlog(
    broker: &Broker,
    group: Option<&Group>,
    shard: u32,
    seqs: RangeInclusive<u64>,
) {
    let (_lease, held) = lease();
    let (handover, publisher) = publisher(broker, group, shard, held).await;
    for seq in seqs {
        send(&handover, &publisher.budget, event(shard, seq));
    }
    drop(handover);
    let end = tokio::time::timeout(LIMIT, publisher.run(0)).await;
    assert_eq!(
        end.expect("the backlog is not stored in time"),
        End::Flushed
    );
}

/// Hands a message over, as a shard does.
pub(crate) fn send(handover: &Handover, budget: &Budget, message: Message) {
    budget.add(message.body.size());
    assert!(handover.send(message), "the publisher has ended");
}

/// Everything that is stored, in its order.
pub(crate) async fn stored(broker: &Broker) -> Vec<Stored> {
    use async_nats::jetstream::consumer::pull::OrderedConfig;
    let stream = broker.jetstream.get_stream(STREAM).await.unwrap();
    let count = stream.get_info().await.unwrap().state.messages;
    let consumer = stream.create_consumer(OrderedConfig::default()).await;
    let incoming = consumer.unwrap().messages().await.unwrap();
    let take = usize::try_from(count).unwrap();
    let messages = incoming.take(take).map(|message| {
        let message = message.unwrap().message;
        Stored {
            subject: message.subject.to_string(),
            headers: message.headers.unwrap_or_default(),
            payload: message.payload,
        }
    });
    let messages = tokio::time::timeout(LIMIT, messages.collect()).await;
    messages.expect("the stream stopped short")
}
