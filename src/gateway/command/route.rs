//! `fleet.<name>.command`: passes a command on to the shard of its guild, a presence to every shard.
//!
//! Every gateway listens in one queue group. Whichever hears a command hands it to the shard where it runs
//! that itself, and the shard answers; otherwise it passes it on by way of NATS and brings the answer back.
//! So it need not be the owner, nor know who is.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use async_nats::{Message, Request, RequestErrorKind};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::{count, near::Near, read};
use crate::{
    broker::Broker,
    fleet::ShardId,
    subject::GATEWAYS,
    supervise,
    wire::{
        self, VERSION,
        command::{ASKER, Reason, Refused, Reply, Spread},
        topology::Topology,
    },
};

/// Commands on their way at once; what comes meanwhile waits in NATS.
const MOST_AT_ONCE: usize = 256;
/// Shards told of a presence at once.
const SPREAD: usize = 64;
/// How long a shard may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Passes commands on until `closed`.
///
/// # Errors
/// Where NATS refuses the subscription.
pub async fn route(
    broker: Broker,
    topology: watch::Receiver<Arc<Topology>>,
    near: Near,
    closed: CancellationToken,
) -> Result<()> {
    let subject = broker.names.commands();
    let mut asks = broker
        .client
        .queue_subscribe(subject, GATEWAYS.to_owned())
        .await?;
    let places = Arc::new(Semaphore::new(MOST_AT_ONCE));
    let until = closed.clone();
    let routing = closed.run_until_cancelled_owned(async move {
        while let Some(message) = asks.next().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let shards = topology.borrow().layout.shards;
            let command = read(&message.payload, shards);
            let command = command.map(|(owner, command)| (owner, command.op.as_str()));
            let message = match &command {
                Ok((Some(shard), _)) => match near.pass(*shard, message) {
                    Some(message) => message,
                    None => continue,
                },
                _ => message,
            };
            let broker = broker.clone();
            tokio::spawn(async move {
                answer(&broker, shards, command, message).await;
                drop(place);
            });
        }
    });
    supervise::vital("commands", &until, routing.map(|_| ()));
    Ok(())
}

async fn answer(
    broker: &Broker,
    shards: u32,
    command: Result<(Option<ShardId>, &'static str), (&'static str, Refused)>,
    message: Message,
) {
    let reply = match command {
        Err((op, refused)) => {
            let refused = Reply::Refused(refused);
            count(op, &refused);
            refused
        }
        Ok((Some(shard), op)) => pass_on(broker, shard, op, &message).await,
        Ok((None, op)) => {
            let asks = (0..shards).map(|shard| {
                let message = &message;
                async move { (shard, pass_on(broker, ShardId(shard), op, message).await) }
            });
            let replies: Vec<_> = stream::iter(asks).buffer_unordered(SPREAD).collect().await;
            let refused = |(_, reply): &&(u32, Reply)| !matches!(reply, Reply::Accepted(_));
            let mut refused: Vec<u32> = replies
                .iter()
                .filter(refused)
                .map(|(shard, _)| *shard)
                .collect();
            refused.sort_unstable();
            let accepted = shards.saturating_sub(u32::try_from(refused.len()).unwrap_or(shards));
            Reply::Spread(Spread {
                v: VERSION,
                accepted,
                refused,
            })
        }
    };
    if let Some(to) = message.reply {
        // Without NATS nobody hears it; the asker has a time limit of its own.
        _ = broker.client.publish(to, wire::encode(&reply)).await;
    }
}

/// The shard's answer, which it has counted itself; or a refusal in its stead.
async fn pass_on(broker: &Broker, shard: ShardId, op: &'static str, message: &Message) -> Reply {
    let mut request = Request::new()
        .payload(message.payload.clone())
        .timeout(Some(LIMIT));
    if let Some(asker) = &message.reply {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(ASKER, asker.as_str());
        request = request.headers(headers);
    }
    let answer = broker
        .client
        .send_request(broker.names.command(shard), request)
        .await;
    let why = match answer {
        Ok(answer) => match wire::decode::<Reply>(&answer.payload) {
            Ok(reply) => return reply,
            Err(error) => format!("shard {shard} answered: {error}"),
        },
        Err(error) if error.kind() == RequestErrorKind::NoResponders => {
            format!("nobody runs shard {shard} at this moment")
        }
        Err(_) => format!("shard {shard} did not answer: it may or may not have gone out"),
    };
    let refused = Refused::new(Reason::NoSession, why);
    let refused = Reply::Refused(refused.retry_after(Duration::from_secs(1)));
    count(op, &refused);
    refused
}
