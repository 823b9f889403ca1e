//! The way that real Discord is reached: https and wss.

use std::time::Duration;

use serde_json::json;
use shardfleet::{broker::Broker, config, subject::Names};

use crate::support::{
    fleet::{Fleet, tls},
    nats::Nats,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_over_tls_loses_nothing() {
    let mut fleet = Fleet::start().over_tls().await;
    fleet.flow(300).await;
    let before = fleet.discord.figures().await;
    fleet.fault(json!({ "fault": "drop" })).await;
    fleet.resumed_since(&before, 4).await;
    fleet.flow(100).await;
    assert_eq!(fleet.audit().await.gaps, 0);
    let session = fleet.messages().await;
    let ready = session.iter().find(|message| message.event() == "READY");
    let ready = String::from_utf8_lossy(&ready.unwrap().payload).into_owned();
    assert!(ready.contains("wss://127.0.0.1"), "{ready}");
}

/// A server that says nothing before TLS.
#[tokio::test]
async fn a_nats_that_wants_tls_first_is_reached_where_that_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let files = tls::issue(folder.path());
    let (certificate, key) = (files.certificate.display(), files.key.display());
    let beside = format!(
        "tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", handshake_first: true }}"
    );
    let nats = Nats::with(-1, "", &beside).await;
    for first in [true, false] {
        let nats = config::Nats {
            url: nats.url.clone(),
            tls_ca: files.authority.display().to_string(),
            tls_first: config::Switch(first),
            ..config::Nats::default()
        };
        let broker = Broker::connect(&nats, Names::new("discord"), "test")
            .await
            .unwrap();
        let reached = broker
            .ready(Duration::from_secs(if first { 20 } else { 3 }))
            .await;
        assert_eq!(reached.is_ok(), first, "{reached:?}");
    }
}
