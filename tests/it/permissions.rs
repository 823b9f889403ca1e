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
use shardfleet::broker::server;

use crate::support::{
    fleet::member::{Process as Child, Start},
    http::get,
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

#[tokio::test(flavor = "multi_thread")]
async fn each_role_does_its_work_and_is_refused_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = nats(folder.path()).await;
    let sim = [
        "sim",
        "--listen",
        "127.0.0.1:0",
        "--token",
        TOKEN,
        "--shards",
        "4",
        "--max-concurrency",
        "4",
    ];
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
    let page = gateway.ready().await;
    until("every shard is ready", async || {
        let (_, fleet) = get(&format!("{page}/api/fleet")).await;
        let fleet: serde_json::Value = serde_json::from_str(&fleet).ok()?;
        (fleet["shards"]["ready"].as_u64()? == 4).then_some(())
    })
    .await;

    // A worker reads the stream through a durable consumer of its own.
    let (worker, refusals) = client(&url, "worker").await;
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
    assert_eq!(refusals.load(Ordering::Relaxed), 0);

    let run = |role: &str, arguments: &[&str]| {
        output(
            command(&tempfile::tempdir().unwrap())
                .env("NATS_URL", &url)
                .env("DISCORD_TOKEN", TOKEN)
                .env("SHARDFLEET_DISCORD__API", &api)
                .env("SHARDFLEET_FLEET__GROUP_SIZE", "2")
                .env("SHARDFLEET_NATS__USER", role)
                .env("SHARDFLEET_NATS__PASSWORD", password(role))
                .args(arguments),
        )
    };
    for (role, arguments) in [
        ("monitor", &["status"][..]),
        ("monitor", &["tail", "-n", "1"]),
        ("monitor", &["check"]),
        ("operator", &["set", "deny", "TYPING_START"]),
        ("operator", &["spend-reserve", "1"]),
        ("operator", &["resume-fleet"]),
        ("operator", &["drain", "--force", "gateway"]),
    ] {
        let (code, text) = run(role, arguments);
        assert_eq!(code, 0, "{role} {arguments:?}: {text}");
        assert!(
            !text.to_lowercase().contains("violation"),
            "{role} {arguments:?}: {text}"
        );
    }
    for arguments in [&["check"][..], &["status"]] {
        let (code, text) = output(
            command(&tempfile::tempdir().unwrap())
                .env("NATS_URL", &url)
                .env("DISCORD_TOKEN", TOKEN)
                .env("SHARDFLEET_DISCORD__API", &api)
                .env("SHARDFLEET_NATS__USER", "nobody")
                .args(arguments),
        );
        assert!(code == 1 && text.contains("refuses the login"), "{text}");
    }
    let (code, text) = run("monitor", &["set", "deny", "MESSAGE_CREATE"]);
    assert_eq!(code, 1, "{text}");

    // No role that ran was refused anything that it tried.
    for process in [&coordinator, &gateway] {
        let written = process.written().to_lowercase();
        assert!(!written.contains("violation"), "{written}");
    }
    let delete = [
        "$JS.API.STREAM.DELETE.DISCORD",
        "$JS.API.STREAM.PURGE.DISCORD",
    ];
    let drain = "fleet.discord.drain.gateway";
    for role in ROLES {
        refused(&url, role, &delete).await;
    }
    refused(
        &url,
        "gateway",
        &[
            "$KV.discord_state.identify",
            "$KV.discord_lease.coordinator",
            drain,
        ],
    )
    .await;
    refused(
        &url,
        "coordinator",
        &["discord.0.READY", "$KV.discord_lease.group.1.0", drain],
    )
    .await;
    refused(
        &url,
        "worker",
        &[
            "discord.0.READY",
            "$KV.discord_state.halt",
            "fleet.discord.identify",
            drain,
        ],
    )
    .await;
    refused(
        &url,
        "monitor",
        &["discord.0.READY", "$KV.discord_state.topology", drain],
    )
    .await;
    refused(
        &url,
        "operator",
        &["discord.0.READY", "$KV.discord_lease.coordinator"],
    )
    .await;
}
