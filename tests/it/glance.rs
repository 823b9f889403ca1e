//! A whole fleet in one process, as an operator sees it: page, API, `status`, `check`.

use tempfile::TempDir;

use crate::support::{
    http::get,
    process::{Process, TOKEN, command, output},
    until,
};

const SHARDS: u64 = 4;

/// A simulated Discord, and a fleet on it whose shards are all ready.
struct Fleet {
    _discord: Process,
    up: Process,
    api: String,
    page: String,
    nats: String,
}

async fn fleet() -> Fleet {
    let folder = || tempfile::tempdir().unwrap();
    let shards = SHARDS.to_string();
    let options = [
        "--token",
        TOKEN,
        "--shards",
        &shards,
        "--max-concurrency",
        &shards,
    ];
    let sim = ["sim", "--listen", "127.0.0.1:0"];
    let discord = Process::start_in(folder(), &[&sim[..], &options].concat(), &[]);
    let at = until("the simulated Discord tells where it is", async || {
        let written = discord.written();
        let at = written
            .lines()
            .find_map(|line| line.split("Discord at ").nth(1))?;
        Some(at.to_owned())
    })
    .await;
    let api = format!("{at}/api/v10");
    let variables = [
        ("SHARDFLEET_DISCORD__API", api.as_str()),
        ("RUST_LOG", "debug"),
    ];
    let up = Process::start_in(folder(), &["up"], &variables);
    let page = up.reached().await;
    until("every shard is ready", async || {
        let (_, fleet) = get(&format!("{page}/api/fleet")).await;
        let fleet: serde_json::Value = serde_json::from_str(&fleet).ok()?;
        (fleet["shards"]["ready"].as_u64()? == SHARDS).then_some(())
    })
    .await;
    let login = up.logged("nats-server runs").await["login"].clone();
    let nats = std::fs::read_to_string(login.as_str().unwrap()).unwrap();
    let nats = nats.trim().to_owned();
    Fleet {
        _discord: discord,
        up,
        api,
        page,
        nats,
    }
}

impl Fleet {
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let folder: TempDir = tempfile::tempdir().unwrap();
        output(
            command(&folder)
                .env("NATS_URL", &self.nats)
                .env("DISCORD_TOKEN", TOKEN)
                .env("SHARDFLEET_DISCORD__API", &self.api)
                .args(arguments),
        )
    }
}

#[tokio::test]
async fn the_fleet_at_a_glance() {
    let fleet = fleet().await;
    let (code, text) = fleet.run(&["status"]);
    assert_eq!(code, 0, "{text}");
    for part in ["4 of 4 ready", "1 of 1 held", "epoch", "gateway+leader"] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    let (code, json) = fleet.run(&["status", "--json"]);
    let glance: serde_json::Value = serde_json::from_str(&json).expect("one JSON object");
    assert_eq!(
        (code, glance["shards"]["ready"].as_u64()),
        (0, Some(SHARDS))
    );
    assert_eq!(glance["topology"]["shards"].as_u64(), Some(SHARDS));
    let (_, html) = get(&format!("{}/", fleet.page)).await;
    assert_eq!(
        html.matches("<li class=\"ready o0\" title=").count(),
        4,
        "{html}"
    );

    let (code, check) = fleet.run(&["check"]);
    assert_eq!(code, 0, "{check}");
    for part in [
        "opens a WebSocket",
        "the bot 700000000000000001, called",
        "the fleet is the bot 700000000000000001's, and so is the token",
        "identifies left",
        "auto: Discord recommends 4",
        "DISCORD is as this configuration wants it",
        "discord_lease is as",
        "one gateway has room for 8 groups; the fleet has 1",
        "all is well",
    ] {
        assert!(check.contains(part), "{part:?} is not in:\n{check}");
    }
    let (code, bill) = fleet.run(&["check", "--migrate"]);
    assert_eq!(code, 0, "{bill}");
    for part in [
        "4 shards: 4 identifies",
        "before the new day in",
        "1 group of 16: 2 gateways",
    ] {
        assert!(bill.contains(part), "{part:?} is not in:\n{bill}");
    }
    let (_, metrics) = get(&format!("{}/metrics", fleet.page)).await;
    let told = [text, json, html, check, metrics, fleet.up.written()].concat();
    assert!(!told.contains(TOKEN), "the token is told");
}

#[tokio::test]
async fn check_names_what_is_wrong_and_a_way_out() {
    let fleet = fleet().await;
    let wrong = |set: &[&str], parts: &[&str]| {
        let arguments = set.iter().flat_map(|set| ["--set", set]);
        let (code, text) = fleet.run(&["check"].into_iter().chain(arguments).collect::<Vec<_>>());
        assert_eq!(code, 1, "{text}");
        for part in parts.iter().chain(&["WRONG", "try: "]) {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    };
    wrong(
        &["discord.token=another"],
        &["refuses the token", "DISCORD_TOKEN"],
    );
    // Another bot's, by its own first part: 1047654321098765432.
    wrong(
        &["discord.token=MTA0NzY1NDMyMTA5ODc2NTQzMg.another.bot"],
        &[
            "the token of the bot 1047654321098765432",
            "that of the bot 700000000000000001",
        ],
    );
    wrong(
        &["stream.max_age=1h"],
        &["DISCORD differs", "stream.max_age"],
    );
    wrong(&["lease.ttl=20s"], &["discord_lease differs", "lease.ttl"]);
    wrong(
        &["discord.gateway=ws://127.0.0.1:9"],
        &["gateway", "ws://127.0.0.1:9"],
    );
    wrong(&["nats.url=nats://127.0.0.1:9"], &["NATS_URL"]);
}
