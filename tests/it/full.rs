//! A stream that is full: it forgets its oldest, or refuses. And a server that is full.

use async_nats::jetstream::{
    message::PublishMessage,
    stream::{Config, DiscardPolicy},
};

use crate::support::fleet::{
    Fleet,
    wait::{LIMIT, eventually},
};

/// As it is made: the oldest go first, and nobody waits for anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_forgets_its_oldest_and_takes_every_event() {
    let start = Fleet::start()
        .set("stream.max_bytes", "\"1MiB\"")
        .witnessed();
    let mut fleet = start.at_exactly(400).await;
    eventually("the stream is full", LIMIT, async || {
        let stream = fleet.stream().await;
        (stream.cached_info().state.first_sequence > 500).then_some(())
    })
    .await;
    let before = fleet.discord.figures().await;
    fleet.kill_gateway(0);
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 4).await;
    fleet.flow_for(3).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// An operator made it refuse instead. What cannot be stored waits, the shards park, the log says why,
/// seldom; with room again everything is there, without an IDENTIFY.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_refuses_is_waited_for() {
    let start = Fleet::start().set("gateway.buffer", "\"1MiB\"");
    let start = start.set("gateway.shed", "[]");
    let mut fleet = start.events_per_second(1_000).await;
    fleet.flow(1_000).await;
    let mut config = fleet.stream().await.cached_info().config.clone();
    let room = config.max_bytes;
    (config.discard, config.max_bytes) = (DiscardPolicy::New, 1 << 10);
    fleet.broker.jetstream.update_stream(&config).await.unwrap();
    let before = fleet.discord.figures().await;
    fleet
        .discord_sees("every shard is parked", |figures| figures.connected == 0)
        .await;
    fleet.flow(3_000).await;

    refused_seldom(&fleet.log("gateway-0"), "maximum bytes");

    (config.discard, config.max_bytes) = (DiscardPolicy::Old, room);
    fleet.broker.jetstream.update_stream(&config).await.unwrap();
    fleet.resumed_since(&before, 4).await;
    fleet.flow(500).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// The log says why the stream refuses, and does not say it for every message.
fn refused_seldom(log: &str, because: &str) {
    let lines = log.lines();
    let refused: Vec<_> = lines
        .filter(|line| line.contains("the stream refuses"))
        .collect();
    let times = refused.len();
    assert!((1..20).contains(&times), "said {times} times");
    assert!(refused[0].contains(because), "{}", refused[0]);
}

/// The server itself has no room left, for anybody: neither events nor leases can be written. Its shards
/// stop in time, and resume where the stream ends as soon as somebody made room.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_is_waited_for() {
    let start = Fleet::start().max_store(256 << 20);
    let start = start.set("stream.max_bytes", "\"160MiB\"");
    let mut fleet = start.events_per_second(200).await;
    fleet.flow(400).await;
    let before = fleet.discord.figures().await;
    fill(&fleet).await;
    fleet
        .discord_sees("every shard has stopped", |figures| figures.connected == 0)
        .await;
    let stored = fleet.last_stored().await;
    fleet.flow(400).await;
    assert_eq!(
        fleet.last_stored().await,
        stored,
        "there was room after all"
    );

    let log = fleet.log("gateway-0");
    refused_seldom(&log, "insufficient resources");
    let renewal = log.lines().find(|line| line.contains("a renewal of group"));
    let renewal = renewal.expect("a lease could not be renewed");
    assert!(renewal.contains("insufficient resources"), "{renewal}");

    fleet.broker.jetstream.delete_stream(OTHER).await.unwrap();
    fleet.resumed_since(&before, 4).await;
    fleet.flow(400).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// A stream that has nothing to do with the fleet.
const OTHER: &str = "SOMEBODY-ELSES";

/// Stores until the server has no room even for a word.
async fn fill(fleet: &Fleet) {
    let jetstream = &fleet.broker.jetstream;
    let other = Config {
        name: OTHER.to_owned(),
        subjects: vec!["somebody-elses".to_owned()],
        ..Config::default()
    };
    jetstream.create_stream(other).await.unwrap();
    for size in [1 << 20, 1 << 10, 1] {
        for taken in 0.. {
            assert!(taken < 1024, "it takes everything");
            let message = PublishMessage::build().payload(vec![0; size].into());
            let sent = jetstream.send_publish("somebody-elses", message).await;
            if sent.unwrap().await.is_err() {
                break;
            }
        }
    }
}
