//! `status`: the fleet at a glance, from everyone's own word over NATS.

mod table;

use std::io::IsTerminal;

use anyhow::Result;
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    operator::{LISTEN, reach},
    say,
};
use crate::{
    config::Config,
    roster::{self, Roster, overview::Shared},
};

/// Options of `status`.
#[derive(Args)]
pub(super) struct StatusOptions {
    /// One JSON object, the same as /api/fleet answers
    #[arg(long)]
    json: bool,
    /// Again every second, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

const HOME_AND_CLEAR: &str = "\x1b[H\x1b[J";

pub(super) async fn run(config: &Config, options: StatusOptions) -> Result<()> {
    let broker = reach(config, "shardfleet status").await?;
    let roster = Roster::gather(&broker, CancellationToken::new()).await?;
    tokio::time::sleep(LISTEN).await;
    let clear = if options.watch && !options.json && std::io::stdout().is_terminal() {
        HOME_AND_CLEAR
    } else {
        ""
    };
    loop {
        // A fleet that never ran has no bucket; what its processes say is shown all the same.
        let shared = roster::shared(&broker).await.unwrap_or_else(|error| {
            tracing::warn!("cannot read what the fleet shares: {error:#}");
            Shared::default()
        });
        let overview = roster.overview(&broker.names, shared);
        let text = if options.json {
            serde_json::to_string(&overview)? + "\n"
        } else {
            table::table(&overview)
        };
        say(&format!("{clear}{text}"))?;
        if !options.watch {
            return Ok(());
        }
        tokio::time::sleep(roster::SAY_EVERY).await;
    }
}
