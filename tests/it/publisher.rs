//! Publishers of many shards on one connection: by fast-ingest batches and message by message, against
//! a stream that refuses, forgets, or belongs to somebody else by now.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::join_all};
use shardfleet::{
    broker::{Broker, bucket::Bucket},
    gateway::{
        forward::{End, Message},
        inbox::Inbox,
    },
    subject,
    wire::{self, event::MESSAGE_ID, ingest::StoredBatch},
};

use crate::support::{
    self,
    nats::Nats,
    publisher::{
        Group, STREAM, Stored, backlog, begin, connect, create_stream, event, lease,
        limit_messages, publisher, send, stored,
    },
    until,
};

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

fn id(message: &async_nats::Message) -> String {
    let headers = message.headers.as_ref().unwrap();
    headers.get(MESSAGE_ID).unwrap().to_string()
}

/// Those that were stored without a fence: they flowed in a batch behind another of their shard.
fn flowed(stored: &[Stored]) -> usize {
    let fence = NATS_EXPECTED_LAST_SUBJECT_SEQUENCE.as_ref();
    let unfenced = |message: &&Stored| message.header(fence).is_none();
    stored.iter().filter(unfenced).count()
}

async fn server() -> (Nats, Broker) {
    let nats = Nats::start(-1).await;
    let broker = connect(&nats.url).await;
    create_stream(&broker).await;
    (nats, broker)
}

/// The backlogs of so many shards, all at once.
async fn backlogs(broker: &Broker, group: Option<&Group>, shards: u32, events: u64) {
    join_all((0..shards).map(|shard| backlog(broker, group, shard, 1..=events))).await;
}

/// After a server was away every shard has a backlog.
#[tokio::test]
async fn the_backlogs_of_many_shards_flow_in_one_batch() {
    const SHARDS: u32 = 120;
    const EVENTS: u64 = 250;
    let (_nats, broker) = server().await;
    let (_lease, held) = lease();
    let group = begin(&broker, held).await;
    backlogs(&broker, Some(&group), SHARDS, EVENTS).await;
    let stored = stored(&broker).await;
    let all = SHARDS as usize * usize::try_from(EVENTS).unwrap();
    assert!(flowed(&stored) > all / 2, "{} of {all}", flowed(&stored));
    for shard in 0..SHARDS {
        assert_eq!(ids(&stored, shard), wanted(shard, EVENTS));
    }
}

/// Shards of a lane share one subscription.
#[tokio::test]
async fn an_answer_goes_to_the_shard_that_waits_for_it() {
    let (_nats, broker) = server().await;
    let (inbox, handing_out) = Inbox::open(&broker).await.unwrap();
    tokio::spawn(handing_out);
    let (mut first, mut second) = (inbox.part(), inbox.part());
    let gone = inbox.part().reply(1);
    for to in [second.reply(2), gone, first.reply(1), second.reply(3)] {
        broker.client.publish(to, "{}".into()).await.unwrap();
    }
    let mut heard = Vec::new();
    for of_first in [true, false, false] {
        let part = if of_first { &mut first } else { &mut second };
        let message = tokio::time::timeout(support::LIMIT, part.next()).await;
        heard.push(message.unwrap().unwrap().subject.to_string());
    }
    assert_eq!(heard, [first.reply(1), second.reply(2), second.reply(3)]);
}

/// As with a server before 2.14, or a stream that was made for one.
#[tokio::test]
async fn without_batches_every_message_is_fenced() {
    let (_nats, broker) = server().await;
    backlogs(&broker, None, 4, 100).await;
    let stored = stored(&broker).await;
    assert_eq!((stored.len(), flowed(&stored)), (400, 0));
    for shard in 0..4 {
        assert_eq!(ids(&stored, shard), wanted(shard, 100));
    }
}

/// An ack for each message comes sooner, and costs little where there are few.
#[tokio::test]
async fn a_quiet_group_has_no_batch() {
    let (_nats, broker) = server().await;
    let (_lease, held) = lease();
    let group = begin(&broker, held).await;
    for part in 0..3 {
        let first = u64::from(part) * 12 + 1;
        backlog(&broker, Some(&group), part, first..=first + 11).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let stored = stored(&broker).await;
    assert_eq!((stored.len(), flowed(&stored)), (36, 0));
}

/// A stream that says no, here as it takes only small messages: what was sent is sent again until it is
/// stored, and nothing goes before it.
#[tokio::test]
async fn what_is_refused_for_now_is_stored_later() {
    const EVENTS: u64 = 20;
    let (_nats, broker) = server().await;
    let (_lease, held) = lease();
    let (handover, publisher) = publisher(&broker, None, 0, held).await;
    limit_messages(&broker, 10).await;
    let mut sent = broker.client.subscribe("discord.0.X").await.unwrap();
    broker.client.flush().await.unwrap();
    for seq in 1..=EVENTS {
        send(&handover, &publisher.budget, event(0, seq));
    }
    drop(handover);
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

/// The same while messages flow: what had left behind the one refused comes after it again.
#[tokio::test]
async fn what_is_refused_in_a_batch_is_stored_later_and_in_order() {
    const SHARDS: u32 = 8;
    const EVENTS: u64 = 1_500;
    let (_nats, broker) = server().await;
    let (_lease, held) = lease();
    let group = begin(&broker, held).await;
    let mut sent = broker.client.subscribe("discord.*.X").await.unwrap();
    broker.client.flush().await.unwrap();
    let all = backlogs(&broker, Some(&group), SHARDS, EVENTS);
    let refusing = async {
        let mut seen = HashSet::new();
        for _ in 0..3 {
            let before = count(&broker).await;
            until("some flowed", async || {
                (count(&broker).await > before + 500).then_some(())
            })
            .await;
            while let Some(message) = sent.next().now_or_never() {
                seen.insert(id(&message.unwrap()));
            }
            limit_messages(&broker, 10).await;
            // What was refused is sent again, by itself.
            let again = async { while seen.insert(id(&sent.next().await.unwrap())) {} };
            let again = tokio::time::timeout(support::LIMIT, again).await;
            again.expect("a message is sent a second time");
            limit_messages(&broker, -1).await;
        }
    };
    tokio::join!(all, refusing);
    let stored = stored(&broker).await;
    assert!(flowed(&stored) > 1_000, "{}", flowed(&stored));
    for shard in 0..SHARDS {
        assert_eq!(ids(&stored, shard), wanted(shard, EVENTS));
    }
}

/// What an owner had on its way when it lost the group must not come in behind what the next one stores:
/// nothing but the first message of a shard is fenced in a batch, so that the batch itself is closed.
#[tokio::test]
async fn what_the_last_owner_had_under_way_does_not_come_in() {
    let (_nats, broker) = server().await;
    let (_lease, held) = lease();
    let group = begin(&broker, held.clone()).await;
    let (handover, publisher) = publisher(&broker, Some(&group), 0, held.clone()).await;
    let budget = publisher.budget.clone();
    let publishing = tokio::spawn(publisher.run(0));
    for seq in 1..=40 {
        send(&handover, &budget, event(0, seq));
    }
    until("all are stored", async || {
        (count(&broker).await == 40).then_some(())
    })
    .await;
    // The first one in the batch is fenced.
    let next = flowed(&stored(&broker).await) + 2;
    let state = Bucket::open(&broker, &broker.names.state_bucket())
        .await
        .unwrap();
    let key = subject::ingest(1, shardfleet::fleet::GroupId(0));
    let named = state.get(&key).await.unwrap().expect("a batch is named");
    let named: StoredBatch = wire::decode(&named.value).unwrap();

    let _next = begin(&connect_again(&broker).await, held).await;
    let reply = format!("_INBOX.late.{}.64.fail.{next}.1.$FI", named.batch);
    let client = &broker.client;
    let late = client.publish_with_reply("discord.0.X", reply, Bytes::from_static(b"late"));
    late.await.unwrap();
    client.flush().await.unwrap();
    // Its own next message finds out how far the shard is before it goes.
    send(&handover, &budget, event(0, 41));
    drop(handover);
    assert_eq!(publishing.await.unwrap(), End::Flushed);
    let stored = stored(&broker).await;
    assert_eq!((stored.len(), next > 2), (41, true));
    assert_eq!(ids(&stored, 0), wanted(0, 41));
}

async fn connect_again(broker: &Broker) -> Broker {
    let info = broker.client.server_info();
    connect(&format!("{}:{}", info.host, info.port)).await
}

/// A poll loop learns at its next turn that its publisher has ended; by then its place in the batch may be
/// another shard's.
#[tokio::test]
async fn what_comes_after_the_publishers_end_goes_nowhere() {
    let (_nats, broker) = server().await;
    let (lease_of_one, held) = lease();
    let (_lease, held_on) = lease();
    let group = begin(&broker, held_on.clone()).await;
    let (one, ended) = publisher(&broker, Some(&group), 0, held).await;
    let budget = ended.budget.clone();
    lease_of_one.send_replace(None);
    send(&one, &budget, event(0, 1));
    assert_eq!(ended.run(0).await, End::LeaseLost);

    let (other, publisher) = publisher(&broker, Some(&group), 1, held_on).await;
    let progress = Arc::clone(&publisher.told.progress);
    let publishing = tokio::spawn(publisher.run(0));
    let mut seq = 0;
    until("the other one flows in a batch", async || {
        for _ in 0..50 {
            seq += 1;
            send(&other, &budget, event(1, seq));
        }
        (progress.stored() > 100).then_some(())
    })
    .await;
    assert!(!one.send(event(0, 2)), "its publisher has ended");
    drop(other);
    assert_eq!(publishing.await.unwrap(), End::Flushed);
    let stored = stored(&broker).await;
    assert!(ids(&stored, 0).is_empty());
    assert_eq!(ids(&stored, 1), wanted(1, seq));
}

/// As after a power loss: what was acknowledged is not there any more. Whoever polls the shard resumes it
/// from what is left, so that Discord sends the rest again.
#[tokio::test]
async fn what_the_stream_loses_after_its_ack_ends_the_publisher() {
    for batches in [false, true] {
        let (_nats, broker) = server().await;
        let (_lease, held) = lease();
        let group = begin(&broker, held.clone()).await;
        let group = batches.then_some(&group);
        let (handover, publisher) = publisher(&broker, group, 0, held).await;
        let (budget, progress) = (
            publisher.budget.clone(),
            Arc::clone(&publisher.told.progress),
        );
        let publishing = tokio::spawn(publisher.run(0));
        (1..=40).for_each(|seq| send(&handover, &budget, event(0, seq)));
        until("all are acknowledged", async || {
            (progress.stored() == 40).then_some(())
        })
        .await;
        let stream = broker.jetstream.get_stream(STREAM).await.unwrap();
        for sequence in 36..=40 {
            stream.delete_message(sequence).await.unwrap();
        }
        send(&handover, &budget, event(0, 41));
        let end = tokio::time::timeout(support::LIMIT, publishing).await;
        assert_eq!(end.unwrap().unwrap(), End::Behind, "batches: {batches}");
        assert_eq!(ids(&stored(&broker).await, 0), wanted(0, 35));
        assert_eq!(budget.waiting(), 0);
    }
}

/// Two sessions of one name, of two shards or of one: the second's messages are no duplicates of the first's.
#[tokio::test]
async fn what_has_the_id_of_another_message_is_stored_under_a_name_of_the_fleets_own() {
    let (_nats, broker) = server().await;
    backlog(&broker, None, 1, 1..=20).await;
    // Another shard, then the same one again behind a session of its own: 1, 2, 1.
    for (shard, last) in [(2, 0), (1, 20)] {
        let (_lease, held) = lease();
        let (handover, publisher) = publisher(&broker, None, shard, held).await;
        for seq in 1..=20 {
            let message = Message {
                session: "1".into(),
                ..event(shard, seq)
            };
            send(&handover, &publisher.budget, message);
        }
        let progress = Arc::clone(&handover.progress);
        drop(handover);
        let end = tokio::time::timeout(support::LIMIT, publisher.run(last)).await;
        assert_eq!(end.unwrap(), End::Flushed);
        let collision = progress.collision().unwrap();
        assert_eq!((&*collision.session, collision.lost), ("1", false));
    }
    let stored = stored(&broker).await;
    assert_eq!(stored.len(), 60);
    for (shard, from) in [(2, 0), (1, 20)] {
        let ids = &ids(&stored, shard)[from..];
        let names: HashSet<_> = ids.iter().map(|id| id.split_once(':').unwrap().0).collect();
        assert_eq!(names.len(), 1, "{ids:?}");
        let name = names.into_iter().next().unwrap();
        assert!(name.starts_with(&format!("unnamed-{shard}-")), "{name}");
        let wanted = (1..=20).map(|seq| format!("{name}:{seq}"));
        assert!(wanted.eq(ids.iter().map(ToString::to_string)), "{ids:?}");
    }
}

async fn count(broker: &Broker) -> u64 {
    let stream = broker.jetstream.get_stream(STREAM).await.unwrap();
    stream.cached_info().state.messages
}
