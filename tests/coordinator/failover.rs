use std::time::Duration;

use shardfleet::clock;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_and_no_rule_is_broken() {
    let mut world = World::start(8, 2).await;
    let first = world.coordinator().await;
    assert!(first.leads().await);
    let second = world.coordinator().await;
    let tasks = world.ask_all(0..8, 8).await;
    while world.identified.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let killed = clock::boottime();
    first.kill();
    for task in tasks {
        task.await.unwrap();
    }
    world.judge(2);
    assert!(second.is_leader());
    let identified = world.identified.lock().unwrap().clone();
    assert_eq!(identified.len(), 8);
    let next = identified[2].0.since(killed);
    println!("kill to next grant: {next:?}");
    assert!(next <= Duration::from_millis(15_000 + 5_000 + 250 + 2_000 + 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_hand_over_costs_less_than_a_second() {
    let mut world = World::start(4, 2).await;
    let first = world.coordinator().await;
    assert!(first.leads().await);
    let second = world.coordinator().await;
    let tasks = world.ask_all(0..4, 4).await;
    while world.identified.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    first.stop().await;
    for task in tasks {
        task.await.unwrap();
    }
    world.judge(2);
    assert!(second.is_leader());
    let identified = world.identified.lock().unwrap().clone();
    let round = identified[2].0.since(identified[0].0);
    println!("identify to identify over a hand-over: {round:?}");
    assert!(round <= Duration::from_millis(6_250), "{round:?}");
}

/// A shard that has had its three goes of the hour waits ten seconds for the fourth, whoever leads.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_remembers_who_is_slowed_down() {
    let mut world = World::start(2, 2).await;
    let first = world.coordinator().await;
    assert!(first.leads().await);
    let second = world.coordinator().await;
    for _ in 0..3 {
        world.ask(0, 2).await.await.unwrap();
    }
    first.stop().await;
    assert!(second.leads().await);
    world.ask(0, 2).await.await.unwrap();
    world.judge(2);
    let identified = world.identified.lock().unwrap().clone();
    let (free, slowed) = (
        identified[2].0.since(identified[1].0),
        identified[3].0.since(identified[2].0),
    );
    println!("identify to identify: {free:?}, and over a hand-over {slowed:?}");
    assert!(free < Duration::from_secs(10), "{free:?}");
    assert!(slowed >= Duration::from_secs(10), "{slowed:?}");
}
