//! `gateway`, `coordinator`, `up` and `sim`: the commands that run until they are asked to end.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::{block_on, say};
use crate::{
    app::{self, Places, Plan, Roles},
    config::{Config, Fault, Faults, Log, sim::SimOptions},
    files, gateway, shutdown, sim,
};

/// Options of `up`.
#[derive(Args)]
pub(super) struct UpOptions {
    /// Where a nats-server of its own keeps its streams; unused where nats.url is configured
    #[arg(long, value_name = "DIR", default_value = "shardfleet-data")]
    data: PathBuf,
}

pub(super) const UP_EXAMPLES: &str = "\
Examples:
  DISCORD_TOKEN=… shardfleet up
  DISCORD_TOKEN=… shardfleet up --data /var/lib/shardfleet --set fleet.shards=4
  NATS_URL=nats://127.0.0.1:4222 shardfleet up";

pub(super) fn gateway(config: Config) -> Result<()> {
    serve(Roles::Gateway, config, None, |_| Ok(()))
}

pub(super) fn coordinator(config: Config) -> Result<()> {
    serve(Roles::Coordinator, config, None, |_| Ok(()))
}

pub(super) fn up(config: Config, options: UpOptions) -> Result<()> {
    let told = |places: &Places| say(&signpost(places));
    serve(Roles::Both, config, Some(options.data), told)
}

fn serve(
    roles: Roles,
    config: Config,
    data: Option<PathBuf>,
    told: fn(&Places) -> Result<()>,
) -> Result<()> {
    if config.discord.token.is_empty() {
        return Err(Faults(vec![Fault {
            key: "discord.token".to_owned(),
            value: None,
            origin: "default".to_owned(),
            reason: "there is none, and every role needs it".to_owned(),
            hint: "DISCORD_TOKEN, or discord.token_file; the developer portal shows it under Bot"
                .to_owned(),
        }])
        .into());
    }
    if roles != Roles::Coordinator {
        gateway::ordinal::of(&config)?;
    }
    block_on(app::run(Plan {
        roles,
        config,
        data,
        told,
    }))
}

pub(super) fn sim(options: SimOptions, log: &Log) -> Result<()> {
    block_on(async {
        app::install_log(log)?;
        files::raise();
        sim::run(options, shutdown::on_signal()?).await
    })
}

/// Where things are, for whoever typed `up`.
fn signpost(places: &Places) -> String {
    let Places {
        nats,
        login,
        page,
        events,
    } = places;
    let page = page.map_or_else(
        || "none: web.listen is empty".to_owned(),
        |address| format!("http://{address}/"),
    );
    // Whoever reads that file is let in; on a command line others would read it too.
    let (status, events) = match login.as_ref().map(|file| login_of(file)) {
        Some(way_in) => (
            format!("status  {way_in} shardfleet status\n"),
            format!("{way_in} nats sub '{events}'"),
        ),
        None => (String::new(), format!("nats sub -s {nats} '{events}'")),
    };
    format!("NATS    {nats}\npage    {page}\n{status}events  {events}\nend     Ctrl-C\n")
}

/// What a person writes before a command, so that it is let in.
fn login_of(file: &Path) -> String {
    let file = file.display().to_string().replace('\'', "'\\''");
    format!("NATS_URL=$(cat '{file}')")
}
