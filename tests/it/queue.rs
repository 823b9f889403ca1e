//! Somebody else's shards: real twilight ones, whose queue is the coordinator's HTTP endpoint.

use std::{net::TcpListener, time::Duration};

use futures_util::{StreamExt, future::join_all};
use shardfleet::config::discord::Intents;
use tokio::sync::oneshot;
use twilight_gateway::{ConfigBuilder, Message, Shard, ShardId, queue::Queue};

use crate::support::{
    fleet::{
        Fleet,
        wait::{LIMIT, eventually},
    },
    http,
};

/// Two rounds of IDENTIFYs spread over their buckets, and not one rule broken.
#[tokio::test(flavor = "multi_thread")]
async fn twilights_shards_identify_by_the_http_queue() {
    const SHARDS: u32 = 8;
    let listen = free_address();
    let start = Fleet::start().shards(SHARDS).max_concurrency(4).gateways(0);
    let start = start.set("coordinator.http", &format!("\"{listen}\""));
    let mut fleet = start.cold().await;
    fleet.leader().await;

    let api = fleet.discord.api(None);
    let gateway = api.trim_end_matches("/api/v10").replacen("http", "ws", 1);
    let queue = HttpQueue {
        url: format!("http://{listen}"),
        client: http::client(),
    };
    let config = ConfigBuilder::new(fleet.token.clone(), Intents::default().0)
        .proxy_url(gateway)
        .queue(queue)
        .build();
    let shards = (0..SHARDS).map(|id| {
        let id = ShardId::new(id, SHARDS);
        ready(Shard::with_config(id, config.clone()))
    });
    let all = tokio::time::timeout(Duration::from_secs(60), join_all(shards));
    let shards = all.await.expect("not every shard was ready in a minute");

    let verdict = fleet.sim_verdict().await;
    assert_eq!(shards.len(), SHARDS as usize);
    assert_eq!(verdict.identifies, u64::from(SHARDS));
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
}

/// Whoever watches the endpoint can tell its clients from those that only look whether it lives.
#[tokio::test(flavor = "multi_thread")]
async fn clients_and_probes_are_counted_apart() {
    let listen = free_address();
    let start = Fleet::start().shards(4).max_concurrency(1).gateways(0);
    let start = start.set("coordinator.http", &format!("\"{listen}\""));
    let mut fleet = start.cold().await;
    fleet.leader().await;
    let client = http::client();
    let url = format!("http://{listen}");
    for path in ["/live", "/metrics", "/favicon.ico"] {
        client.get(format!("{url}{path}")).send().await.unwrap();
    }
    client.head(&url).send().await.unwrap();
    assert!(http::is_well(&url).await);
    let page = client.get(&url).header("Origin", "https://example.com");
    assert_eq!(page.send().await.unwrap().status(), 403);
    // The bucket was used just now: this one goes away before its turn.
    let ask = client.get(&url).timeout(Duration::from_millis(500));
    assert!(ask.send().await.unwrap_err().is_timeout());
    eventually("every request is counted", LIMIT, async || {
        let name = "shardfleet_gateway_queue_requests_total";
        let lines = fleet.metric("coordinator-0", name).await;
        let count = |kind: &str| {
            let label = format!("kind=\"{kind}\"");
            let line = lines.iter().find(|line| line.contains(&label));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        };
        let counts = ["probe", "granted", "refused", "gone"].map(count);
        (counts == [Some(4), Some(1), Some(1), Some(1)]).then_some(())
    })
    .await;
    let granted = fleet
        .metric("coordinator-0", "shardfleet_identifies_granted_total")
        .await;
    assert!(granted[0].ends_with(" 1"), "{granted:?}");
}

/// Polls a shard until READY, and keeps it.
async fn ready(mut shard: Shard<HttpQueue>) -> Shard<HttpQueue> {
    while let Some(item) = shard.next().await {
        if matches!(item, Ok(Message::Text(text)) if text.starts_with(r#"{"t":"READY""#)) {
            break;
        }
    }
    shard
}

/// twilight's own way to its gateway-queue: a request for each shard, whose answer is the leave.
#[derive(Clone, Debug)]
struct HttpQueue {
    url: String,
    client: reqwest::Client,
}

impl Queue for HttpQueue {
    fn enqueue(&self, shard: u32) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let request = self.client.get(format!("{}/?shard={shard}", self.url));
        tokio::spawn(async move {
            // Without an answer the sender goes, and twilight asks again.
            if request
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                _ = sender.send(());
            }
        });
        receiver
    }
}

/// Free a moment ago; the coordinator says so where it is no longer.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
