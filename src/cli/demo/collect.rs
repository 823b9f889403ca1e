//! Fetches both records into the evidence folder: the simulator's, and the stream message by message.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use async_nats::jetstream::{Message, consumer::pull::OrderedConfig};
use futures_util::StreamExt;

use super::{simulator::Seen, stage::Stage};
use crate::{
    audit::evidence::StoredLine,
    wire::event::{CONTENT_ENCODING, MESSAGE_ID},
};

/// How long the next message of a stream that has one may take.
const NEXT: Duration = Duration::from_secs(10);

/// Writes `sessions.json`, `sent.ndjson` and `stored.ndjson`.
pub(super) async fn collect(stage: &Stage, folder: &Path) -> Result<Seen> {
    let simulator = &stage.simulator;
    simulator
        .save("verdict", &folder.join("sessions.json"))
        .await?;
    simulator
        .save("record", &folder.join("sent.ndjson"))
        .await?;
    stored(stage, &folder.join("stored.ndjson")).await?;
    simulator.seen().await
}

async fn stored(stage: &Stage, path: &Path) -> Result<()> {
    let name = stage.broker.names.stream(0, 1);
    let stream = stage.broker.jetstream.get_stream(&name).await?;
    let last = stream.cached_info().state.last_sequence;
    let mut file = BufWriter::new(
        File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
    );
    if last == 0 {
        return Ok(());
    }
    let consumer = stream.create_consumer(OrderedConfig::default()).await?;
    let mut messages = consumer.messages().await?;
    loop {
        let next = tokio::time::timeout(NEXT, messages.next()).await;
        let Some(message) = next.with_context(|| format!("the stream {name} stopped short"))?
        else {
            bail!("the stream {name} ended before its last message, {last}");
        };
        let message = message?;
        let info = message
            .info()
            .map_err(|error| anyhow::anyhow!("no place in the stream: {error}"))?;
        let seq = info.stream_sequence;
        serde_json::to_writer(&mut file, &line(seq, &message)?)?;
        file.write_all(b"\n")?;
        if seq >= last {
            break;
        }
    }
    file.flush()?;
    Ok(())
}

fn line(seq: u64, message: &Message) -> Result<StoredLine> {
    let header = |name| {
        message
            .headers
            .as_ref()?
            .get(name)
            .map(async_nats::HeaderValue::as_str)
    };
    StoredLine::new(
        seq,
        &message.subject,
        header(MESSAGE_ID).unwrap_or_default(),
        header(CONTENT_ENCODING),
        &message.payload,
    )
}
