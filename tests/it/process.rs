//! One process: how it starts, says how it is, and ends.

use std::{path::Path, process::Stdio};

use rustix::process::Signal;

use crate::support::{
    http::{client, get},
    nats::{self, Nats},
    process::{BIN, Process, TOKEN, command, command_of, output},
    until,
};

#[tokio::test]
async fn up_brings_its_own_server_and_says_where_things_are() {
    let mut up = Process::start(&["up"]);
    let page = up.reached().await;
    until("it says where things are", async || {
        let written = up.written();
        let page = format!("page    {page}/");
        let said = [page.as_str(), "nats sub 'discord.>'"];
        said.iter().all(|said| written.contains(said)).then_some(())
    })
    .await;

    let (code, metrics) = get(&format!("{page}/metrics")).await;
    assert_eq!(code, 200);
    for metric in [
        "shardfleet_nats_connected{fleet=\"discord\"} 1",
        "shardfleet_build_info{",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(metrics.contains(metric), "{metric} is not in:\n{metrics}");
    }
    until("the process tells of itself", async || {
        let (_, fleet) = get(&format!("{page}/api/fleet")).await;
        let fleet: serde_json::Value = serde_json::from_str(&fleet).unwrap();
        (fleet["processes"][0]["page"].as_str()? == format!("{page}/")).then_some(())
    })
    .await;
    let (code, html) = get(&format!("{page}/")).await;
    assert!(
        code == 200 && html.contains("<title>discord · shardfleet</title>"),
        "{html}"
    );
    up.signal(Signal::TERM);
    assert_eq!(up.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_store_has_one_owner_and_its_differences_are_named() {
    let up = Process::start(&["up", "--data", "store"]);
    up.reached().await;
    let line = up.logged("nats-server runs").await;
    let store = std::fs::read_link(format!("/proc/{}/cwd", line["pid"])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = store.join("store").display().to_string();
    let (code, text) = output(command(&folder).env("DISCORD_TOKEN", TOKEN).args([
        "up",
        "--set",
        "web.listen=",
        "--data",
        &data,
    ]));
    assert!(
        code == 1 && text.contains("in use by another"),
        "{code}: {text}"
    );

    up.signal(Signal::TERM);
    let folder = up.into_folder().await;
    let ttl = ["up", "--data", "store", "--set", "lease.ttl=20s"];
    let mut up = Process::start_in(folder, &ttl, &[]);
    assert_eq!(up.ended().await.code(), Some(1));
    let written = up.written();
    assert!(
        written.contains("lease.ttl") && written.contains("discord_lease"),
        "{written}"
    );
}

#[tokio::test]
async fn a_process_lives_before_it_is_ready() {
    // Taken, so that nothing else gets it, but no NATS yet.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let url = format!("nats.url=nats://127.0.0.1:{port}");
    let mut gateway = Process::start(&["gateway", "--set", &url]);
    let page = gateway.page().await;
    assert_eq!(get(&format!("{page}/live")).await.0, 200);
    assert_eq!(
        get(&format!("{page}/ready")).await,
        (503, "waiting for NATS\n".to_owned())
    );
    assert_eq!(get(&format!("{page}/api/fleet")).await.0, 503);
    assert!(
        get(&format!("{page}/"))
            .await
            .1
            .contains("Waiting for NATS")
    );
    drop(taken);
    let _nats = Nats::start(port.into()).await;
    gateway.reached().await;
    gateway.signal(Signal::INT);
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_process_that_waits_for_nats_ends_when_asked() {
    // A terminal that closes asks too, unless whoever started the tests has it ignored, as nohup does.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
    let closes = (ignored & 1 == 0).then_some(Signal::HUP);
    for signal in [Signal::TERM].into_iter().chain(closes) {
        let mut gateway = Process::start(&["gateway", "--set", "nats.url=nats://127.0.0.1:9"]);
        gateway.page().await;
        gateway.signal(signal);
        assert_eq!(gateway.ended().await.code(), Some(0));
    }
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused() {
    let url = format!("nats.url={}", nats::claims("2.10.29").await);
    let mut coordinator = Process::start(&["coordinator", "--set", &url]);
    assert_eq!(coordinator.ended().await.code(), Some(1));
    let written = coordinator.written();
    assert!(
        written.contains("2.10.29") && written.contains("2.11"),
        "{written}"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("web.listen={}", taken.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = output(
        command(&folder)
            .env("DISCORD_TOKEN", TOKEN)
            .args(["up", "--set", &listen]),
    );
    assert!(
        code == 1 && text.contains("key web.listen"),
        "{code}: {text}"
    );
}

#[tokio::test]
async fn the_log_level_is_set_from_the_machine_itself() {
    let up = Process::start(&["up"]);
    let page = up.reached().await;
    let client = client();
    let put = async |directives: &'static str, relayed: bool| {
        let mut request = client.put(format!("{page}/log")).body(directives);
        if relayed {
            request = request.header("x-forwarded-for", "192.0.2.1");
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(put("warn,shardfleet=debug", false).await, 200);
    up.logged("the log level is warn,shardfleet=debug now")
        .await;
    assert_eq!(put("a=b=c", false).await, 400);
    assert_eq!(put("debug", true).await, 403);
}

/// A page of somebody else's whose name points at this machine is turned away, whatever it asks for.
#[tokio::test]
async fn a_foreign_name_is_turned_away() {
    let up = Process::start(&["up"]);
    let page = up.reached().await;
    let client = client();
    let send = async |method: &str, path: &str, host: Option<&str>| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = client.request(method, format!("{page}{path}"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let answer = request.body("debug").send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let foreign = Some("rebind.example:9600");
    for (method, path) in [
        ("PUT", "/log"),
        ("POST", "/log"),
        ("GET", "/"),
        ("GET", "/api/fleet"),
        ("GET", "/api/live"),
        ("GET", "/fleet.js"),
        ("GET", "/metrics"),
        ("GET", "/what/else"),
    ] {
        let (code, text) = send(method, path, foreign).await;
        assert_eq!(code, 403, "{method} {path}: {text}");
        assert!(text.contains("Call it localhost"), "{text}");
    }
    for path in ["/live", "/ready"] {
        assert_ne!(send("GET", path, foreign).await.0, 403, "{path}");
    }
    for path in ["/", "/api/fleet", "/metrics"] {
        assert_eq!(send("GET", path, None).await.0, 200, "{path}");
    }
    assert_eq!(send("PUT", "/log", Some("localhost:80")).await.0, 200);
    assert!(!up.written().contains("rebind.example"));
}

/// A Deployment with a fixed name: the younger ends with the way out, the older lives on and says so.
#[tokio::test]
async fn of_two_processes_of_one_name_the_younger_ends() {
    let nats = Nats::start(-1).await;
    let settings = [
        ("NATS_URL", nats.url.as_str()),
        ("SHARDFLEET_PROCESS__NAME", "same"),
    ];
    let start = || Process::start_in(tempfile::tempdir().unwrap(), &["coordinator"], &settings);
    let mut first = start();
    first.reached().await;
    let mut second = start();
    assert_eq!(second.ended().await.code(), Some(64));
    let written = second.written();
    for part in ["is called same", "process.name"] {
        assert!(written.contains(part), "{part:?} is not in:\n{written}");
    }
    first
        .logged("another process has started under this one's name, same")
        .await;
    first.signal(Signal::TERM);
    assert_eq!(first.ended().await.code(), Some(0));
}

/// Many systems start a process with a soft limit of 1,024 files, or fewer: each shard's connection is one.
#[tokio::test]
async fn the_limit_of_open_files_is_raised_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command_of(Path::new("/bin/sh"), &folder);
    let script = format!("ulimit -S -n 64; exec {BIN} coordinator --set process.start=20s");
    let mut child = command
        .args(["-c", &script])
        .env("DISCORD_TOKEN", TOKEN)
        .env("NATS_URL", "nats://127.0.0.1:1")
        .env("SHARDFLEET_WEB__LISTEN", "none")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    until("the soft limit is the hard one", async || {
        let limits = std::fs::read_to_string(&limits).ok()?;
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"))?;
        let mut words = line.split_whitespace().skip(3);
        let (soft, hard) = (words.next()?, words.next()?);
        (soft == hard).then_some(())
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
}
