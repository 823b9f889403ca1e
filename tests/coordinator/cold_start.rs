use std::time::Duration;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_start_takes_no_longer_than_discord_makes_it() {
    let mut world = World::start(32, 16).await;
    let coordinator = world.coordinator().await;
    assert!(coordinator.leads().await);
    for task in world.ask_all(0..32, 32).await {
        task.await.unwrap();
    }
    world.judge(16);
    let identified = world.identified.lock().unwrap().clone();
    assert_eq!(identified.len(), 32);
    let took = identified[31].0.since(identified[0].0);
    println!("cold start of 32 shards at 16: {took:?} (Discord's least: 5s)");
    assert!(took <= Duration::from_secs(10).mul_f64(1.06), "{took:?}");
    coordinator.stop().await;
}
