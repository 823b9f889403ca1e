//! A tethered program ends when its parent does, however that ends.
#![cfg(target_os = "linux")]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::support::{
    process::{BIN, Process, command, output},
    runs, until,
};

#[tokio::test]
async fn a_child_ends_with_a_parent_that_is_killed() {
    let script = format!("{BIN} tether --parent $$ -- sleep 1000 & echo $!; wait");
    let mut parent = Command::new("sh")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let child: u32 = line.trim().parse().unwrap();
    until(
        "tether has become the program, under the same id",
        async || {
            let name = std::fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
            (name.trim() == "sleep").then_some(())
        },
    )
    .await;
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the child has ended", async || (!runs(child)).then_some(())).await;
}

#[tokio::test]
async fn the_server_of_up_ends_with_it() {
    for signal in [Signal::KILL, Signal::TERM] {
        let mut up = Process::start(&["up"]);
        let pid = up.logged("nats-server runs").await["pid"].as_u64().unwrap();
        let server = u32::try_from(pid).unwrap();
        up.reached().await;
        assert!(runs(server));
        up.signal(signal);
        let status = up.ended().await;
        until("nats-server has ended", async || {
            (!runs(server)).then_some(())
        })
        .await;
        assert_eq!(status.code(), (signal == Signal::TERM).then_some(0));
    }
}

#[test]
fn only_the_parent_holds_the_tether() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = output(command(&folder).args(["tether", "--parent", "1", "--", "true"]));
    assert!(
        code == 1 && text.contains("not the parent"),
        "{code}: {text}"
    );
    let own = std::process::id().to_string();
    let nothing = ["tether", "--parent", &own, "--", "/nonexistent/program"];
    let (code, text) = output(command(&folder).args(nothing));
    assert!(
        code == 1 && text.contains("/nonexistent/program"),
        "{code}: {text}"
    );
}
