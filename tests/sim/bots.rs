//! Two bots with a token each, and tokens that are no longer right.

use serde_json::json;

use crate::client::{ALL_INTENTS, Client, Heard, identify};
use crate::support::Sim;

const MAIN: &str = "700000000000000001";
const OTHER: &str = "700000000000000002";

/// Connected, and identified with this token.
async fn identified(sim: &Sim, token: &str, shard: (u32, u32)) -> Client {
    let mut client = Client::hello(sim.address, "").await;
    client
        .send(&identify(
            token,
            &json!([shard.0, shard.1]),
            &json!(ALL_INTENTS),
        ))
        .await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_is_of_its_own_application() {
    let sim = Sim::start("--other-token second --max-concurrency 1 --identify-window 60s").await;
    for (token, id) in [("simulated", MAIN), ("second", OTHER)] {
        let auth = format!("Bot {token}");
        for path in [
            "/api/v10/users/@me",
            "/api/v10/applications/@me",
            "/api/v10/oauth2/applications/@me",
        ] {
            let (status, body) = sim.get(path, Some(&auth)).await;
            assert_eq!((status, &body["id"]), (200, &json!(id)), "{path}");
        }
        // A bucket, a shard pair and a day of its own.
        let mut client = identified(&sim, token, (0, 1)).await;
        let ready = client.until("READY").await;
        assert_eq!(
            (&ready["d"]["user"]["id"], &ready["d"]["application"]["id"]),
            (&json!(id), &json!(id))
        );
        let limits = sim.get("/api/v10/gateway/bot", Some(&auth)).await.1;
        assert_eq!(limits["session_start_limit"]["remaining"], 999);
        client.close(4000).await;
        sim.until("away", |verdict| {
            let sessions = verdict["sessions"].as_array().unwrap();
            sessions.iter().all(|one| one["connected"] == false)
        })
        .await;
    }
    assert_eq!(
        sim.get("/api/v10/users/@me", Some("Bot third")).await.0,
        401
    );
    assert_eq!(
        identified(&sim, "third", (0, 1)).await.end().await,
        Heard::Closed(Some(4004))
    );
    assert_eq!(sim.broken().await, ["wrong_token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_of_one_bot() {
    let sim = Sim::start("--other-token second --other-bot-id 5").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.close(4000).await;
    let mut thief = Client::hello(sim.address, "").await;
    thief
        .send_resume("second", &client.session, client.seq)
        .await;
    assert_eq!(
        thief.op().await,
        json!({ "t": null, "s": null, "op": 9, "d": false })
    );
    assert_eq!(sim.broken().await, ["foreign_session"]);
    client.resume(sim.address, "").await.until("RESUMED").await;
    assert_eq!(
        sim.get("/api/v10/users/@me", Some("Bot second")).await.1["id"],
        "5"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_revoked_and_comes_back() {
    let sim = Sim::start("--other-token second").await;
    let mut main = Client::ready(sim.address, "", (0, 1)).await;
    let mut other = identified(&sim, "second", (0, 1)).await;
    other.until("READY").await;
    assert_eq!(
        sim.fault(r#"{"fault":"revoke_token","bot":"other"}"#).await,
        1
    );
    assert_eq!(other.end().await, Heard::Closed(Some(4004)));
    assert_eq!(
        sim.get("/api/v10/users/@me", Some("Bot second")).await.0,
        401
    );
    assert_eq!(
        sim.get("/api/v10/gateway/bot", Some("Bot second")).await.0,
        401
    );
    assert_eq!(
        identified(&sim, "second", (0, 1)).await.end().await,
        Heard::Closed(Some(4004))
    );
    let mut late = Client::hello(sim.address, "").await;
    late.send_resume("second", &other.session, other.seq).await;
    assert_eq!(late.end().await, Heard::Closed(Some(4004)));
    main.read(20).await;
    sim.fault(r#"{"fault":"revoke_token","bot":"other","revoked":false}"#)
        .await;
    identified(&sim, "second", (0, 1))
        .await
        .until("READY")
        .await;
    // Without an other bot there is nothing to revoke, and the main one is meant by default.
    let alone = Sim::start("").await;
    let mut client = Client::ready(alone.address, "", (0, 1)).await;
    assert_eq!(
        alone
            .fault(r#"{"fault":"revoke_token","bot":"other"}"#)
            .await,
        0
    );
    assert_eq!(alone.fault(r#"{"fault":"revoke_token"}"#).await, 1);
    assert_eq!(client.end().await, Heard::Closed(Some(4004)));
    assert_eq!(sim.verdict().await["ok"], true);
    assert_eq!(alone.verdict().await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_a_session_for_good_breaks_a_rule_where_asked() {
    for (flags, code, rules) in [
        ("", 1000, &[][..]),
        ("--keep-sessions", 4000, &[][..]),
        ("--keep-sessions", 1000, &["session_closed"][..]),
        ("--keep-sessions", 1001, &["session_closed"][..]),
    ] {
        let sim = Sim::start(flags).await;
        Client::ready(sim.address, "", (0, 1))
            .await
            .close(code)
            .await;
        sim.until("closed", |verdict| {
            verdict["sessions"][0]["connected"] == false
        })
        .await;
        assert_eq!(sim.broken().await, rules, "{flags} {code}");
    }
}
