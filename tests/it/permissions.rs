//! `deploy/nats-accounts.conf` on a real server: each role does its work, and is refused the rest.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_nats::{Client, ConnectOptions, Event, jetstream};
use futures_util::StreamExt;
use rustix::process::Signal;
use shardfleet::broker::server;
use tempfile::TempDir;

use crate::support::{
    fleet::member::{Process as Child, Start},
    http::{client as client_of_http, get},
    process::{Process, TOKEN, command, output},
    until,
};

const ROLES: [&str; 5] = ["gateway", "coordinator", "worker", "monitor", "operator"];

fn password(role: &str) -> String {
    format!("pw-of-the-{role}")
}

/// A server under the shipped permissions.
async fn nats(folder: &Path) -> (Child, String) {
    let accounts = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/nats-accounts.conf");
    // An included file is looked for beside the one that includes it.
    std::fs::copy(accounts, folder.join("nats-accounts.conf")).unwrap();
    let shown = folder.display();
    let config = format!(
        "include \"nats-accounts.conf\"\nlisten: \"127.0.0.1:-1\"\nports_file_dir: \"{shown}\"\n\
         max_payload: 8MB\njetstream {{ store_dir: \"{shown}\" }}\n"
    );
    std::fs::write(folder.join("nats.conf"), config).unwrap();
    let names = ROLES.map(|role| format!("{}_PASSWORD", role.to_uppercase()));
    let pairs = ROLES.iter().zip(&names);
    let variables: Vec<_> = pairs
        .map(|(role, name)| (name.as_str(), password(role)))
        .collect();
    let child = Child::start(&Start {
        name: "nats",
        program: &server::find().unwrap().canonicalize().unwrap(),
        arguments: &["-c".to_owned(), "nats.conf".to_owned()],
        variables: &variables,
        folder,
    });
    let url = until("nats-server has opened its port", async || {
        let ports = std::fs::read_dir(folder).unwrap().find_map(|entry| {
            let path = entry.unwrap().path();
            path.extension()
                .is_some_and(|e| e == "ports")
                .then_some(path)
        })?;
        let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(ports).ok()?).ok()?;
        Some(ports["nats"][0].as_str()?.to_owned())
    })
    .await;
    (child, url)
}

/// A client of a role, and how often it was refused.
async fn client(url: &str, role: &str) -> (Client, Arc<AtomicUsize>) {
    let refusals = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refusals);
    let client = ConnectOptions::with_user_and_password(role.to_owned(), password(role))
        .event_callback(move |event| {
            if matches!(&event, Event::ServerError(error) if error.to_string().to_lowercase().contains("permissions violation")) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            std::future::ready(())
        })
        .connect(url)
        .await
        .unwrap();
    (client, refusals)
}

/// Every one of these subjects is refused.
async fn refused(url: &str, role: &str, subjects: &[&str]) {
    let (client, refusals) = client(url, role).await;
    for subject in subjects {
        client
            .publish((*subject).to_owned(), "{}".into())
            .await
            .unwrap();
    }
    client.flush().await.unwrap();
    until(&format!("{role} is refused {subjects:?}"), async || {
        (refusals.load(Ordering::Relaxed) >= subjects.len()).then_some(())
    })
    .await;
    assert_eq!(refusals.load(Ordering::Relaxed), subjects.len(), "{role}");
}

/// A fleet of which every part has its own role's rights.
struct Stand {
    coordinator: Process,
    gateway: Process,
    _discord: Process,
    server: Child,
    folder: TempDir,
    url: String,
    api: String,
}

impl Stand {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (server, url) = nats(folder.path()).await;
        let sim = ["sim", "--listen", "127.0.0.1:0", "--token", TOKEN];
        let sim = [&sim[..], &["--shards", "4", "--max-concurrency", "4"]].concat();
        let discord = Process::start_in(tempfile::tempdir().unwrap(), &sim, &[]);
        let api = until("the simulated Discord tells where it is", async || {
            let written = discord.written();
            let at = written
                .lines()
                .find_map(|line| line.split("Discord at ").nth(1))?;
            Some(format!("{at}/api/v10"))
        })
        .await;
        let role = |role: &str| {
            let password = password(role);
            let variables = [
                ("SHARDFLEET_DISCORD__API", api.as_str()),
                ("NATS_URL", &url),
                ("SHARDFLEET_NATS__USER", role),
                ("SHARDFLEET_NATS__PASSWORD", &password),
                ("SHARDFLEET_PROCESS__NAME", role),
                ("SHARDFLEET_FLEET__GROUP_SIZE", "2"),
            ];
            Process::start_in(tempfile::tempdir().unwrap(), &[role], &variables)
        };
        let (coordinator, gateway) = (role("coordinator"), role("gateway"));
        let page = gateway.reached().await;
        until("every shard is ready", async || {
            let (_, fleet) = get(&format!("{page}/api/fleet")).await;
            let fleet: serde_json::Value = serde_json::from_str(&fleet).ok()?;
            (fleet["shards"]["ready"].as_u64()? == 4).then_some(())
        })
        .await;
        Self {
            coordinator,
            gateway,
            _discord: discord,
            server,
            folder,
            url,
            api,
        }
    }

    /// Has the server read its permissions again, with one word of them replaced.
    fn reload(&self, word: &str, by: &str) {
        let file = self.folder.path().join("nats-accounts.conf");
        let shipped = std::fs::read_to_string(&file).unwrap();
        assert!(shipped.contains(word), "{word}");
        std::fs::write(&file, shipped.replace(word, by)).unwrap();
        self.server.signal(Signal::HUP);
    }

    /// Every session ends, and each shard identifies anew.
    async fn identifies_anew(&self) {
        let sim = self.api.trim_end_matches("/api/v10");
        let posted = client_of_http()
            .post(format!("{sim}/sim/fault"))
            .body(r#"{"fault":"invalidate","resumable":false}"#);
        assert!(posted.send().await.unwrap().status().is_success());
        until("every shard has identified anew", async || {
            let written = self.gateway.written();
            (written.matches("is ready with a new session").count() == 8).then_some(())
        })
        .await;
    }

    /// A command under a role's rights.
    fn run(&self, role: &str, arguments: &[&str]) -> (i32, String) {
        output(
            command(&tempfile::tempdir().unwrap())
                .env("NATS_URL", &self.url)
                .env("DISCORD_TOKEN", TOKEN)
                .env("SHARDFLEET_DISCORD__API", &self.api)
                .env("SHARDFLEET_FLEET__GROUP_SIZE", "2")
                .env("SHARDFLEET_NATS__USER", role)
                .env("SHARDFLEET_NATS__PASSWORD", password(role))
                .args(arguments),
        )
    }
}

/// A worker reads the stream through a durable consumer of its own.
async fn work(url: &str) {
    let (worker, refusals) = client(url, "worker").await;
    let stream = jetstream::new(worker).get_stream("DISCORD").await.unwrap();
    let config = jetstream::consumer::pull::Config {
        durable_name: Some("greeter".to_owned()),
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    for _ in 0..3 {
        let message = messages.next().await.unwrap().unwrap();
        message.double_ack().await.unwrap();
    }
    // A command is answered, whoever hears it: by the way of its guild, and to every shard.
    for command in [
        r#"{"op":4,"d":{"guild_id":"1","channel_id":null,"self_mute":false,"self_deaf":false}}"#,
        r#"{"op":3,"d":{"since":null,"activities":[],"status":"online","afk":false}}"#,
    ] {
        let (asked, _) = client(url, "worker").await;
        let answer = asked.request("fleet.discord.command", command.into());
        let answer = answer.await.unwrap();
        let answer = String::from_utf8_lossy(&answer.payload).into_owned();
        assert!(answer.contains("accepted"), "{answer}");
    }
    assert_eq!(refusals.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_its_work() {
    let stand = Stand::start().await;
    work(&stand.url).await;
    for (role, arguments) in [
        ("monitor", &["status"][..]),
        ("monitor", &["tail", "-n", "1"]),
        ("monitor", &["check"]),
        ("operator", &["set", "deny", "TYPING_START"]),
        ("operator", &["spend-reserve", "1"]),
        ("operator", &["resume-fleet"]),
        ("operator", &["drain", "--force", "gateway"]),
    ] {
        let (code, text) = stand.run(role, arguments);
        let told = format!("{role} {arguments:?}: {text}");
        assert_eq!(code, 0, "{told}");
        assert!(!text.to_lowercase().contains("violation"), "{told}");
    }
    // No role that ran was refused anything that it tried.
    for process in [&stand.coordinator, &stand.gateway] {
        let written = process.written().to_lowercase();
        assert!(!written.contains("violation"), "{written}");
    }
}

/// Denied for a while, a subscription is gone at the server: it is made again once it is allowed, whoever's.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_was_denied_for_a_while_is_made_again() {
    let stand = Stand::start().await;
    let (identify, nowhere) = ("\"fleet.discord.identify\"", "\"fleet.discord.nowhere\"");
    stand.reload(identify, nowhere);
    stand.coordinator.logged("Permissions Violation").await;
    stand.reload(nowhere, identify);
    let again = stand
        .coordinator
        .logged("may listen to fleet.discord.identify again")
        .await;
    assert_eq!(again["level"], "INFO");
    stand.identifies_anew().await;
}

/// What `check --role` tries is what the shipped permissions allow, no more and no less; and it leaves no
/// trace: nothing is stored, nobody halts.
#[tokio::test(flavor = "multi_thread")]
async fn check_tries_the_rights_of_each_role() {
    let stand = Stand::start().await;
    for role in ROLES {
        let (code, text) = stand.run(role, &["check", "--role", role]);
        assert_eq!(code, 0, "{role}: {text}");
        assert!(
            text.contains(&format!("may do all that {role} does")),
            "{text}"
        );
    }
    for (role, of, missing) in [
        (
            "monitor",
            "gateway",
            &[
                "publish to $KV.discord_state.halt",
                "subscribe to fleet.discord.command",
            ][..],
        ),
        (
            "gateway",
            "coordinator",
            &[
                "publish to $KV.discord_lease.coordinator",
                "subscribe to fleet.discord.identify",
            ],
        ),
        (
            "worker",
            "monitor",
            &["subscribe to fleet.discord.status.*"],
        ),
        (
            "monitor",
            "operator",
            &["publish to fleet.discord.drain.nobody-checks"],
        ),
        ("worker", "up", &["publish to discord.0.FLEET_CHECK"]),
    ] {
        let (code, text) = stand.run(role, &["check", "--role", of]);
        assert_eq!(code, 1, "{role} as {of}: {text}");
        for part in missing.iter().chain(&["WRONG", "nats-accounts.conf"]) {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }
    let (code, text) = stand.run("nobody", &["check", "--role", "gateway"]);
    assert!(code == 1 && text.contains("refuses the login"), "{text}");
    let (code, text) = stand.run("monitor", &["status"]);
    assert!(
        code == 0 && text.contains("4 of 4 ready") && !text.contains("alted"),
        "{text}"
    );
    let (worker, _) = client(&stand.url, "worker").await;
    let stream = jetstream::new(worker).get_stream("DISCORD").await.unwrap();
    let config = jetstream::consumer::pull::Config {
        filter_subject: "discord.*.FLEET_CHECK".to_owned(),
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await.unwrap();
    assert_eq!(consumer.cached_info().num_pending, 0);
    // Nor did a process wonder at what it heard.
    for process in [&stand.coordinator, &stand.gateway] {
        let written = process.written();
        let wonders = [
            "malformed",
            "not understood",
            "refused a request",
            "unreadable",
        ];
        assert!(
            !wonders.iter().any(|word| written.contains(word)),
            "{written}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_is_refused_the_rest() {
    let stand = Stand::start().await;
    for arguments in [&["check"][..], &["status"]] {
        let (code, text) = stand.run("nobody", arguments);
        assert!(code == 1 && text.contains("refuses the login"), "{text}");
    }
    let start = ["coordinator", "--set", "process.start=2s"];
    let (code, text) = stand.run("nobody", &start);
    for part in ["refuses the login", "NATS_CREDS", "nats.user"] {
        assert!(
            code == 1 && text.contains(part),
            "{part:?} is not in:\n{text}"
        );
    }
    let (code, text) = stand.run("monitor", &["set", "deny", "MESSAGE_CREATE"]);
    assert_eq!(code, 1, "{text}");
    assert!(!text.contains("\"level\""), "for a person: {text}");
    let (code, text) = stand.run("monitor", &["tail", "--shard", "9"]);
    assert!(code == 1 && text.contains("no shard 9"), "{text}");
    let drain = "fleet.discord.drain.gateway";
    let event = "discord.0.READY";
    let leads = "$KV.discord_lease.coordinator";
    let rest: [(&str, &[&str]); 5] = [
        ("gateway", &["$KV.discord_state.identify", leads, drain]),
        (
            "coordinator",
            &[event, "$KV.discord_lease.group.1.0", drain],
        ),
        (
            "worker",
            &[
                event,
                "$KV.discord_state.halt",
                "fleet.discord.identify",
                drain,
            ],
        ),
        ("monitor", &[event, "$KV.discord_state.topology", drain]),
        ("operator", &[event, leads]),
    ];
    for (role, subjects) in rest {
        let streams = [
            "$JS.API.STREAM.DELETE.DISCORD",
            "$JS.API.STREAM.PURGE.DISCORD",
        ];
        refused(&stand.url, role, &[subjects, &streams].concat()).await;
    }
}
