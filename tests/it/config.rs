//! The configuration through the real binary: layers, faults, secrets.

use crate::support::{
    nats::Nats,
    process::{AWAY, Process, TOKEN, command, output},
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
            "stream.replicas = \"2\"  (SHARDFLEET_STREAM__REPLICAS)",
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

/// A variable or a flag gives a key its bytes; what they look like is the key's to say.
#[tokio::test]
async fn a_password_that_looks_like_a_number_is_sent_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let passwords = [
        ("zero", "0123"),
        ("lead", " lead "),
        ("big", "1e3"),
        ("list", "[x]"),
    ];
    let users = passwords.map(|(user, word)| format!("{{user: {user}, password: {word:?}}}"));
    let nats = Nats::with(
        -1,
        "",
        &format!("authorization {{ users: [{}] }}", users.join(", ")),
    )
    .await;
    let status = |told: &mut std::process::Command| {
        let (_, text) = output(told.env("NATS_URL", &nats.url).arg("status"));
        assert!(!text.contains("refuses the login"), "{text}");
    };
    for (user, word) in passwords {
        status(
            command(&folder)
                .env("SHARDFLEET_NATS__USER", user)
                .env("SHARDFLEET_NATS__PASSWORD", word),
        );
        let set = format!("nats.password={word}");
        status(command(&folder).args(["--set", &format!("nats.user={user}"), "--set", &set]));
    }
    let (code, text) = output(command(&folder).env("NATS_URL", &nats.url).arg("status"));
    assert!(code == 1 && text.contains("refuses the login"), "{text}");
}

/// A server that takes a token: by its own key, its file, and the address.
#[tokio::test]
async fn a_token_of_nats_is_given_in_three_ways() {
    let folder = tempfile::tempdir().unwrap();
    let nats = Nats::with(-1, "", "authorization { token: \"s3cret @\" }").await;
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret @\n").unwrap();
    let in_address = nats.url.replace("://", "://s3cret%20%40@");
    for (url, variable, value) in [
        (&nats.url, "SHARDFLEET_NATS__TOKEN", "s3cret @"),
        (
            &nats.url,
            "SHARDFLEET_NATS__TOKEN_FILE",
            file.to_str().unwrap(),
        ),
        (&in_address, "SHARDFLEET_NATS__TOKEN", ""),
    ] {
        let mut status = command(&folder);
        status
            .env("NATS_URL", url)
            .env(variable, value)
            .env("RUST_LOG", "trace");
        let (_, text) = output(status.arg("status"));
        assert!(!text.contains("refuses the login"), "{variable}: {text}");
        assert!(!text.contains("s3cret"), "{variable}: {text}");
    }
    let (code, text) = output(command(&folder).env("NATS_URL", &nats.url).arg("status"));
    assert!(code == 1 && text.contains("nats.token"), "{text}");
}

#[test]
fn an_empty_variable_is_no_value() {
    let folder = tempfile::tempdir().unwrap();
    for set in [
        "DISCORD_TOKEN",
        "SHARDFLEET_DISCORD__INTENTS",
        "SHARDFLEET_LEASE__TTL",
        "RUST_LOG",
    ] {
        let (code, text) = output(
            command(&folder)
                .env(set, "")
                .env("NATS_URL", AWAY_NATS)
                .arg("check"),
        );
        assert!(code == 1 && !text.contains("intents is 0"), "{set}: {text}");
    }
    let zero = ["check", "--set", "discord.intents=0"];
    let (_, text) = output(command(&folder).env("NATS_URL", AWAY_NATS).args(zero));
    assert!(
        text.contains("note   configuration  discord.intents is 0"),
        "{text}"
    );
}

/// Who starts a role without looking at `check` is told, too.
#[tokio::test]
async fn a_role_without_intents_says_so() {
    let nats = format!("nats.url={AWAY_NATS}");
    let set = ["gateway", "--set", "discord.intents=0", "--set", &nats];
    let gateway = Process::start(&set);
    let line = gateway.logged("discord.intents is 0").await;
    assert_eq!(line["level"], "WARN");
}

#[test]
fn a_log_that_would_be_silent_is_refused_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for role in ["check", "gateway", "status"] {
        let (code, text) = output(command(&folder).args([role, "--set", "log.level=verbose"]));
        assert!(
            code == 64 && text.contains("off, error, warn"),
            "{code}: {text}"
        );
    }
    for role in ["check", "up"] {
        let mut told = command(&folder);
        told.env("DISCORD_TOKEN", TOKEN).env("RUST_LOG", "warning");
        let (code, text) = output(told.arg(role));
        assert!(
            code == 64 && text.contains("off, error, warn"),
            "{code}: {text}"
        );
    }
}

/// Only a name without a number is looked for here: who runs this may have one.
#[test]
fn an_ordinal_without_a_number_ends_a_gateway() {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    if host.ends_with(|c: char| c.is_ascii_digit()) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut told = command(&folder);
    told.env("DISCORD_TOKEN", TOKEN);
    let (code, text) = output(told.args(["gateway", "--set", "gateway.assignment=ordinal"]));
    assert!(
        code == 64 && text.contains("ends in no number"),
        "{code}: {text}"
    );
}

/// Nothing listens on port 9.
const AWAY_NATS: &str = "nats://127.0.0.1:9";
