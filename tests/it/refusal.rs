//! A stream that is somebody's.

use std::time::Duration;

use async_nats::jetstream::stream::Config as StreamConfig;

use crate::support::fleet::{Fleet, wait::LIMIT};

/// A stream that is there and differs is somebody's: the difference is named, nothing is changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_differs_is_refused_and_left_alone() {
    let mut fleet = Fleet::start().gateways(0).cold().await;
    let theirs = StreamConfig {
        name: "DISCORD".to_owned(),
        subjects: vec!["discord.>".to_owned()],
        max_age: Duration::from_secs(60),
        ..StreamConfig::default()
    };
    let created = fleet.broker.jetstream.create_stream(theirs).await.unwrap();
    let before = created.get_info().await.unwrap().config;
    let gateway = fleet.start_gateway().await;
    assert_eq!(fleet.gateway_ends(gateway, LIMIT).await, Some(1));
    let log = fleet.log("gateway-0");
    let last = log.lines().last().unwrap();
    for word in [
        "DISCORD",
        "max_age is 60s",
        "stream.max_age",
        "stream.max_bytes",
    ] {
        assert!(last.contains(word), "{word} is not in: {last}");
    }
    assert_eq!(created.get_info().await.unwrap().config, before);
    assert_eq!(fleet.discord.figures().await.connections, 0);
}
