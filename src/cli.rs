//! The subcommands, and what each one's end means to whoever started it.
//!
//! Exit codes: 0 a clean end, 1 a failure, 64 bad configuration or usage, another bot's process or a
//! second one of a name, 77 the fleet is halted, or Discord refuses the token.

mod audit;
mod check;
mod demo;
mod drain;
mod operator;
mod reconnect;
mod reserve;
mod resume;
mod role;
mod set;
mod shell;
mod status;
mod tail;
mod tether;

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::{
    bot,
    config::{self, Config, Faults, Sources, sim::SimOptions},
    roster::namesake::Namesake,
    wire::topology::Halted,
};

/// Bad configuration or usage: `EX_USAGE` of sysexits.
pub const BAD_USAGE: u8 = 64;
/// The fleet is halted, or this process's token is refused: a restart would only burn identifies.
pub const HALTED: u8 = 77;

/// A NATS-native fleet of Discord gateway shards: every event in JetStream, in order, once.
///
/// Gateway processes hold the connections to Discord and store every event, byte for byte, in a
/// NATS JetStream stream; a coordinator says who may identify, and when. Workers in any language
/// read the stream and come and go as they like.
#[derive(Parser)]
#[command(version, propagate_version = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    given: Given,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  shardfleet demo                                see a fleet survive the loss of its parts
  shardfleet up                                  everything in one process, NATS included
  shardfleet check                               what is wrong, before it goes wrong
  shardfleet gateway --set gateway.max_groups=4  one key set on the command line
  NATS_URL=nats://a,nats://b shardfleet coordinator
  shardfleet status --watch                      the fleet at a glance

Every key with its default and its reason stands in config.toml. Later layers win: that file,
variables SHARDFLEET_SECTION__KEY (DISCORD_TOKEN, NATS_URL and NATS_CREDS too), then --set.

Exit codes: 0 a clean end, 1 a failure, 64 bad configuration or usage, another bot's
process or a second one of a name, 77 the fleet is halted, or Discord refuses the token.";

/// Where the configuration comes from, beside the environment.
#[derive(Args)]
struct Given {
    /// The configuration file [default: config.toml, if it is there]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Configuration"
    )]
    config: Option<PathBuf>,
    /// Sets one key, over file and environment; may be given again. Not for secrets: others on
    /// this machine can read a command line
    #[arg(long = "set", global = true, value_name = "SECTION.KEY=VALUE", value_parser = key_value,
          help_heading = "Configuration")]
    set: Vec<(String, String)>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs shard groups: connects to Discord, stores events. Run as many as you like
    Gateway,
    /// Campaigns for leadership; the leader says who may identify. Run two or three
    Coordinator,
    /// Both roles in one process; and a nats-server of its own where no nats.url is configured
    #[command(after_help = role::UP_EXAMPLES)]
    Up(role::UpOptions),
    /// A simulated Discord, strict like the real one: gateway and REST on one port
    Sim(Box<SimOptions>),
    /// A fleet on this machine, the loss of its parts, and the verdict: 0 only if every promise held
    Demo(demo::Options),
    /// Validates the configuration, then reaches NATS and Discord; says what is wrong and how to
    /// mend it. Changes nothing
    Check(check::Options),
    /// The fleet at a glance: processes, shards, who leads, identify budget
    Status(status::StatusOptions),
    /// Prints events as they come, with filters
    #[command(after_help = tail::EXAMPLES)]
    Tail(tail::TailOptions),
    /// Changes what the whole fleet shares: which events are forwarded
    #[command(after_help = set::EXAMPLES)]
    Set(set::SetOptions),
    /// Hands one process's groups over; it stays up, and takes none until it is started anew
    Drain(drain::DrainOptions),
    /// Has shards connect anew, by RESUME or with a new session; says what that costs first
    #[command(after_help = reconnect::EXAMPLES)]
    Reconnect(reconnect::ReconnectOptions),
    /// Lets the fleet spend N identifies of the day's reserve
    SpendReserve(reserve::ReserveOptions),
    /// Clears a halt, once what caused it is mended
    ResumeFleet,
    /// A completion script for a shell, to standard output
    #[command(after_help = shell::EXAMPLES)]
    Completions(shell::CompletionsOptions),
    /// The manual page, to standard output: `shardfleet man | man -l -`
    Man,
    /// Compares the two records that `demo --evidence` kept, again
    #[command(hide = true)]
    Audit(audit::Options),
    /// Runs a program that ends when its parent does, even after kill -9
    #[command(hide = true)]
    Tether(tether::TetherOptions),
}

/// Runs one subcommand to its end.
pub fn run(cli: Cli) -> ExitCode {
    let stays = matches!(
        cli.command,
        Command::Gateway | Command::Coordinator | Command::Up(_) | Command::Sim(_)
    );
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error, stays);
            code(&error).into()
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    let sources = Sources {
        file: cli.given.config,
        flags: cli.given.set,
    };
    let load = || config::load(&sources);
    match cli.command {
        Command::Gateway => role::gateway(load()?),
        Command::Coordinator => role::coordinator(load()?),
        Command::Up(options) => role::up(load()?, options),
        // It is no part of the fleet: of its configuration only the log concerns it.
        Command::Sim(options) => {
            let config = load().or_else(|faults| faults.of("--set").map(|()| Config::default()))?;
            role::sim(*options, &config.log)
        }
        Command::Demo(options) => return Ok(held(block_on(demo::run(&options))?)),
        Command::Audit(options) => return Ok(held(audit::run(&options)?)),
        Command::Check(options) => return block_on(check::run(&load()?, &options)),
        Command::Status(options) => block_on(status::run(&load()?, options)),
        Command::Tail(options) => block_on(tail::run(&load()?, options)),
        Command::Set(options) => block_on(set::run(&load()?, &options)),
        Command::Drain(options) => block_on(drain::run(&load()?, &options)),
        Command::Reconnect(options) => block_on(reconnect::run(&load()?, &options)),
        Command::SpendReserve(options) => block_on(reserve::run(&load()?, &options)),
        Command::ResumeFleet => block_on(resume::run(&load()?)),
        Command::Completions(options) => shell::completions(&options),
        Command::Man => shell::man(),
        Command::Tether(options) => tether::run(&options),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a command on this thread, which stays until the process ends: children tethered to it
/// live as long.
fn block_on<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    // Fails only where a provider is installed already, which is as well.
    _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(command)
}

/// What was asked is answered, but only a yes is a clean end.
fn held(yes: bool) -> ExitCode {
    if yes { ExitCode::SUCCESS } else { 1.into() }
}

fn code(error: &anyhow::Error) -> u8 {
    if error.is::<Faults>() || error.is::<bot::Other>() || error.is::<Namesake>() {
        BAD_USAGE
    } else if error.is::<Halted>() || error.is::<bot::Refused>() {
        HALTED
    } else {
        1
    }
}

/// To the log of a process that was to stay, where one is installed: its readers see why it ended.
fn tell(error: &anyhow::Error, stays: bool) {
    if stays && tracing::enabled!(tracing::Level::ERROR) && !error.is::<Faults>() {
        tracing::error!("{error:#}");
    } else {
        _ = writeln!(std::io::stderr(), "error: {error:#}");
    }
}

/// `shardfleet status | head` is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Writes to standard output, at once.
fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Tells whoever typed the command, beside its answer.
fn note(text: &str) {
    _ = writeln!(std::io::stderr(), "note: {text}");
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let hint = "write section.key=value, such as lease.ttl=20s";
    let (key, value) = text.split_once('=').ok_or(hint)?;
    let (section, name) = key.split_once('.').ok_or(hint)?;
    if section.is_empty() || name.is_empty() {
        return Err(hint.to_owned());
    }
    // Whether there is such a key is told beside all other faults.
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_value_are_told_apart() {
        assert!(key_value("lease.ttl=20s").is_ok());
        assert_eq!(key_value("web.listen=").unwrap().1, "");
        for bad in ["lease.ttl", "ttl=20s", ".ttl=20s", "lease.=20s", "=", ""] {
            assert!(key_value(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_end_has_its_code() {
        let faults = anyhow::Error::new(Faults(Vec::new()));
        assert_eq!(code(&faults.context("while starting")), BAD_USAGE);
        let (mine, fleet) = (bot::BotId(1), bot::BotId(2));
        assert_eq!(code(&bot::Other { mine, fleet }.into()), BAD_USAGE);
        assert_eq!(code(&bot::Refused { closed: None }.into()), HALTED);
        assert_eq!(code(&anyhow::anyhow!("x")), 1);
    }
}
