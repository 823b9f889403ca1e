//! `status`: the fleet at a glance, from everyone's own word over NATS.

mod table;
mod watch;

use std::io::IsTerminal;

use anyhow::Result;
use clap::Args;
use tokio_util::sync::CancellationToken;

use self::watch::Screen;
use super::{
    note,
    operator::{LISTEN, reach},
    say,
};
use crate::{
    config::Config,
    roster::{self, Roster, looks::Looks},
    shutdown,
};

/// Options of `status`.
#[derive(Args)]
pub(super) struct StatusOptions {
    /// One JSON object, the same as /api/fleet answers
    #[arg(long)]
    json: bool,
    /// Again every second, until Ctrl-C; on a terminal a view that stays
    #[arg(long)]
    watch: bool,
}

pub(super) async fn run(config: &Config, options: StatusOptions) -> Result<()> {
    let broker = reach(config, "shardfleet status").await?;
    let roster = Roster::gather(&broker, CancellationToken::new()).await?;
    tokio::time::sleep(LISTEN).await;
    let live = options.watch && !options.json && std::io::stdout().is_terminal();
    let mut screen = if live { Some(Screen::enter()?) } else { None };
    // So that a terminal is given back as it was.
    let ended = shutdown::on_signal()?;
    let mut looks = Looks::new(broker, roster);
    loop {
        let overview = looks.look().await;
        match &mut screen {
            Some(screen) => screen.draw(overview)?,
            None if options.json => say(&(serde_json::to_string(overview)? + "\n"))?,
            None => say(&table::table(overview))?,
        }
        // A fleet that never ran has no bucket; what its processes say is shown all the same.
        if let Some(error) = looks.trouble.as_ref().filter(|_| !options.watch) {
            note(&format!("cannot read what the fleet shares: {error:#}"));
        }
        let pause = ended.run_until_cancelled(tokio::time::sleep(roster::SAY_EVERY));
        if !options.watch || pause.await.is_none() {
            return Ok(());
        }
    }
}
