//! What an operator says to a running fleet: drain, set, spend-reserve, resume-fleet, tail.

use serde_json::Value;
use shardfleet::{
    broker::bucket::Bucket,
    clock, roster,
    subject::HALT,
    wire::{self, topology::Halt},
};

use crate::support::{
    fleet::{
        Fleet, TOKEN,
        wait::{LIMIT, eventually},
    },
    process::{command, output},
};

/// Runs the real binary against the fleet.
pub(super) fn run(fleet: &Fleet, arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = output(
        command(&folder)
            .env("NATS_URL", fleet.nats.url())
            .env("DISCORD_TOKEN", TOKEN)
            .args(arguments),
    );
    assert!(!text.contains(TOKEN), "{arguments:?} tells the token");
    (code, text)
}

/// The drained gateway stays up without a group, takes none back, and not one IDENTIFY is spent.
#[tokio::test(flavor = "multi_thread")]
async fn a_drained_gateway_stays_without_groups() {
    let start = Fleet::start().shards(8).group_size(2).gateways(2);
    let mut fleet = start.events_per_second(200).await;
    fleet.shards_of(0, 4).await;
    let before = fleet.discord.figures().await;
    let (code, text) = run(&fleet, &["drain", "nobody"]);
    assert!(code == 1 && text.contains("gateway-0, gateway-1"), "{text}");
    let (code, text) = run(&fleet, &["drain", "gateway-0"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("2 groups handed over"), "{text}");
    fleet.resumed_since(&before, 4).await;
    fleet.shards_of(1, 8).await;
    fleet.flow(200).await;
    fleet.shards_of(0, 0).await;
    assert!(fleet.running().contains(&"gateway-0"));
    // Its groups would have nowhere to go: nobody else takes any.
    let (code, text) = run(&fleet, &["drain", "gateway-1"]);
    assert!(code == 1 && text.contains("--force"), "{text}");
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// The choice of events changes while the fleet runs; its cut does not.
#[tokio::test(flavor = "multi_thread")]
async fn set_changes_what_is_forwarded() {
    let fleet = Fleet::start().events_per_second(400).await;
    let (code, text) = run(&fleet, &["set", "deny", "TYPING_START,MESSAGE_CREATE"]);
    assert!(
        code == 0 && text.contains("never: TYPING_START, MESSAGE_CREATE"),
        "{text}"
    );
    let shared = roster::shared(&fleet.broker).await.unwrap();
    assert_eq!(
        shared.topology.unwrap().deny,
        ["TYPING_START", "MESSAGE_CREATE"]
    );
    let (code, text) = run(&fleet, &["set", "deny", "TYPING_START,MESSAGE_CREATE"]);
    assert!(code == 0 && text.contains("so already"), "{text}");
    let (code, text) = run(&fleet, &["set", "shards", "8"]);
    assert!(code == 1 && text.contains("fleet.name"), "{text}");
    assert_eq!(run(&fleet, &["set", "deny", "typing"]).0, 1);
    let (code, text) = run(&fleet, &["set", "allow", "MESSAGE_CRATE"]);
    assert!(
        code == 1 && text.contains("MESSAGE_CREATE is near"),
        "{text}"
    );
    let (code, text) = run(&fleet, &["set", "deny", "READY"]);
    assert!(code == 1 && text.contains("always forwarded"), "{text}");
    let forced = [
        "set",
        "--force",
        "deny",
        "TYPING_START,MESSAGE_CREATE,SKY_FALL",
    ];
    let (code, text) = run(&fleet, &forced);
    assert!(
        code == 0 && text.contains("note: Discord has no event SKY_FALL"),
        "{text}"
    );
    assert_eq!(run(&fleet, &["set", "color", "red"]).0, 64);
    // None of what is stored from now on is denied: the gateways have heard within moments.
    eventually("the denied events stop", LIMIT, async || {
        let (code, text) = run(&fleet, &["tail", "-n", "30", "--json"]);
        assert_eq!(code, 0, "{text}");
        (!text.contains("MESSAGE_CREATE")).then_some(())
    })
    .await;
}

/// By RESUME nothing is spent and nothing lost; a new session is given only to who says that it is meant.
#[tokio::test(flavor = "multi_thread")]
async fn shards_connect_anew_where_an_operator_says_so() {
    let start = Fleet::start().group_size(2).gateways(2);
    let mut fleet = start.events_per_second(400).await;
    fleet.flow(400).await;
    let before = fleet.discord.figures().await;
    let (code, text) = run(&fleet, &["reconnect", "1", "3"]);
    assert!(code == 0 && text.contains("no identify is spent"), "{text}");
    fleet.resumed_since(&before, 2).await;
    let now = fleet.discord.figures().await;
    assert_eq!(
        (now.resumes, now.identifies),
        (before.resumes + 2, before.identifies)
    );
    let (code, text) = run(&fleet, &["reconnect", "0", "--new-session"]);
    assert!(
        code == 1 && text.contains("1 of ") && text.contains("--yes"),
        "{text}"
    );
    let (code, text) = run(&fleet, &["reconnect", "99"]);
    assert!(
        code == 1 && text.contains("no gateway runs shard 99"),
        "{text}"
    );
    let now = fleet.discord.figures().await;
    assert_eq!(now.connections, before.connections + 2);
    let (code, text) = run(&fleet, &["reconnect", "0", "--new-session", "--yes"]);
    assert!(code == 0 && text.contains("receive events again"), "{text}");
    let identified = before.identifies + 1;
    fleet
        .discord_sees("a new session", |figures| figures.identifies == identified)
        .await;
    let now = fleet.discord.figures().await;
    assert_eq!(
        (now.resumes, now.identifies),
        (before.resumes + 2, before.identifies + 1)
    );
    fleet.flow(400).await;
    assert_eq!(fleet.audit().await.gaps, 1);
}

/// Events as they come, chosen by shard, name and guild.
#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_the_events_that_are_wanted() {
    let fleet = Fleet::start().events_per_second(400).await;
    let (code, text) = run(&fleet, &["tail", "-n", "5", "--json", "--shard", "2"]);
    assert_eq!(code, 0, "{text}");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(
        lines
            .iter()
            .all(|line| line["shard"] == 2 && line["payload"]["op"] == 0),
        "{text}"
    );
    let guild = lines
        .iter()
        .find_map(|line| line["payload"]["d"]["guild_id"].as_str())
        .expect("most events are of a guild");
    let (code, text) = run(&fleet, &["tail", "-n", "2", "--json", "--guild", guild]);
    assert!(
        code == 0 && text.lines().count() == 2 && text.contains(guild),
        "{text}"
    );
    let event = lines[0]["event"].as_str().unwrap();
    let (code, text) = run(&fleet, &["tail", "-n", "3", "--event", event]);
    assert!(code == 0 && text.matches(event).count() >= 3, "{text}");
    let (code, text) = run(&fleet, &["tail", "other.>"]);
    assert!(code == 1 && text.contains("discord.>"), "{text}");
}

/// The leader writes the release into its ledger, and says what is left.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_releases_the_reserve() {
    let fleet = Fleet::start().await;
    let (code, text) = run(&fleet, &["spend-reserve", "3"]);
    assert!(
        code == 0 && text.starts_with("3 identifies of the reserve"),
        "{text}"
    );
    let (code, text) = run(&fleet, &["spend-reserve", "2"]);
    assert!(
        code == 0 && text.starts_with("5 identifies of the reserve"),
        "{text}"
    );
    assert_eq!(run(&fleet, &["spend-reserve", "0"]).0, 64);
}

/// A cleared halt is gone for every process.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_clears_a_halt() {
    let mut fleet = Fleet::start().gateways(0).cold().await;
    fleet.leader().await;
    let (code, text) = run(&fleet, &["resume-fleet"]);
    assert!(code == 0 && text.contains("not halted"), "{text}");
    let halt = Halt {
        v: wire::VERSION,
        code: 4014,
        reason: "a privileged intent".to_owned(),
        shard: 1,
        process: "gateway-9".to_owned(),
        at_ms: clock::unix_ms(),
        token: shardfleet::config::Secret::from(TOKEN.to_owned()).fingerprint(),
    };
    let name = fleet.broker.names.state_bucket();
    let state = Bucket::open(&fleet.broker, &name).await.unwrap();
    state.create(HALT, wire::encode(&halt)).await.unwrap();
    let (code, text) = run(&fleet, &["resume-fleet"]);
    assert!(code == 0 && text.contains("4014"), "{text}");
    assert!(state.get(HALT).await.unwrap().is_none());
    fleet.start_gateway().await;
    fleet.ready().await;
}

/// What a package installs comes from the commands themselves.
#[test]
fn completions_and_manual_name_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let (code, man) = output(command(&folder).arg("man"));
    assert_eq!(code, 0, "{man}");
    for name in ["drain", "spend\\-reserve", "tail", "coordinator"] {
        assert!(man.contains(name), "{name} is not in:\n{man}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let (code, script) = output(command(&folder).args(["completions", shell]));
        assert!(
            code == 0 && script.contains("resume-fleet"),
            "{shell}: {script}"
        );
    }
}
