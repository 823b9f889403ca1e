//! REST answers otherwise than it should.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{LIMIT, Sim};

struct Seen {
    status: u16,
    body: Vec<u8>,
    headers: reqwest::header::HeaderMap,
}

/// What a client gets of a route; none: the connection ended, or nothing came for a while.
async fn ask(sim: &Sim, route: &str, limit: Duration) -> Option<Seen> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(limit)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let request = http
        .get(format!("http://{}/api/v10{route}", sim.address))
        .header("authorization", "Bot simulated");
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.ok()?.to_vec();
    Some(Seen {
        status,
        body,
        headers,
    })
}

async fn rest(sim: &Sim, fields: Value) {
    let mut fault = json!({ "fault": "rest" });
    fault
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    assert_eq!(sim.fault(&fault.to_string()).await, 1);
}

const BOT: &str = "/gateway/bot";

#[tokio::test(flavor = "multi_thread")]
async fn a_route_answers_with_any_status_body_and_header() {
    let sim = Sim::start("").await;
    let usual = ask(&sim, BOT, LIMIT).await.unwrap().body;
    let keys = |body: &[u8]| {
        let value: Value = serde_json::from_slice(body).unwrap();
        value.as_object().unwrap().len()
    };
    for (fault, status, kind, wanted) in [
        (
            json!({ "status": 500, "body": "json" }),
            500,
            "application/json",
            &br#"{"code":0,"message":"500: Internal Server Error"}"#[..],
        ),
        (
            json!({ "status": 502, "body": "html" }),
            502,
            "text/html",
            b"1015",
        ),
        (json!({ "body": "html" }), 200, "text/html", b"1015"),
        (json!({ "body": "empty" }), 200, "application/json", b""),
        (
            json!({ "body": "half" }),
            200,
            "application/json",
            &usual[..20],
        ),
        (
            json!({ "text": r#"{"url":"{url}"}"# }),
            200,
            "application/json",
            format!(r#"{{"url":"ws://{}"}}"#, sim.address).as_bytes(),
        ),
        (
            json!({ "status": 401 }),
            401,
            "application/json",
            &usual[..20],
        ),
    ] {
        let mut fault = fault;
        fault["route"] = json!(BOT);
        fault["count"] = json!(1);
        rest(&sim, fault.clone()).await;
        let seen = ask(&sim, BOT, LIMIT).await.unwrap();
        assert_eq!(
            (seen.status, seen.headers["content-type"].to_str().unwrap()),
            (status, kind),
            "{fault}"
        );
        let found = wanted.is_empty() && seen.body.is_empty()
            || !wanted.is_empty() && seen.body.windows(wanted.len()).any(|part| part == wanted);
        assert!(found, "{fault}: {}", String::from_utf8_lossy(&seen.body));
        if fault["body"] == "half" {
            assert_eq!(seen.body.len(), usual.len() / 2);
        }
        // Once, and on that route alone.
        assert_eq!(keys(&ask(&sim, BOT, LIMIT).await.unwrap().body), 3);
    }
    let requests = sim.verdict().await["rest_requests"].as_u64();
    assert_eq!(requests, Some(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_routes_go_on_and_headers_are_as_asked_for() {
    let sim = Sim::start("").await;
    rest(&sim, json!({ "route": BOT, "status": 429, "body": "json", "headers": { "Retry-After": "7200", "X-RateLimit-Scope": "shared" } })).await;
    for _ in 0..3 {
        let seen = ask(&sim, BOT, LIMIT).await.unwrap();
        assert_eq!(
            (
                seen.status,
                &seen.headers["retry-after"],
                &seen.headers["x-ratelimit-scope"]
            ),
            (429, &"7200".parse().unwrap(), &"shared".parse().unwrap())
        );
        assert_eq!(ask(&sim, "/gateway", LIMIT).await.unwrap().status, 200);
    }
    rest(&sim, json!({ "route": BOT, "then": "go_on" })).await;
    assert_eq!(ask(&sim, BOT, LIMIT).await.unwrap().status, 200);
    rest(
        &sim,
        json!({ "status": 302, "body": "empty", "headers": { "Location": "/login" }, "count": 2 }),
    )
    .await;
    for route in [BOT, "/gateway"] {
        let seen = ask(&sim, route, LIMIT).await.unwrap();
        assert_eq!(
            (seen.status, &seen.headers["location"]),
            (302, &"/login".parse().unwrap())
        );
    }
    assert_eq!(ask(&sim, BOT, LIMIT).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_hangs_aborts_and_sends_megabytes() {
    let sim = Sim::start("").await;
    rest(&sim, json!({ "route": "/gateway", "then": "hang" })).await;
    assert!(
        ask(&sim, "/gateway", Duration::from_millis(300))
            .await
            .is_none()
    );
    assert_eq!(ask(&sim, BOT, LIMIT).await.unwrap().status, 200);
    rest(&sim, json!({ "route": "/gateway", "then": "abort" })).await;
    let began = shardfleet::clock::now();
    assert!(ask(&sim, "/gateway", LIMIT).await.is_none());
    assert!(began.elapsed() < LIMIT);
    rest(
        &sim,
        json!({ "route": "/gateway", "pad": 5_000_000, "for_ms": 60_000 }),
    )
    .await;
    let seen = ask(&sim, "/gateway", LIMIT).await.unwrap();
    assert!(seen.body.len() > 5_000_000);
    let value: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(value["url"], format!("ws://{}", sim.address));
    for (wrong, word) in [
        (json!({ "status": 99 }), "status"),
        (json!({ "headers": { "a b": "c" } }), "headers"),
        (json!({ "pad": 1_u64 << 40 }), "pad"),
        (json!({ "body": "xml" }), "html"),
    ] {
        let mut fault = json!({ "fault": "rest" });
        fault
            .as_object_mut()
            .unwrap()
            .extend(wrong.as_object().unwrap().clone());
        let (status, answer) = sim.post("/sim/fault", &fault.to_string()).await;
        assert!(
            status == 400 && answer["error"].as_str().unwrap().contains(word),
            "{answer}"
        );
    }
}
