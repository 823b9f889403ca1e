//! A worker: a durable consumer that any number of these programs share.
//!
//! ```sh
//! NATS_URL=nats://127.0.0.1:4222 cargo run --example consumer -- 'discord.*.MESSAGE_CREATE' my-durable new
//! ```
//!
//! The third argument says where a durable begins that is not there yet: with `all` that the stream has
//! (without it), or at now (`new`). Where somebody deletes the durable it is made anew, and goes on behind
//! the last event that was handled here.
//!
//! Run it as often as you like: each event goes to one of them. Kill one with -9: what it had not
//! acknowledged goes to the others after `ACK_WAIT`, and where there are none, to the next that starts.
//! An event may come twice, and is skipped never. One line a event: its id, its subject, and what it is.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is what it is for"
)]

use std::{env, time::Duration};

use anyhow::{Context, Result};
use async_nats::jetstream::{
    self, AckKind, Message,
    consumer::{Consumer, DeliverPolicy, pull},
    context::{ConsumerInfoError, ConsumerInfoErrorKind},
    stream::{self, Stream},
};
use futures_util::TryStreamExt;
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use twilight_model::channel;

/// How long an event may take. Longer than the slowest of yours.
const ACK_WAIT: Duration = Duration::from_secs(10);

/// No more events are asked for at once.
const BATCH: u128 = 500;
/// How long one request for events stands.
const PULL: Duration = Duration::from_secs(5);
/// How often a worker without a consumer looks around.
const LOOK: Duration = Duration::from_secs(1);

/// What Discord sent.
#[derive(Deserialize)]
struct Dispatch<T> {
    d: T,
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let argument = |at: usize, usual: &str| env::args().nth(at).unwrap_or_else(|| usual.to_owned());
    let config = pull::Config {
        filter_subject: argument(1, "discord.*.MESSAGE_CREATE"),
        durable_name: Some(argument(2, "example-rust")),
        deliver_policy: match argument(3, "all").as_str() {
            "new" => DeliverPolicy::New,
            _ => DeliverPolicy::All,
        },
        ack_wait: ACK_WAIT,
        max_ack_pending: 1000,
        ..pull::Config::default()
    };
    let client = async_nats::connect(url)
        .await
        .context("no NATS lets us in: is it up, and is it what NATS_URL names?")?;
    let stream = jetstream::new(client).get_stream("DISCORD").await;
    let mut worker = Worker {
        stream: stream.context("no stream DISCORD: does the fleet run, and on this NATS?")?,
        config,
        pace: ACK_WAIT / 40,
        place: None,
    };
    let mut consumer = worker.make().await?;
    loop {
        if let Err(error) = worker.batch(&consumer).await {
            eprintln!("{error:#}");
            consumer = worker.look().await;
        }
    }
}

struct Worker {
    stream: Stream,
    config: pull::Config,
    /// What an event takes, lately: ten are asked for at first, more when they are seen to be fast.
    pace: Duration,
    /// The stream as it was, and how far we are in it.
    place: Option<(stream::Info, u64)>,
}

impl Worker {
    /// Handles as many events as can be done within a fraction of `ACK_WAIT`.
    async fn batch(&mut self, consumer: &Consumer<pull::Config>) -> Result<()> {
        let room = ACK_WAIT.as_micros() / 4 / self.pace.as_micros().max(1);
        let pull = consumer.batch().expires(PULL);
        let pull = pull.max_messages(usize::try_from(room.clamp(1, BATCH))?);
        let mut events = pull.messages().await?;
        let mut came = now();
        loop {
            let asked = now();
            let event = events.try_next().await;
            let Some(event) = event.map_err(|error| anyhow::anyhow!("{error}"))? else {
                return Ok(());
            };
            // One that we had to wait for came just now; others may have been here since.
            if asked.elapsed() > Duration::from_millis(1) {
                came = now();
            }
            self.work(&event, came).await?;
        }
    }

    async fn work(&mut self, event: &Message, came: Instant) -> Result<()> {
        let start = now();
        if start - came > ACK_WAIT / 2 {
            // It was here too long: the server gives it again, to whoever has time.
            return Ok(());
        }
        if start - came > ACK_WAIT / 10 {
            // Its time begins now.
            acked(event.ack_with(AckKind::Progress).await)?;
        }
        let what = handle(event).unwrap_or_else(|error| format!("unreadable: {error:#}"));
        println!("{} {} {what}", id(event), event.subject);
        // After the work, never before it.
        acked(event.ack().await)?;
        if let (Some(place), Ok(info)) = (&mut self.place, event.info()) {
            place.1 = info.stream_sequence;
        }
        self.pace = start.elapsed().max(self.pace * 9 / 10);
        Ok(())
    }

    /// Until the consumer is there, made anew or not.
    async fn look(&mut self) -> Consumer<pull::Config> {
        loop {
            sleep(LOOK).await;
            match self.make().await {
                Ok(consumer) => return consumer,
                Err(error) => eprintln!("{error:#}"),
            }
        }
    }

    async fn make(&mut self) -> Result<Consumer<pull::Config>> {
        let stream = self.stream.get_info().await?;
        let name = self.config.durable_name.clone().unwrap_or_default();
        let there = self.stream.consumer_info(&name).await;
        let deliver_policy = match (there, &self.place) {
            // One that is there goes on where it is, whoever made it.
            (Ok(there), _) => there.config.deliver_policy,
            (Err(error), _) if !is_absent(&error) => return Err(error.into()),
            (Err(_), None) => self.config.deliver_policy,
            (Err(_), Some((was, last))) => {
                let goes_on = was.created == stream.created && *last <= stream.state.last_sequence;
                // Another stream: all of it is new.
                let start_sequence = if goes_on { last + 1 } else { 1 };
                eprintln!("consumer {name} was deleted: made anew, from event {start_sequence} on");
                DeliverPolicy::ByStartSequence { start_sequence }
            }
        };
        let config = pull::Config {
            deliver_policy,
            ..self.config.clone()
        };
        let consumer = self.stream.create_consumer(config).await?;
        let known = self.place.as_ref();
        if known.is_none_or(|(was, _)| was.created != stream.created) {
            let handled = consumer.cached_info().ack_floor.stream_sequence;
            self.place = Some((stream, handled));
        }
        Ok(consumer)
    }
}

fn is_absent(error: &ConsumerInfoError) -> bool {
    matches!(error.kind(), ConsumerInfoErrorKind::NotFound)
}

fn acked(result: Result<(), async_nats::Error>) -> Result<()> {
    result.map_err(|error| anyhow::anyhow!("no ack: {error}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "an example has no clock of its own"
)]
fn now() -> Instant {
    Instant::now()
}

fn handle(message: &Message) -> Result<String> {
    let body = body(message)?;
    Ok(
        match message.subject.rsplit('.').next().unwrap_or_default() {
            "MESSAGE_CREATE" => {
                let Dispatch { d } = serde_json::from_slice::<Dispatch<channel::Message>>(&body)?;
                format!("{} says {} bytes", d.author.name, d.content.len())
            }
            // Events are missing before this one: drop what you know of the shard's guilds.
            "FLEET_GAP" => format!("gap: {}", String::from_utf8_lossy(&body)),
            _ => format!("{} bytes", body.len()),
        },
    )
}

/// The event's own bytes: one that was too large for NATS is compressed.
fn body(message: &Message) -> Result<Vec<u8>> {
    let encoding = message
        .headers
        .as_ref()
        .and_then(|headers| headers.get("Content-Encoding"));
    match encoding.map(async_nats::HeaderValue::as_str) {
        None => Ok(message.payload.to_vec()),
        Some("zstd") => zstd::decode_all(message.payload.as_ref()).context("not zstd"),
        Some(other) => anyhow::bail!("encoded with {other}"),
    }
}

/// `<session>:<sequence>`, unique: whatever you do with an event, do it once for each of these.
fn id(message: &Message) -> &str {
    let id = message
        .headers
        .as_ref()
        .and_then(|headers| headers.get("Nats-Msg-Id"));
    id.map_or("-", async_nats::HeaderValue::as_str)
}
