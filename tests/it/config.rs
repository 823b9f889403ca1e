//! The configuration through the real binary: layers, faults, secrets.

use crate::support::{
    nats::Nats,
    process::{AWAY, TOKEN, command, output},
};

#[test]
fn every_fault_at_once_then_64() {
    let folder = tempfile::tempdir().unwrap();
    let file = "[lease]\nttl = \"15x\"\n[fleet]\nname = \"A\"\n[sky]\nblue = 1\n";
    std::fs::write(folder.path().join("config.toml"), file).unwrap();
    for role in ["gateway", "coordinator", "up", "check", "status"] {
        let (code, text) = output(
            command(&folder)
                .env("SHARDFLEET_STREAM__REPLICAS", "2")
                .env("SHARDFLEET_GATEWAY_LANES", "2")
                .args([role, "--set", "web.listen=here"])
                .args(["--set", "lease.tll=9s", "--set", "nats.url=http://x"]),
        );
        assert_eq!(code, 64, "{role}: {text}");
        for part in [
            "8 faults",
            "lease.tll  (--set)",
            "nats.url  (--set)",
            "http://",
            "SHARDFLEET_GATEWAY_LANES  (environment)",
            "SHARDFLEET_GATEWAY__LANES",
            "lease.ttl = \"15x\"  (config.toml)",
            "fleet.name = \"A\"",
            "sky",
            "stream.replicas = 2  (SHARDFLEET_STREAM__REPLICAS)",
            "web.listen = \"here\"  (--set)",
            "try: ",
        ] {
            assert!(text.contains(part), "{role}: {part:?} is not in:\n{text}");
        }
    }
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = output(command(&folder).args(["check", "--config", "nope.toml"]));
    assert!(code == 64 && text.contains("nope.toml"), "{code}: {text}");
}

#[tokio::test]
async fn the_environment_wins_over_the_file_and_flags_over_both() {
    let nats = Nats::start(-1).await;
    let folder = tempfile::tempdir().unwrap();
    let fleet = |told: &mut std::process::Command| {
        let (_, text) = output(told.env("NATS_URL", &nats.url));
        let told = text.split("the fleet is called ").nth(1).map(str::to_owned);
        told.unwrap_or(text).lines().next().map(str::to_owned)
    };
    let quoted = |name: &str| Some(format!("{name:?}"));
    assert_eq!(fleet(command(&folder).arg("check")), quoted("discord"));
    std::fs::write(
        folder.path().join("config.toml"),
        "[fleet]\nname = \"file\"\n",
    )
    .unwrap();
    assert_eq!(fleet(command(&folder).arg("check")), quoted("file"));
    let mut told = command(&folder);
    told.env("SHARDFLEET_FLEET__NAME", "variable").arg("check");
    assert_eq!(fleet(&mut told), quoted("variable"));
    assert_eq!(
        fleet(told.args(["--set", "fleet.name=flag"])),
        quoted("flag")
    );
}

#[test]
fn a_role_without_a_token_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for role in ["gateway", "coordinator", "up"] {
        let (code, text) = output(command(&folder).arg(role));
        assert!(
            code == 64 && text.contains("DISCORD_TOKEN"),
            "{code}: {text}"
        );
    }
}

#[test]
fn a_log_level_that_cannot_be_read_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = output(
        command(&folder)
            .envs([("DISCORD_TOKEN", TOKEN), ("RUST_LOG", "a=b=c")])
            .arg("up"),
    );
    assert!(code == 64 && text.contains("RUST_LOG"), "{code}: {text}");
}

#[test]
fn the_token_is_in_no_output() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing listens on port 9: the way to Discord and to NATS fails, and is told.
    let (code, text) = output(
        command(&folder)
            .envs([("DISCORD_TOKEN", TOKEN), ("RUST_LOG", "trace")])
            .env("SHARDFLEET_DISCORD__API", AWAY)
            .env("NATS_URL", "nats://me:hunter2@127.0.0.1:9")
            .arg("check"),
    );
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("WRONG  discord") && text.contains("WRONG  nats"),
        "{text}"
    );
    assert!(!text.contains(TOKEN) && !text.contains("hunter2"), "{text}");

    let file = format!("[discord]\ntoken = [\"{TOKEN}\"]\n");
    std::fs::write(folder.path().join("config.toml"), file).unwrap();
    let (code, text) = output(command(&folder).arg("gateway"));
    assert_eq!(code, 64, "{text}");
    assert!(
        text.contains("discord.token") && !text.contains(TOKEN),
        "{text}"
    );
}
