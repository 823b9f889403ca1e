//! Publishers of many shards on one connection, and the server's limits on batches: no more than 50
//! open ones a stream. What goes beyond is refused without a word until its last message.

use std::collections::BTreeSet;

use futures_util::{StreamExt, future::join_all};
use shardfleet::{
    gateway::forward::{End, Turn},
    wire::event::MESSAGE_ID,
};

use crate::support::{
    self,
    nats::Nats,
    publisher::{
        Stored, backlog, connect, create_stream, event, lease, limit_messages, publisher, stored,
    },
};

const BATCH_ID: &str = "Nats-Batch-Id";
const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
/// Open batches that a server takes a stream.
const LIMIT: usize = 50;

/// The ids of one shard, in the order of the stream.
fn ids(stored: &[Stored], shard: u32) -> Vec<&str> {
    let subject = format!("discord.{shard}.X");
    let of_shard = stored.iter().filter(|message| message.subject == subject);
    of_shard
        .filter_map(|message| message.header(MESSAGE_ID))
        .collect()
}

fn wanted(shard: u32, last: u64) -> Vec<String> {
    (1..=last).map(|seq| format!("{shard}:{seq}")).collect()
}

/// After a server was away every shard has a backlog. Batches leave one after the other, or all of
/// them would be open at the server at once, and most be refused.
#[tokio::test]
async fn the_backlogs_of_many_shards_leave_in_whole_batches() {
    const SHARDS: u32 = 120;
    const EVENTS: u64 = 250;
    let nats = Nats::start(-1).await;
    let broker = connect(&nats.url).await;
    create_stream(&broker).await;
    let turn = Turn::default();
    let all = (0..SHARDS)
        .map(|shard| tokio::spawn(backlog(broker.clone(), turn.clone(), shard, 1..=EVENTS)));
    for shard in join_all(all).await {
        shard.unwrap();
    }
    let stored = stored(&broker).await;
    let alone = stored
        .iter()
        .filter(|message| message.header(BATCH_ID).is_none());
    let batches: BTreeSet<_> = stored.iter().filter_map(|m| m.header(BATCH_ID)).collect();
    assert_eq!((alone.count(), batches.len()), (0, SHARDS as usize));
    for shard in 0..SHARDS {
        assert_eq!(ids(&stored, shard), wanted(shard, EVENTS));
    }
}

/// Where others have as many batches open as the server takes, messages go alone, at once and in order.
#[tokio::test]
async fn a_stream_that_takes_no_more_batches_gets_single_messages() {
    const EVENTS: u64 = 400;
    let nats = Nats::start(-1).await;
    let broker = connect(&nats.url).await;
    create_stream(&broker).await;
    for number in 0..LIMIT {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(BATCH_ID, format!("open-{number}"));
        headers.insert(BATCH_SEQUENCE, "1");
        let open = broker
            .client
            .request_with_headers("discord.9.X", headers, "".into());
        assert!(open.await.unwrap().payload.is_empty());
    }
    let started = shardfleet::clock::now();
    backlog(broker.clone(), Turn::default(), 0, 1..=EVENTS).await;
    // An open batch is given up after ten seconds of silence: then batches would be taken again.
    let took = started.elapsed();
    assert!(took.as_secs() < 5, "{took:?}");
    let stored = stored(&broker).await;
    assert_eq!(ids(&stored, 0), wanted(0, EVENTS));
    let alone = stored
        .iter()
        .filter(|message| message.header(BATCH_ID).is_none());
    assert_eq!(alone.count() as u64, EVENTS);
}

/// A batch costs the server files of its own where the stream is a file of one replica: more than a
/// short queue is worth.
#[tokio::test]
async fn a_short_queue_leaves_message_by_message() {
    const EVENTS: u64 = 100;
    let nats = Nats::start(-1).await;
    let broker = connect(&nats.url).await;
    create_stream(&broker).await;
    backlog(broker.clone(), Turn::default(), 0, 1..=EVENTS).await;
    let stored = stored(&broker).await;
    assert_eq!(ids(&stored, 0), wanted(0, EVENTS));
    assert!(
        stored
            .iter()
            .all(|message| message.header(BATCH_ID).is_none())
    );
}

/// A stream that says no, here as it takes only small messages: what was sent is sent again until it is
/// stored, and nothing goes before it.
#[tokio::test]
async fn what_is_refused_for_now_is_stored_later() {
    const EVENTS: u64 = 20;
    let nats = Nats::start(-1).await;
    let broker = connect(&nats.url).await;
    create_stream(&broker).await;
    let (_lease, held) = lease();
    let (queue, publisher) = publisher(&broker, &Turn::default(), 0, held).await;
    limit_messages(&broker, 10).await;
    let mut sent = broker.client.subscribe("discord.0.X").await.unwrap();
    broker.client.flush().await.unwrap();
    for seq in 1..=EVENTS {
        let message = event(0, seq);
        publisher.budget.add(message.body.size());
        queue.send(message).unwrap();
    }
    drop(queue);
    let publishing = tokio::spawn(publisher.run(0));
    for _ in 0..3 {
        let message = tokio::time::timeout(support::LIMIT, sent.next()).await;
        let headers = message.unwrap().unwrap().headers.unwrap();
        assert_eq!(headers.get(MESSAGE_ID).unwrap().as_str(), "0:1");
    }
    limit_messages(&broker, -1).await;
    let end = tokio::time::timeout(support::LIMIT, publishing).await;
    assert_eq!(end.unwrap().unwrap(), End::Flushed);
    assert_eq!(ids(&stored(&broker).await, 0), wanted(0, EVENTS));
}
