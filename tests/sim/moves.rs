//! The gateway has another URL, and the old ones are away.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::client::{Client, Heard};
use crate::support::{LIMIT, Sim};

const QUERY: &str = "?v=10&encoding=json";

async fn refused(sim: &Sim, path: &str) -> bool {
    Client::try_connect(sim.address, &format!("{path}/{QUERY}"))
        .await
        .is_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_names_the_new_url_and_the_old_ones_refuse() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    sim.fault(r#"{"fault":"move_gateway","to":"b2"}"#).await;
    let url = format!("ws://{}/at/b2", sim.address);
    assert_eq!(sim.get("/api/v10/gateway", None).await.1["url"], url);
    assert_eq!(
        sim.get("/api/v10/gateway/bot", Some("Bot simulated"))
            .await
            .1["url"],
        url
    );
    for path in ["", "/resume", "/at/b", "/at/b/resume"] {
        assert!(refused(&sim, path).await, "{path}");
    }
    // Who is connected stays; the session is found at the new place.
    client.read(20).await;
    client.close(4000).await;
    let path = format!("/at/b2/{QUERY}");
    let mut moved = Client::try_connect(sim.address, &path).await.unwrap();
    moved.payload().await;
    moved
        .send_resume("simulated", &client.session, client.seq)
        .await;
    moved.until("RESUMED").await;
    let mut fresh = Client::try_connect(sim.address, &path).await.unwrap();
    fresh.payload().await;
    fresh.identify((0, 2)).await;
    let ready = fresh.until("READY").await;
    assert_eq!(ready["d"]["resume_gateway_url"], format!("{url}/resume"));
    assert!(!refused(&sim, "/at/b2/resume").await);
    // The resume host may be away there, too.
    sim.fault(r#"{"fault":"resume_host","mode":"refuse"}"#)
        .await;
    assert!(refused(&sim, "/at/b2/resume").await && !refused(&sim, "/at/b2").await);
    sim.fault(r#"{"fault":"resume_host","mode":"ok"}"#).await;
    sim.fault(r#"{"fault":"move_gateway","to":""}"#).await;
    assert!(refused(&sim, "/at/b2").await && !refused(&sim, "").await);
    assert_eq!(sim.verdict().await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_urls_may_be_served_or_hang() {
    let sim = Sim::start("").await;
    sim.fault(r#"{"fault":"move_gateway","to":"c","old":"ok"}"#)
        .await;
    assert!(!refused(&sim, "").await && !refused(&sim, "/at/c").await);
    sim.fault(r#"{"fault":"move_gateway","to":"c","old":"hang"}"#)
        .await;
    let path = format!("/{QUERY}");
    let hung = timeout(
        Duration::from_millis(500),
        Client::try_connect(sim.address, &path),
    )
    .await;
    assert!(hung.is_err(), "nothing is said");
    assert!(!refused(&sim, "/at/c").await);
    let (status, answer) = sim
        .post("/sim/fault", r#"{"fault":"move_gateway","to":"../x"}"#)
        .await;
    assert_eq!(
        (
            status,
            answer["error"].as_str().unwrap().contains("letters")
        ),
        (400, true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_hangs_says_nothing_until_it_is_well() {
    let sim = Sim::start("").await;
    sim.fault(r#"{"fault":"resume_host","mode":"hang","for_ms":300}"#)
        .await;
    let path = format!("/resume/{QUERY}");
    let hung = timeout(
        Duration::from_millis(200),
        Client::try_connect(sim.address, &path),
    )
    .await;
    assert!(hung.is_err());
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut client = timeout(LIMIT, Client::try_connect(sim.address, &path))
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(client.hear().await, Heard::Payload(hello) if hello["op"] == json!(10)));
}
