use std::{sync::atomic::Ordering, time::Duration};

use shardfleet::wire::{
    self,
    identify::{ReleaseReserve, Reply, Request},
};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_reserve_waits_for_an_operators_word() {
    let mut world = World::start(2, 2).await;
    world.discord.remaining.store(51, Ordering::Relaxed);
    let coordinator = world.coordinator().await;
    assert!(coordinator.leads().await);
    let tasks = world.ask_all(0..2, 2).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(world.identified.lock().unwrap().len(), 1);

    let broker = world.broker("operator").await;
    let release = async |n, nonce: &str| {
        let request = Request::ReleaseReserve(ReleaseReserve {
            v: wire::VERSION,
            n,
            nonce: nonce.to_owned(),
        });
        let subject = broker.names.identify();
        let reply = broker.client.request(subject, wire::encode(&request)).await;
        wire::decode::<Reply>(&reply.unwrap().payload).unwrap()
    };
    assert!(matches!(release(51, "a").await, Reply::Refused { .. }));
    assert!(matches!(
        release(1, "b").await,
        Reply::Released { released: 1, .. }
    ));
    for task in tasks {
        task.await.unwrap();
    }
    let garbage = broker
        .client
        .request(broker.names.identify(), "{".into())
        .await;
    let reply: Reply = wire::decode(&garbage.unwrap().payload).unwrap();
    assert!(matches!(reply, Reply::Refused { .. }));
}
