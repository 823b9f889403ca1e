//! A worker: a durable consumer that any number of these programs share.
//!
//! ```sh
//! NATS_URL=nats://127.0.0.1:4222 cargo run --example consumer -- 'discord.*.MESSAGE_CREATE' my-durable
//! ```
//!
//! Run it as often as you like: each event goes to one of them. Kill one with -9: what it had not
//! acknowledged goes to the others after `ACK_WAIT`, and where there are none, to the next that starts.
//! An event may come twice, and is skipped never. One line a event: its id, its subject, and what it is.
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::{env, time::Duration};

use anyhow::{Context, Result};
use async_nats::jetstream::{self, Message, consumer::pull};
use futures_util::TryStreamExt;
use serde::Deserialize;
use twilight_model::channel;

/// How long an event may take. Longer than the slowest of yours.
const ACK_WAIT: Duration = Duration::from_secs(10);

/// What Discord sent.
#[derive(Deserialize)]
struct Dispatch<T> {
    d: T,
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let argument = |at: usize, usual: &str| env::args().nth(at).unwrap_or_else(|| usual.to_owned());
    let filter = argument(1, "discord.*.MESSAGE_CREATE");
    let durable = argument(2, "example-rust");
    let client = async_nats::connect(url).await?;
    let stream = jetstream::new(client).get_stream("DISCORD").await?;
    let config = pull::Config {
        durable_name: Some(durable.clone()),
        filter_subject: filter,
        ack_wait: ACK_WAIT,
        max_ack_pending: 1000,
        ..pull::Config::default()
    };
    let consumer = stream.get_or_create_consumer(&durable, config).await?;
    let mut messages = consumer.messages().await?;
    while let Some(message) = messages.try_next().await? {
        let what = handle(&message).unwrap_or_else(|error| format!("unreadable: {error:#}"));
        println!("{} {} {what}", id(&message), message.subject);
        // After the work, never before it.
        message
            .ack()
            .await
            .map_err(|error| anyhow::anyhow!("no ack: {error}"))?;
    }
    Ok(())
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
