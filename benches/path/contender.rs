//! What the fleet is compared with: processes of their own, each with twilight in one thread.

use std::{
    error::Error,
    io::BufRead,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use async_nats::{HeaderMap, jetstream, subject::Subject};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use serde::Serialize;
use shardfleet::gateway::peek;
use tokio::{sync::Semaphore, task::LocalSet};
use twilight_gateway::{
    ConfigBuilder, EventTypeFlags, Intents, Message, Shard, ShardId, queue::InMemoryQueue,
};
use twilight_model::gateway::event::{DispatchEvent, GatewayEvent};

/// Unacked messages at once; more is slower.
const WINDOW: usize = 512;

/// What it does with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Kind {
    /// Drops it: what receiving alone costs.
    Drain,
    /// Publishes the raw payload without JetStream, unordered by acks, unacked.
    Publish,
    /// Parses it whole, writes it anew, publishes to JetStream and awaits each ack: the usual way.
    Peer,
}

/// A contender's command line.
#[derive(Args, Debug)]
pub(crate) struct Contender {
    /// What it does with an event.
    kind: Kind,
    #[arg(long)]
    gateway: String,
    #[arg(long)]
    nats: String,
    #[arg(long)]
    shards: u32,
    /// Microseconds that work gathers before the thread parks.
    #[arg(long, default_value_t = 0)]
    gather: u64,
}

/// Counted, and told to whoever asks.
#[derive(Default)]
struct Counts {
    received: AtomicU64,
    /// Handed over; with acks: acked.
    done: AtomicU64,
}

impl Contender {
    /// Runs until its standard input ends; answers each line with its counts.
    pub(crate) fn run(&self) {
        let counts = Arc::new(Counts::default());
        let told = Arc::clone(&counts);
        thread::spawn(move || {
            for _ in std::io::stdin().lock().lines() {
                let received = told.received.load(Ordering::Relaxed);
                println!("{received} {}", told.done.load(Ordering::Relaxed));
            }
            std::process::exit(0);
        });
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all();
        if self.gather > 0 {
            let gather = Duration::from_micros(self.gather);
            builder.on_thread_park(move || thread::sleep(gather));
        }
        let runtime = builder.build().expect("the machine has a thread");
        LocalSet::new().block_on(&runtime, self.shards(&counts));
    }

    async fn shards(&self, counts: &Arc<Counts>) {
        let client = async_nats::connect(&self.nats)
            .await
            .expect("NATS is there");
        let queue = InMemoryQueue::new(
            self.shards.try_into().expect("few shards"),
            100_000,
            Duration::from_secs(80_000),
            100_000,
        );
        let config = ConfigBuilder::new("bench".to_owned(), Intents::all())
            .queue(queue)
            .proxy_url(self.gateway.clone())
            .build();
        let window = Arc::new(Semaphore::new(WINDOW));
        let mut running = Vec::new();
        for number in 0..self.shards {
            let id = ShardId::new(number, self.shards);
            let shard = Shard::with_config(id, config.clone());
            let publisher = Publisher {
                jetstream: jetstream::new(client.clone()),
                client: client.clone(),
                counts: Arc::clone(counts),
                window: Arc::clone(&window),
                shard: number,
            };
            running.push(tokio::task::spawn_local(run(shard, self.kind, publisher)));
        }
        for shard in running {
            _ = shard.await;
        }
    }
}

/// The payload as a typed peer writes it.
#[derive(Serialize)]
struct Anew<'a> {
    t: &'a str,
    s: u64,
    op: u8,
    d: &'a DispatchEvent,
}

struct Publisher {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    counts: Arc<Counts>,
    window: Arc<Semaphore>,
    shard: u32,
}

async fn run(mut shard: Shard<InMemoryQueue>, kind: Kind, publisher: Publisher) {
    while let Some(message) = shard.next().await {
        let Ok(Message::Text(text)) = message else {
            continue;
        };
        let counts = &publisher.counts;
        let Some(peek::Head {
            op: peek::DISPATCH,
            s: Some(seq),
            t: Some(name),
        }) = peek::peek(&text)
        else {
            continue;
        };
        counts.received.fetch_add(1, Ordering::Relaxed);
        match kind {
            Kind::Drain => _ = counts.done.fetch_add(1, Ordering::Relaxed),
            Kind::Publish => {
                let subject = format!("discord.{}.{name}", publisher.shard);
                publisher.core(subject.into(), Bytes::from(text)).await;
            }
            Kind::Peer => publisher.peer(text, seq).await,
        }
    }
}

impl Publisher {
    async fn core(&self, subject: Subject, payload: Bytes) {
        let sent = self.client.publish(subject, payload).await;
        sent.expect("NATS is there");
        self.counts.done.fetch_add(1, Ordering::Relaxed);
    }

    async fn peer(&self, text: String, seq: u64) {
        let event = twilight_gateway::parse(text, EventTypeFlags::all());
        let event = event.unwrap_or_else(|error| panic!("{error}: {:?}", error.source()));
        let event = event.expect("every event of the benchmark is known");
        let GatewayEvent::Dispatch(s, d) = &event else {
            return;
        };
        let t = d.kind().name().unwrap_or("UNKNOWN");
        let subject = format!("discord.{}.{t}", self.shard);
        let payload = serde_json::to_vec(&Anew { t, s: *s, op: 0, d }).expect("it was parsed");
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("{:032x}:{seq}", self.shard).as_str());
        let window = Arc::clone(&self.window).acquire_owned().await;
        let ack = self
            .jetstream
            .publish_with_headers(subject, headers, payload.into())
            .await;
        let ack = ack.expect("NATS is there");
        let counts = Arc::clone(&self.counts);
        tokio::task::spawn_local(async move {
            ack.await.expect("the stream takes it");
            counts.done.fetch_add(1, Ordering::Relaxed);
            drop(window);
        });
    }
}
