use figment::{
    Figment,
    providers::{Format as _, Toml},
};

use super::*;

fn read(toml: &str) -> Result<Config, Faults> {
    load::read(&Figment::from(Toml::string(toml)))
}

fn faults(toml: &str) -> Vec<Fault> {
    read(toml).expect_err("the configuration must be refused").0
}

#[test]
fn the_committed_file_is_the_defaults_and_lists_every_key() {
    let committed = include_str!("../../config.toml");
    assert_eq!(
        read(committed).expect("config.toml must load"),
        Config::default()
    );
    let table: toml::Table = committed.parse().unwrap();
    for (section, keys) in Config::SECTIONS {
        let written: Vec<_> = table[*section].as_table().unwrap().keys().collect();
        for key in *keys {
            assert!(
                written.iter().any(|w| w == key),
                "{section}.{key} is not in config.toml"
            );
        }
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let faults = faults(
        "[lease]\nttl = \"15x\"\n[fleet]\nname = \"a.b\"\nshards = 0\n[stream]\nreplicas = 2\n\
         [gateway]\nspeed = 3\n[sky]\nblue = true\n",
    );
    let keys: Vec<_> = faults.iter().map(|f| f.key.as_str()).collect();
    for key in [
        "lease.ttl",
        "fleet.name",
        "fleet.shards",
        "stream.replicas",
        "gateway.speed",
        "sky",
    ] {
        assert!(keys.contains(&key), "{key} is missing from {keys:?}");
    }
    let ttl = faults.iter().find(|f| f.key == "lease.ttl").unwrap();
    assert_eq!(ttl.value.as_deref(), Some("\"15x\""));
    assert!(ttl.hint.contains("6s"), "{ttl}");
    assert!(faults.iter().all(|f| !f.hint.is_empty()));
}

#[test]
fn a_secret_is_in_no_fault() {
    let faults = faults("[discord]\ntoken = [\"hunter2\"]\n");
    assert_eq!(faults.len(), 1);
    assert!(!faults[0].to_string().contains("hunter2"), "{}", faults[0]);
}

#[test]
fn a_token_pasted_badly_is_told() {
    for bad in ["Bot hunter2", "hunter2 hunter2", "hunter2\\nhunter2"] {
        let faults = faults(&format!("[discord]\ntoken = \"{bad}\"\n"));
        assert_eq!(faults.len(), 1, "{bad}");
        assert!(!faults[0].to_string().contains("hunter2"), "{}", faults[0]);
    }
}

#[test]
fn intents_are_names_or_a_number() {
    let names = read("[discord]\nintents = [\"GUILDS\"]\n").unwrap();
    let number = read("[discord]\nintents = 1\n").unwrap();
    assert_eq!(names.discord.intents, number.discord.intents);
    assert_eq!(
        faults("[discord]\nintents = [\"GUILD\"]\n")[0].key,
        "discord.intents"
    );
    let several = faults("[discord]\nintents = [\"GUILD\", \"GUILDS\", \"MESSAGES\"]\n");
    assert_eq!(
        several[0].reason,
        r#"none of "GUILD", "MESSAGES" is an intent"#
    );
    assert_eq!(
        faults("[discord]\nintents = 262144\n")[0].key,
        "discord.intents"
    );
}

#[test]
fn the_address_of_nats_is_looked_at_and_its_login_never_shown() {
    for good in [
        "nats://h",
        "h:4222",
        "tls://a:p%40b@h:4222, wss://[::1]:443/x",
        "127.0.0.1",
    ] {
        assert!(
            read(&format!("[nats]\nurl = \"{good}\"\n")).is_ok(),
            "{good}"
        );
    }
    for bad in [
        "http://x",
        "nats://",
        "nats://me:hunter2@",
        "nats://a,,b",
        "nats://a b",
    ] {
        let faults = faults(&format!("[nats]\nurl = \"{bad}\"\n"));
        assert_eq!(
            (faults.len(), faults[0].key.as_str()),
            (1, "nats.url"),
            "{bad}"
        );
        assert!(!faults[0].to_string().contains("hunter2"), "{}", faults[0]);
    }
}

#[test]
fn pairs_and_limits_are_checked() {
    for (toml, key) in [
        ("[lease]\nttl = \"2s\"\n", "lease.ttl"),
        ("[gateway]\nbuffer = \"1KiB\"\n", "gateway.buffer"),
        ("[discord]\npresence = \"{}\"\n", "discord.presence"),
        (
            "[discord]\ngateway = \"gateway.discord.gg\"\n",
            "discord.gateway",
        ),
        ("[discord]\napi = \"ftp://x\"\n", "discord.api"),
        ("[process]\nname = \"a.b\"\n", "process.name"),
        ("[web]\nlisten = \"here\"\n", "web.listen"),
        (
            "[discord]\ntoken_file = \"/nonexistent/token\"\n",
            "discord.token_file",
        ),
    ] {
        let faults = faults(toml);
        assert_eq!(faults.len(), 1, "{toml}: {faults:?}");
        assert_eq!(faults[0].key, key);
    }
}
