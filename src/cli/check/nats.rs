//! Is NATS there, new enough and with JetStream; would streams and buckets fit.

use std::time::Duration;

use anyhow::Result;
use async_nats::jetstream::account::Account;

use tokio_util::sync::CancellationToken;

use super::{
    super::operator::LISTEN,
    Finding, Report, compression,
    discord::Seen,
    room::{self, Missing},
    sizes::{self, Taken},
};
use crate::{
    bot::{self, BotId},
    broker::{
        self, Broker,
        provision::{self, Standing},
    },
    config::{Config, Shards},
    files,
    fleet::Layout,
    roster::{self, Roster},
    subject::Names,
    wire::topology::Topology,
};

const REACH_LIMIT: Duration = Duration::from_secs(5);
/// Older ones were seen to take a fenced message in a stream that was made anew: what was lost is not told.
const SOUND_SERVER: (i64, i64, i64) = (2, 11, 7);
/// Discord's own largest events; a smaller limit turns them into compressed ones, or gaps.
const GOOD_PAYLOAD: usize = 8 << 20;

/// Tells how NATS is, beside what Discord said.
pub(super) async fn look(config: &Config, seen: Seen, report: &mut Report) -> Result<()> {
    let Some(broker) = reach(config, report).await? else {
        return Ok(());
    };
    let account = match broker.jetstream.query_account().await {
        Ok(account) => account,
        Err(error) => {
            let hint = "enable JetStream for this account, and let this user publish to $JS.API.>";
            let told = format!("no answer for this account: {error}");
            return report.tell(&Finding::wrong("jetstream", told, hint));
        }
    };
    stored(config, seen, &broker, &account, report).await
}

/// Connects; nothing where that fails, which it tells.
pub(super) async fn reach(config: &Config, report: &mut Report) -> Result<Option<Broker>> {
    let url = broker::redacted(&broker::url(&config.nats));
    if config.nats.url.is_empty() {
        let told = format!("nats.url is empty: `up` starts its own server, other roles use {url}");
        report.tell(&Finding::fine("nats", told))?;
        if let Ok(disk) = rustix::fs::statvfs(".") {
            report.tell(&room::disk(config, disk.f_bavail * disk.f_frsize))?;
        }
    }
    let names = Names::new(config.fleet.name.0.clone());
    let reached = async {
        let broker = Broker::connect(&config.nats, names, "shardfleet check").await?;
        broker.ready(REACH_LIMIT).await?;
        anyhow::Ok(broker)
    };
    let broker = match reached.await {
        Ok(broker) => broker,
        Err(error) => {
            if let Some(refusal) = Broker::refusal(&config.nats).await {
                let told = format!("{url}: {refusal}");
                report.tell(&Finding::wrong("nats", told, broker::way_in(&refusal)))?;
                return Ok(None);
            }
            let hint = "run `shardfleet up`, which starts a server, or name yours in NATS_URL";
            report.tell(&Finding::wrong("nats", format!("{url}: {error:#}"), hint))?;
            return Ok(None);
        }
    };
    let info = broker.client.server_info();
    let told = format!("{url}: server {} with JetStream", info.version);
    report.tell(&Finding::fine("nats", told))?;
    let (major, minor, patch) = SOUND_SERVER;
    if !broker.client.is_server_compatible(major, minor, patch) {
        let told = format!(
            "server {} takes messages as if nothing were missing after a stream was deleted and made anew",
            info.version
        );
        let hint = format!("upgrade nats-server to {major}.{minor}.{patch} or later");
        report.tell(&Finding::odd("nats", told, &hint))?;
    }
    if info.max_payload < GOOD_PAYLOAD {
        let told = format!("takes messages of up to {} bytes", info.max_payload);
        let hint = "max_payload: 8MB in the server's configuration: a large GUILD_CREATE is bigger";
        report.tell(&Finding::odd("max_payload", told, hint))?;
    }
    Ok(Some(broker))
}

async fn stored(
    config: &Config,
    seen: Seen,
    broker: &Broker,
    account: &Account,
    report: &mut Report,
) -> Result<()> {
    let buckets = provision::bucket_standings(broker, &config.stream, &config.lease).await;
    let create = config.stream.create.0;
    let mut missing = Missing {
        buckets: missing(&buckets),
        ..Missing::default()
    };
    compare("buckets", buckets, create, report)?;
    // Where the bucket is missing, so is the topology.
    let shared = roster::shared(broker).await.unwrap_or_default();
    if let Some(topology) = &shared.topology {
        seeds(config, topology, report)?;
        whose(seen.bot, topology, report)?;
    }
    if let Some(halt) = &shared.halt {
        let told = format!(
            "since shard {} met {}: {}",
            halt.shard, halt.code, halt.reason
        );
        let hint = "mend it, then `shardfleet resume-fleet`; a new token clears it by itself";
        report.tell(&Finding::wrong("halted", told, hint))?;
    }
    let configured = match config.fleet.shards {
        Shards::Auto => seen.shards,
        Shards::Fixed(shards) => Some(shards),
    };
    let layout = shared
        .topology
        .map(|topology| topology.layout)
        .or(configured.map(|shards| Layout {
            generation: 1,
            shards,
            group_size: config.fleet.group_size.0,
        }));
    let Some(layout) = layout else {
        let told = "not looked at: how many shards there are is not known yet".to_owned();
        let hint = "mend what is wrong with Discord, or set fleet.shards to a number";
        return report.tell(&Finding::odd("streams", told, hint));
    };
    let streams = provision::stream_standings(broker, &config.stream, &layout).await;
    missing.streams = self::missing(&streams);
    compare("streams", streams, create, report)?;
    for finding in room::account(config, account, missing) {
        report.tell(&finding)?;
    }
    let (taken, compressed) = taken(config, broker).await;
    for finding in sizes::stream(config, &layout, taken)
        .into_iter()
        .chain(compressed)
    {
        report.tell(&finding)?;
    }
    report.tell(&sizes::files(config, &layout, files::most()))?;
    let roster = Roster::gather(broker, CancellationToken::new()).await?;
    tokio::time::sleep(LISTEN).await;
    let processes = roster.processes();
    for process in processes.iter().filter(|process| process.token_refused) {
        let told = format!("Discord refuses that of {} (401)", process.process);
        let hint = "restart it with the right token: it cannot read the limits";
        report.tell(&Finding::wrong("token", told, hint))?;
    }
    report.tell(&sizes::capacity(config, &layout, &processes))
}

/// What the streams hold, and which are compressed otherwise than configured; nothing where they are not there,
/// which was told above.
async fn taken(config: &Config, broker: &Broker) -> (Taken, Vec<Finding>) {
    let (mut taken, mut compressed) = (Taken::default(), Vec::new());
    let partitions = config.stream.partitions.0;
    for partition in 0..partitions {
        let name = broker.names.stream(partition, partitions);
        let Ok(stream) = broker.jetstream.get_stream(&name).await else {
            continue;
        };
        let is = stream.cached_info().config.compression.as_ref();
        compressed.extend(compression::differs(config.stream.compression, is, &name));
        let state = &stream.cached_info().state;
        taken.bytes += state.bytes;
        taken.messages += state.messages;
        let span = state.last_timestamp - state.first_timestamp;
        taken.span = taken.span.max(span.try_into().unwrap_or_default());
    }
    (taken, compressed)
}

fn missing(found: &Result<Vec<Standing>>) -> u64 {
    let missing = |standing: &&Standing| matches!(standing, Standing::Missing { .. });
    let standings = found.iter().flatten();
    standings.filter(missing).count() as u64
}

fn compare(
    about: &'static str,
    found: Result<Vec<Standing>>,
    create: bool,
    report: &mut Report,
) -> Result<()> {
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let hint = "does this user have permission to read them?";
            return report.tell(&Finding::wrong(about, format!("{error:#}"), hint));
        }
    };
    for standing in found {
        report.tell(&match standing {
            Standing::AsWanted { name } => {
                Finding::fine(about, format!("{name} is as this configuration wants it"))
            }
            Standing::Missing { name } if !create => {
                let told = format!("{name} is not there, and stream.create is false");
                let hint =
                    "make it by hand as docs/OPERATIONS.md says, or set stream.create = true";
                Finding::wrong(about, told, hint)
            }
            Standing::Missing { name } => {
                let told = format!("{name} is not there yet: the first process creates it");
                Finding::fine(about, told)
            }
            Standing::Fields { name, fields } => {
                let told = format!("{name} differs: {}", fields.join("; "));
                let hint = "change the configuration, or it (`nats stream edit`)";
                Finding::wrong(about, told, hint)
            }
        })?;
    }
    Ok(())
}

/// Whether the fleet is this token's bot's.
fn whose(bot: Option<BotId>, topology: &Topology, report: &mut Report) -> Result<()> {
    if let Err(other) = bot::check(bot, topology) {
        let hint = "the token of that bot, or another fleet.name; every role ends with 64";
        return report.tell(&Finding::wrong("bot", other.to_string(), hint));
    }
    let told = match (topology.bot(), bot) {
        (Some(fleet), Some(_)) => format!("the fleet is the bot {fleet}'s, and so is the token"),
        (Some(fleet), None) => {
            format!("the fleet is the bot {fleet}'s; whose the token is is not known")
        }
        (None, _) => "the fleet does not name its bot yet: the next leader does".to_owned(),
    };
    report.tell(&Finding::fine("bot", told))
}

/// Keys of `[fleet]` seed the topology once; afterwards the file no longer counts.
fn seeds(config: &Config, topology: &Topology, report: &mut Report) -> Result<()> {
    let (mut differing, mut cut, mut choice) = (Vec::new(), false, false);
    if let Shards::Fixed(shards) = config.fleet.shards
        && shards != topology.layout.shards
    {
        differing.push(format!(
            "fleet.shards {shards}, runs {}",
            topology.layout.shards
        ));
        cut = true;
    }
    let sizes = (config.fleet.group_size.0, topology.layout.group_size);
    if sizes.0 != sizes.1 {
        differing.push(format!("fleet.group_size {}, runs {}", sizes.0, sizes.1));
        cut = true;
    }
    if config.fleet.allow.0 != topology.allow || config.fleet.deny.0 != topology.deny {
        differing.push("fleet.allow or fleet.deny".to_owned());
        choice = true;
    }
    if differing.is_empty() {
        return Ok(());
    }
    let told = format!(
        "the configuration differs from what the fleet runs: {}",
        differing.join("; ")
    );
    let mut hints = vec!["write what runs into the configuration"];
    if choice {
        hints.push("or `shardfleet set allow` and `set deny` change what is forwarded");
    }
    if cut {
        hints.push("shards and groups do not change while a fleet runs: a second fleet, with another fleet.name, may have others");
    }
    report.tell(&Finding::odd("topology", told, &hints.join("; ")))
}
