//! Limits that fall, and a Discord that does not tell them.

use std::{sync::atomic::Ordering, time::Duration};

use shardfleet::{clock, fleet::ShardId, gateway::ask::Asking, telemetry::seldom::Seldom};

use crate::world::{Discord, World};

/// So long that the answer which the leader has stands no more.
const QUIET: Duration = Duration::from_millis(10_500);

async fn asked_more_than(discord: &Discord, before: u32, within: Duration) {
    let begun = clock::boottime();
    while discord.asked() <= before {
        assert!(
            clock::boottime().since(begun) < within,
            "not asked within {within:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_fell_counts_for_the_first_round_after_it() {
    let mut world = World::start(3, 16).await;
    let coordinator = world.coordinator().await;
    assert!(coordinator.leads().await);
    tokio::time::sleep(QUIET).await;
    world.discord.max_concurrency.store(1, Ordering::Relaxed);
    for task in world.ask_all(0..3, 3).await {
        task.await.unwrap();
    }
    world.judge(1);
}

/// A ban of hours: one question, one shard at a time, and the answer after all opens every bucket.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_hours_is_heeded_and_the_fleet_goes_on() {
    let mut world = World::start(3, 16).await;
    let coordinator = world.coordinator().await;
    assert!(coordinator.leads().await);
    tokio::time::sleep(QUIET).await;
    world.discord.barred.store(10_800, Ordering::Relaxed);
    let before = world.discord.asked();
    for task in world.ask_all(0..3, 3).await {
        task.await.unwrap();
    }
    world.judge(1);
    assert_eq!(world.discord.asked(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_identify_has_the_limits_read_at_once() {
    let mut world = World::start(3, 16).await;
    let coordinator = world.coordinator().await;
    assert!(coordinator.leads().await);
    let confirm = world.ask(0, 3).await.await.unwrap();
    let broker = world.broker("gateway").await;
    let mut asking = Asking::new(
        &broker,
        ShardId(0),
        3,
        "gateway".to_owned(),
        Seldom::default(),
    );
    asking.confirm(&confirm);
    world.discord.max_concurrency.store(1, Ordering::Relaxed);
    let before = world.discord.asked();
    asking.rejected();
    asked_more_than(&world.discord, before, Duration::from_secs(2)).await;
    for task in world.ask_all(1..3, 3).await {
        task.await.unwrap();
    }
    world.judge(1);
}
