use std::{sync::Arc, time::Duration};

use shardfleet::{clock, config::Config};
use tokio::net::TcpListener;

use crate::world::World;

async fn with_http(config: &Config) -> (Arc<Config>, String) {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut config = config.clone();
    config.coordinator.http = format!("127.0.0.1:{port}").parse().unwrap();
    (Arc::new(config), format!("http://127.0.0.1:{port}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_as_a_gateway_queue_on_leader_and_follower() {
    let mut world = World::start(8, 2).await;
    let base = Arc::clone(&world.config);
    let (config, leader) = with_http(&base).await;
    let first = world.coordinator_with(config).await;
    assert!(first.leads().await);
    let (config, follower) = with_http(&base).await;
    let second = world.coordinator_with(config).await;
    let client = reqwest::Client::new();

    for url in ["/?shard=8", "/?shard=x", "/?shard=1&shard=2"] {
        let answer = client.get(format!("{leader}{url}")).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{url}");
    }
    for name in ["Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode"] {
        let page = client.get(format!("{leader}/?shard=0"));
        let answer = page.header(name, "cross-site").send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name}");
    }
    let begun = clock::boottime();
    let asks = [
        client.get(format!("{leader}/?shard=0")),
        client
            .post(format!("{follower}/any/path?x=y&shard=1"))
            .body("anything"),
        client.get(format!("{follower}/?shard=2")),
    ];
    let mut tasks = Vec::new();
    for ask in asks {
        tasks.push(tokio::spawn(async move {
            let answer = ask.send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["content-length"], "45");
            let text = answer.text().await.unwrap();
            assert_eq!(text, r#"{"message": "You're free to connect now! :)"}"#);
            clock::boottime()
        }));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut at = Vec::new();
    for task in tasks {
        at.push(task.await.unwrap());
    }
    println!(
        "answered after {:?}",
        at.iter().map(|at| at.since(begun)).collect::<Vec<_>>()
    );
    assert!(at[2].since(at[0]) >= Duration::from_millis(7_250));
    assert!(
        second
            .board
            .status()
            .coordinator
            .is_some_and(|status| !status.leader)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_frees_its_place() {
    let mut world = World::start(8, 1).await;
    let base = Arc::clone(&world.config);
    let (config, url) = with_http(&base).await;
    let first = world.coordinator_with(config).await;
    assert!(first.leads().await);
    let client = reqwest::Client::new();
    let ask = client
        .get(format!("{url}/?shard=0"))
        .timeout(Duration::from_secs(1));
    assert!(ask.send().await.unwrap_err().is_timeout());
    let queue = || first.board.status().coordinator.unwrap().queue;
    let mut waited = 0;
    while queue() > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        waited += 1;
        assert!(waited < 30, "still in the queue");
    }
}
