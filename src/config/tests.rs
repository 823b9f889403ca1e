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
fn intents_are_names_or_a_number() {
    let names = read("[discord]\nintents = [\"GUILDS\"]\n").unwrap();
    let number = read("[discord]\nintents = 1\n").unwrap();
    assert_eq!(names.discord.intents, number.discord.intents);
    assert_eq!(
        faults("[discord]\nintents = [\"GUILD\"]\n")[0].key,
        "discord.intents"
    );
    let several = faults("[discord]\nintents = [\"GUILD\", \"GUILDS\", \"QUUX\"]\n");
    assert_eq!(
        several[0].reason,
        r#"none of "GUILD" (GUILDS?), "QUUX" is an intent"#
    );
    assert_eq!(
        faults("[discord]\nintents = 262144\n")[0].key,
        "discord.intents"
    );
    for same in ["\"guilds\"", "\"1\"", "[\"Guilds\"]", "\"GUILDS, guilds\""] {
        let same = read(&format!("[discord]\nintents = {same}\n")).unwrap();
        assert_eq!(same.discord.intents, names.discord.intents);
    }
    let several = read("[discord]\nintents = \"guilds, Guild_Messages\"\n").unwrap();
    assert_eq!(several, Config::default());
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
            "[coordinator]\nhttp = \"127.0.0.1:9600\"\n",
            "coordinator.http",
        ),
        ("[stream]\nmax_bytes = \"8\"\n", "stream.max_bytes"),
        ("[stream]\nmax_bytes = 8\n", "stream.max_bytes"),
        ("[stream]\nmax_bytes = \"8000000TiB\"\n", "stream.max_bytes"),
        ("[stream]\nmax_age = \"59s\"\n", "stream.max_age"),
        ("[gateway]\nbuffer = \"300TiB\"\n", "gateway.buffer"),
        ("[gateway]\ngather = \"1m\"\n", "gateway.gather"),
        ("[process]\ndrain = \"0s\"\n", "process.drain"),
        ("[coordinator]\nreserve = -1\n", "coordinator.reserve"),
        ("[nats]\ncreds = \"/nonexistent.creds\"\n", "nats.creds"),
        ("[nats]\ntls_ca = \"/nonexistent.pem\"\n", "nats.tls_ca"),
        ("[nats]\nnkey = \"UABC\"\n", "nats.nkey"),
        ("[log]\nlevel = \"verbose\"\n", "log.level"),
        ("[log]\nlevel = \"\"\n", "log.level"),
        ("[process]\nname = 1.5\n", "process.name"),
        ("[stream]\ncreate = \"maybe\"\n", "stream.create"),
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

#[test]
fn what_was_read_from_a_file_is_said_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let path = path.to_str().unwrap();
    let read = |key: &str, content: &[u8]| {
        std::fs::write(path, content).unwrap();
        let (section, name) = key.split_once('.').unwrap();
        let user = if section == "nats" {
            "user = \"u\"\n"
        } else {
            ""
        };
        let user = if name == "token_file" { "" } else { user };
        read(&format!("[{section}]\n{user}{name} = {path:?}\n"))
    };
    for (key, content) in [
        ("discord.token_file", b"\"hunter2\"\n".as_slice()),
        ("discord.token_file", b"hunter2 hunter2"),
        ("discord.token_file", b"Bot hunter2"),
        ("discord.token_file", b"hunter2\nhunter2\n"),
        ("discord.token_file", b"\n"),
        ("nats.password_file", b"hunter2\nhunter2\n"),
        ("nats.password_file", b""),
        ("nats.password_file", b"hunter2\xff"),
        ("nats.token_file", "h".repeat(70_000).as_bytes()),
    ] {
        let Faults(faults) = read(key, content).expect_err(key);
        assert_eq!((faults.len(), faults[0].key.as_str()), (1, key));
        let told = faults[0].to_string();
        assert!(told.contains(path) && !told.contains("hunter2"), "{told}");
    }
    let config = read("nats.password_file", b" 0123 \r\n").unwrap();
    assert_eq!(config.nats.password.expose(), " 0123 ");
    let config = read("nats.token_file", b"t\n").unwrap();
    assert_eq!(config.nats.token.expose(), "t");
    let config = read("discord.token_file", b" a.b.c\n").unwrap();
    assert_eq!(config.discord.token.expose(), "a.b.c");
}

mod discord;
mod nats;
