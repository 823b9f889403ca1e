//! A start waits for NATS: one time-out ends nothing, and the end names what was waited for.

use std::net::SocketAddr;

use crate::support::{
    chaos::Wire,
    nats::{self, Nats},
    process::{Process, command, output},
};

/// A server that takes connections and never answers for JetStream, as one that elects without end.
#[tokio::test]
async fn a_start_without_jetstream_says_what_it_waits_for_and_ends_with_it() {
    let url = nats::claims("2.12.0").await;
    for role in ["gateway", "coordinator"] {
        let settings = [
            ("NATS_URL", url.as_str()),
            ("SHARDFLEET_PROCESS__START", "7s"),
        ];
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::start_in(folder, &[role], &settings);
        let line = process.logged("the start waits for NATS").await;
        let told = line["message"].as_str().unwrap();
        assert!(told.contains("the buckets of leases and state"), "{told}");
        assert_eq!(process.ended().await.code(), Some(1));
        let written = process.written();
        for part in [
            "the buckets of leases and state within 7s",
            "process.start",
            "timed out",
        ] {
            assert!(written.contains(part), "{part:?} is not in:\n{written}");
        }
    }
}

/// Busy for longer than any single question waits: the start goes on where it stood.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_goes_on_when_nats_answers_at_last() {
    let nats = Nats::start(-1).await;
    let address: SocketAddr = nats.url.rsplit('/').next().unwrap().parse().unwrap();
    let wire = Wire::to(vec![address]).await;
    wire.stall();
    let url = format!("nats://{}", wire.address);
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start_in(folder, &["coordinator"], &[("NATS_URL", &url)]);
    process.logged("the start waits for NATS").await;
    wire.heal();
    process.reached().await;
}

/// An operator makes everything by hand: what is missing is an error at once, with the way out.
#[tokio::test]
async fn where_nothing_may_be_made_a_start_without_it_ends_at_once() {
    let nats = Nats::start(-1).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = |told: &mut std::process::Command| {
        told.env("NATS_URL", &nats.url)
            .env("DISCORD_TOKEN", crate::support::process::TOKEN)
            .env("SHARDFLEET_WEB__LISTEN", "127.0.0.1:0")
            .env("SHARDFLEET_STREAM__CREATE", "false");
    };
    for arguments in [["gateway"], ["check"]] {
        let mut told = command(&folder);
        settings(&mut told);
        let (code, text) = output(told.args(arguments));
        assert_eq!(code, 1, "{text}");
        for part in ["discord_lease", "stream.create", "OPERATIONS.md"] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }
}

/// What no waiting mends: each role ends at once, and names the way out; `check` finds what it can before.
#[tokio::test]
async fn what_nats_refuses_for_good_ends_a_start_at_once() {
    let account = |limits: &str| {
        format!(
            "accounts {{ A {{ jetstream: {limits}, users: [{{ user: a, password: b }}] }} }}\n\
             no_auth_user: a"
        )
    };
    for (jetstream, beside, settings, found, ways) in [
        (
            ", max_file_store: 64MB",
            "",
            &[][..],
            false,
            ["max_file_store", "stream.max_bytes"],
        ),
        (
            "",
            "",
            &[("SHARDFLEET_STREAM__REPLICAS", "3")],
            false,
            ["10074", "stream.replicas = 1"],
        ),
        (
            "",
            &account("{ max_file: 1GB }"),
            &[],
            true,
            ["max_file", "stream.max_bytes"],
        ),
        (
            "",
            &account("{ max_streams: 2 }"),
            &[],
            true,
            ["max_streams", "delete one"],
        ),
    ] {
        let nats = Nats::with(-1, jetstream, beside).await;
        let run = |role: &str| {
            let folder = tempfile::tempdir().unwrap();
            let mut told = command(&folder);
            told.env("NATS_URL", &nats.url)
                .env("DISCORD_TOKEN", crate::support::process::TOKEN)
                .env("SHARDFLEET_WEB__LISTEN", "127.0.0.1:0")
                .env("SHARDFLEET_FLEET__SHARDS", "2")
                .envs(settings.iter().copied())
                .arg(role);
            output(&mut told)
        };
        if found {
            let (code, text) = run("check");
            assert_eq!(code, 1, "{text}");
            let line = text
                .lines()
                .find(|line| line.contains("account"))
                .unwrap_or(&text);
            assert!(line.contains("the account may"), "{text}");
        }
        let began = shardfleet::clock::now();
        let (code, text) = run("up");
        assert_eq!(code, 1, "{text}");
        assert!(
            (shardfleet::clock::now() - began).as_secs() < 50,
            "it waited: {text}"
        );
        for part in ways {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }
}
