//! `tail`: events as they come. Core NATS: what is retried may be shown twice, and nothing waits for
//! whoever watches; what must not be missed is read from the stream.

mod line;
mod wanted;

use anyhow::{Result, ensure};
use clap::Args;
use futures_util::StreamExt;

use self::{
    line::{Filter, line},
    wanted::Wanted,
};
use super::{note, operator::reach, say};
use crate::{
    config::Config,
    roster::{self, overview::Shared},
    shutdown,
    subject::Names,
};

/// Options of `tail`.
#[derive(Args)]
pub(super) struct TailOptions {
    /// A subject of the fleet's events, wildcards allowed [default: all of them]
    #[arg(value_name = "SUBJECT")]
    subject: Option<String>,
    /// Only of this shard; may be given again
    #[arg(long, value_name = "N")]
    shard: Vec<u32>,
    /// Only this event, such as `MESSAGE_CREATE`; may be given again
    #[arg(long, value_name = "EVENT")]
    event: Vec<String>,
    /// Only of this guild; may be given again
    #[arg(long, value_name = "ID")]
    guild: Vec<u64>,
    /// One JSON object a line: subject, shard, event, id, and Discord's payload as it came
    #[arg(long)]
    json: bool,
    /// End after so many
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  shardfleet tail --event MESSAGE_CREATE --guild 81384788765712384
  shardfleet tail --shard 3 --json | jq .payload.d
  shardfleet tail 'discord.*.FLEET_GAP'           losses, as they are announced";

pub(super) async fn run(config: &Config, options: TailOptions) -> Result<()> {
    let names = Names::new(config.fleet.name.0.clone());
    let subject = options.subject.unwrap_or_else(|| names.events());
    let fleet = format!("{}.", names.fleet());
    ensure!(
        subject.starts_with(&fleet),
        "{subject:?} is none of this fleet's events: they are {}",
        names.events()
    );
    let wanted = Wanted::new(&subject, &options.shard, &options.event);
    if let Some(unlikely) = wanted.events()? {
        note(&unlikely);
    }
    let filter = Filter {
        shards: options.shard,
        events: options.event,
        guilds: options.guild,
    };
    let broker = reach(config, "shardfleet tail").await?;
    // A worker may not read it: then whoever watches knows best.
    if wanted.names_shards()
        && let Ok(Shared {
            topology: Some(topology),
            ..
        }) = roster::shared(&broker).await
    {
        wanted.shards(topology.layout.shards)?;
    }
    let ended = shutdown::on_signal()?;
    let mut messages = broker.client.subscribe(subject).await?;
    let mut left = options.count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(Some(message)) = ended.run_until_cancelled(messages.next()).await else {
            break;
        };
        if let Some(told) = line(&message, &filter, options.json) {
            say(&told)?;
            left -= 1;
        }
    }
    Ok(())
}
