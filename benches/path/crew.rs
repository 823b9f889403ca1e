//! Who stands on a stage: how each process is started.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    contender::Kind,
    generator::Generator,
    process::{Place, Process},
    stage::{LIMIT, Setting},
};

/// Asks until it holds.
pub(crate) async fn wait(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < until, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A nats-server with JetStream in this folder, and its URL.
pub(crate) async fn nats(folder: &Path) -> (Process, String) {
    let program = shardfleet::broker::server::find().expect("run `make tools` first");
    let config = folder.join("nats.conf");
    let store = folder.display();
    let text = format!(
        "listen: \"127.0.0.1:-1\"\nports_file_dir: \"{store}\"\nmax_payload: 8MB\n\
         jetstream {{ store_dir: \"{store}\" }}\n"
    );
    std::fs::write(&config, text).expect("disk has room");
    let arguments = ["-c".to_owned(), config.display().to_string()];
    let mut nats = Process::start(&program, &arguments, &[], Place::Beside);
    let ports = folder.join(format!("nats-server_{}.ports", nats.child().id()));
    wait("nats-server has opened its port", LIMIT, || ports.exists()).await;
    let until = Instant::now() + LIMIT;
    loop {
        let text = std::fs::read(&ports).unwrap_or_default();
        let ports: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        if let Some(url) = ports["nats"][0].as_str() {
            return (nats, url.to_owned());
        }
        assert!(Instant::now() < until, "nats-server names no port");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The configuration of coordinator and gateway.
pub(crate) fn configuration(
    setting: Setting,
    lanes: u32,
    nats: &str,
    generator: &Generator,
) -> String {
    let Setting {
        shards,
        gather,
        partitions,
        ..
    } = setting;
    // As many groups as partitions and lanes need to share the shards evenly.
    let group_size = (shards / partitions.max(lanes)).clamp(1, 16);
    let groups = shards.div_ceil(group_size);
    format!(
        "fleet.shards = {shards}\nfleet.group_size = {group_size}\nnats.url = \"{nats}\"\n\
         discord.api = \"http://{}/api/v10\"\ndiscord.intents = [\"GUILDS\"]\n\
         gateway.lanes = {lanes}\ngateway.gather = \"{}ms\"\ngateway.max_groups = {groups}\n\
         stream.partitions = {partitions}\nstream.max_bytes = \"2GiB\"\nweb.listen = \"127.0.0.1:0\"\nlog.level = \"warn\"\n",
        generator.address,
        gather / 1000
    )
}

/// A role of the real binary, configured in this folder.
pub(crate) fn role(role: &str, folder: &Path, place: Place<'_>) -> Process {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_shardfleet"));
    let config = folder.join("config.toml").display().to_string();
    let arguments = [role.to_owned(), "--config".to_owned(), config];
    let variables = [("DISCORD_TOKEN", "bench".to_owned())];
    Process::start(&program, &arguments, &variables, place)
}

/// This program again, as a contender.
pub(crate) fn contender(
    kind: Kind,
    setting: Setting,
    nats: &str,
    generator: &Generator,
    place: Place<'_>,
) -> Process {
    let program = std::env::current_exe().expect("this program has a name");
    let kind = match kind {
        Kind::Drain => "drain",
        Kind::Publish => "publish",
        Kind::Peer => "peer",
    };
    let arguments = [
        "contender".to_owned(),
        kind.to_owned(),
        format!("--gateway=ws://{}", generator.address),
        format!("--nats={nats}"),
        format!("--shards={}", setting.shards),
        format!("--gather={}", setting.gather),
    ];
    Process::start(&program, &arguments, &[], place)
}
