use std::{sync::Arc, time::Duration};

use shardfleet::{clock, config::Config};
use tokio::net::TcpListener;

use crate::world::{Coordinator, World};

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

/// A fleet of so many shards, its leader, and the address of that one's endpoint.
async fn leader(shards: u32, max_concurrency: u32) -> (World, Coordinator, String) {
    let mut world = World::start(shards, max_concurrency).await;
    let (config, url) = with_http(&world.config).await;
    let first = world.coordinator_with(config).await;
    assert!(first.leads().await);
    (world, first, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_as_a_gateway_queue_on_leader_and_follower() {
    let (mut world, _first, leader) = leader(8, 2).await;
    let (config, follower) = with_http(&world.config).await;
    let second = world.coordinator_with(config).await;
    let client = reqwest::Client::new();

    for url in ["/?shard=", "/?shard=x", "/?shard=1&shard=2"] {
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
    let (_world, first, url) = leader(8, 1).await;
    let client = reqwest::Client::new();
    let ask = client
        .get(format!("{url}/?shard=0"))
        .timeout(Duration::from_secs(1));
    assert!(ask.send().await.unwrap_err().is_timeout());
    let status = || first.board.status().coordinator.unwrap();
    let mut waited = 0;
    while status().queue > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        waited += 1;
        assert!(waited < 30, "still in the queue");
    }
    // Whoever comes next is granted the first leave of this leader.
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(status().granted, 1);
}

/// The plainest use: a bot with one bucket, and nobody says which shard it is. The fourth call waited for
/// ten seconds once, the seventh for minutes.
#[tokio::test(flavor = "multi_thread")]
async fn calls_without_a_shard_are_answered_one_by_one_and_never_slower() {
    let (_world, _first, url) = leader(1, 1).await;
    let client = reqwest::Client::new();
    let mut last = None;
    // The last one is somebody else's shard, in the same bucket.
    for query in ["", "", "", "", "", "?shard=7"] {
        let answer = client.get(format!("{url}/{query}")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let now = clock::boottime();
        if let Some(last) = last.replace(now) {
            let span = now.since(last);
            println!("answered after {span:?}");
            assert!(span >= Duration::from_secs(7), "{span:?}");
            assert!(span < Duration::from_millis(8_500), "{span:?}");
        }
    }
}

/// Health checks and whoever looks in: each has an answer of its own, and the bucket is as free as before.
#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered_at_once_and_spend_nothing() {
    let (_world, first, url) = leader(8, 1).await;
    let client = reqwest::Client::new();
    let begun = clock::boottime();
    for (method, path, status) in [
        ("HEAD", "/", 200),
        ("HEAD", "/?shard=0", 200),
        ("GET", "/live", 200),
        ("GET", "/healthz", 200),
        ("GET", "/ready", 200),
        ("OPTIONS", "/", 200),
        ("PUT", "/", 405),
        ("DELETE", "/?shard=0", 405),
        ("GET", "/metrics", 404),
        ("GET", "/favicon.ico", 404),
    ] {
        let method: reqwest::Method = method.parse().unwrap();
        let ask = client.request(method.clone(), format!("{url}{path}"));
        let answer = ask.send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        if status == 405 || method == "OPTIONS" {
            assert_eq!(answer.headers()["allow"], "GET, HEAD, POST, OPTIONS");
        }
        let text = answer.text().await.unwrap();
        let says = method == "HEAD" || text.contains("GET /?shard=N");
        assert!(says, "{method} {path}: {text}");
    }
    let kubelet = client.get(&url).header("User-Agent", "kube-probe/1.33");
    assert_eq!(kubelet.send().await.unwrap().status(), 200);
    let took = clock::boottime().since(begun);
    assert!(took < Duration::from_secs(2), "{took:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = first.board.status().coordinator.unwrap();
    assert_eq!((status.granted, status.queue), (0, 0));
}
