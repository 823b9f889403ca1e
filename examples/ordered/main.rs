//! A worker that keeps the order of each shard, and shares the shards with others like it.
//!
//! ```sh
//! NATS_URL=nats://127.0.0.1:4222 cargo run --example ordered -- 'MESSAGE_CREATE' 8
//! ```
//!
//! The shards are dealt out to parts (8, or as many as the second argument says), each a durable
//! consumer with one event on its way at a time: what follows an event is handed out after its ack, to
//! whomever. A part is pinned to one worker. Run it as often as you like: workers that come are given
//! parts, those that go give theirs back, and where one is killed, its parts go on at others after
//! `PINNED`, with the event that it had in hand.
//!
//! One line an event: its id, its subject, its sequence in the stream, and when (µs since 1970).
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is what it is for"
)]

mod share;

use std::{env, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use async_nats::jetstream::{
    self, AckKind, Message,
    consumer::{Consumer, PriorityPolicy, pull},
    context::ConsumerInfoErrorKind,
    stream::Stream,
};
use futures_util::TryStreamExt;
use share::Share;
use tokio::{task::JoinSet, time::timeout};

/// How long an event may take. Longer than the slowest of yours.
const ACK_WAIT: Duration = Duration::from_secs(5);
/// A worker that has not asked for so long has lost its parts. Well above `PULL`.
const PINNED: Duration = Duration::from_secs(8);
/// How long one request for events stands.
const PULL: Duration = Duration::from_secs(2);
/// How often a worker without an event looks around.
const LOOK: Duration = Duration::from_secs(1);
/// The server wants a name for those among whom it pins one.
const GROUP: &str = "workers";

#[tokio::main]
async fn main() -> Result<()> {
    let url = env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let event = env::args().nth(1).unwrap_or_else(|| "*".to_owned());
    let parts = env::args().nth(2).map_or(Ok(8), |parts| parts.parse());
    let client = async_nats::connect(url)
        .await
        .context("no NATS lets us in: is it up, and is it what NATS_URL names?")?;
    let jetstream = jetstream::new(client.clone());
    let stream = jetstream.get_stream("DISCORD").await;
    let stream = stream.context("no stream DISCORD: does the fleet run, and on this NATS?")?;
    let shards = shards(&jetstream).await?;
    let parts: u32 = parts.context("how many parts?")?;
    let parts = parts.clamp(1, shards);
    let share = Arc::new(Share::begin(&client, "example-ordered", parts).await?);
    let mut tasks = JoinSet::new();
    for part in 0..parts {
        let of_part = (part..shards).step_by(parts as usize);
        let name = format!("example-ordered-{part}-of-{parts}");
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subjects: of_part
                .map(|shard| format!("discord.{shard}.{event}"))
                .collect(),
            // Order does not hang on time: nothing is handed out beside an event that has no ack.
            max_ack_pending: 1,
            ack_wait: ACK_WAIT,
            priority_policy: PriorityPolicy::PinnedClient,
            priority_groups: vec![GROUP.to_owned()],
            priority_timeout: PINNED,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await?;
        let part = Part {
            name,
            stream: stream.clone(),
            consumer,
            share: Arc::clone(&share),
        };
        tasks.spawn(part.run());
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    // Acks that are still on their way out.
    Ok(client.flush().await?)
}

/// How the fleet is cut.
async fn shards(jetstream: &jetstream::Context) -> Result<u32> {
    let state = jetstream.get_key_value("discord_state").await?;
    let topology = state.get("topology").await?.context("no topology yet")?;
    let topology: serde_json::Value = serde_json::from_slice(&topology)?;
    let shards = topology["shards"].as_u64().context("no shards")?;
    Ok(u32::try_from(shards)?)
}

/// Some shards, of one worker at a time.
struct Part {
    name: String,
    stream: Stream,
    consumer: Consumer<pull::Config>,
    share: Arc<Share>,
}

impl Part {
    /// Until this worker ends: stands for the part while there is room, works while it is given it.
    async fn run(self) -> Result<()> {
        while !self.share.is_over() {
            if self.share.has_room() {
                self.stand().await?;
            } else {
                tokio::time::sleep(LOOK / 4).await;
            }
        }
        Ok(())
    }

    async fn stand(&self) -> Result<()> {
        let pulls = self.consumer.stream().group(GROUP).expires(PULL);
        let mut events = pulls.max_messages_per_batch(64).messages().await?;
        // What the server calls this stand, while the part is ours.
        let mut pin = None;
        loop {
            match timeout(LOOK, events.try_next()).await {
                Ok(Ok(Some(event))) => {
                    if pin.is_none() {
                        self.share.take();
                    }
                    pin = header(&event, "Nats-Pin-Id").map(ToOwned::to_owned);
                    handle(&event)?;
                    let enough = self.share.give_back();
                    if enough {
                        // Before the ack: or the next event would be on its way to us.
                        self.unpin().await?;
                    }
                    let acked = event.ack_with(AckKind::Ack).await;
                    acked.map_err(|error| anyhow::anyhow!("no ack: {error}"))?;
                    if enough {
                        return Ok(());
                    }
                }
                Ok(Ok(None)) => anyhow::bail!("{} has ended", self.name),
                // NATS is away, or the stream's leader: the pulls go on by themselves.
                Ok(Err(_)) if self.is_gone().await => anyhow::bail!(
                    "somebody deleted consumer {}, and with it what was handled: start again, and its \
                     shards begin with the first event of the stream",
                    self.name
                ),
                Ok(Err(error)) => {
                    eprintln!("{}: {error}", self.name);
                    tokio::time::sleep(LOOK).await;
                }
                Err(_) if pin.is_none() && !self.share.has_room() => return Ok(()),
                Err(_) if pin.is_none() => {}
                Err(_) if !self.is_ours(pin.as_deref()).await => {
                    pin = None;
                    self.share.lose();
                }
                Err(_) if self.share.give_back() => return self.unpin().await,
                Err(_) => {}
            }
        }
    }

    /// True where the server says that there is no such consumer.
    async fn is_gone(&self) -> bool {
        let info = self.stream.consumer_info(&self.name).await;
        info.is_err_and(|error| matches!(error.kind(), ConsumerInfoErrorKind::NotFound))
    }

    /// False where it was given to another: this worker slept, or NATS was out of its reach.
    async fn is_ours(&self, pin: Option<&str>) -> bool {
        // Without an answer it keeps what it has.
        let Ok(info) = self.consumer.get_info().await else {
            return true;
        };
        let mut pinned = info.priority_groups.iter();
        pinned.any(|group| group.pinned_client_id.as_deref() == pin)
    }

    async fn unpin(&self) -> Result<()> {
        Ok(self.stream.unpin_consumer(&self.name, GROUP).await?)
    }
}

/// Your work. Whatever it does, it does once for each id: an event may come again.
fn handle(event: &Message) -> Result<()> {
    let info = event.info().map_err(|error| anyhow::anyhow!("{error}"))?;
    let id = header(event, "Nats-Msg-Id").unwrap_or("-");
    #[expect(clippy::disallowed_methods, reason = "the time of day, for people")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    println!(
        "{id} {} {} {}",
        event.subject,
        info.stream_sequence,
        now.as_micros()
    );
    Ok(())
}

fn header<'a>(event: &'a Message, name: &str) -> Option<&'a str> {
    let value = event.headers.as_ref()?.get_last(name)?;
    Some(value.as_str())
}
