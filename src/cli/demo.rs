//! `shardfleet demo`: a whole fleet on this machine, what befalls it, and the verdict.
//!
//! Every part is a process of its own, so that what is killed is killed for real. The verdict rests on
//! two records that the fleet did not write: the simulator's of what it sent, and the stream.

mod collect;
mod crew;
mod eyes;
mod folder;
mod notes;
mod screen;
mod simulator;
mod stage;
mod story;
mod verdict;
mod view;

use std::{io::Write as _, path::PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use self::{
    eyes::Eyes, folder::Folder, notes::Notes, screen::Screen, stage::Stage, story::Facts,
    verdict::Verdict,
};
use crate::shutdown;

/// What the demo is asked for.
#[derive(Clone, Debug, Args)]
pub(super) struct Options {
    /// End stdout with the verdict as one JSON object; progress goes to stderr
    #[arg(long)]
    json: bool,
    /// How long events flow at least once every shard is ready, in seconds
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u64,
    /// Stay up after the verdict, for the page, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Keep both records, the verdict and every log in this folder
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// Shards of the fleet
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(8..=256))]
    shards: u32,
    /// Events a second that the simulator sends in all
    #[arg(long, value_name = "N", default_value_t = 2000)]
    events_per_second: u32,
}

/// Runs it; true if every promise held.
///
/// # Errors
/// Names what was waited for in vain, and where the logs are.
pub(super) async fn run(options: &Options) -> Result<bool> {
    let shutdown = shutdown::on_signal()?;
    let mut folder = Folder::create(options.evidence.as_deref())?;
    let screen = Screen::new(options.json);
    let notes = Notes::new(&screen);
    let acted = tokio::select! {
        acted = act(options, &folder, &notes, screen.clone()) => acted,
        () = shutdown.cancelled() => {
            screen.leave();
            bail!("interrupted: everything that was started is ended");
        }
    };
    screen.leave();
    let (stage, verdict) = acted.inspect_err(|_| folder.keep())?;
    if !verdict.ok {
        folder.keep();
    }
    print(&verdict, options, &folder, &screen)?;
    if options.keep {
        let mut out = std::io::stderr().lock();
        writeln!(out, "\nstaying up until Ctrl-C:")?;
        stage
            .places()
            .try_for_each(|(name, place)| writeln!(out, "  {name:<14} {place}"))?;
        drop(out);
        stage.simulator.traffic(options.events_per_second).await?;
        shutdown.cancelled().await;
    }
    stage.close().await;
    Ok(verdict.ok)
}

/// Sets the stage, lets the story be told while the view shows it, and judges.
async fn act(
    options: &Options,
    folder: &Folder,
    notes: &Notes,
    screen: Screen,
) -> Result<(Stage, Verdict)> {
    let mut stage = Stage::open(options, folder, notes).await?;
    let mut eyes = Eyes::new(&stage);
    let facts: Facts = tokio::select! {
        facts = story::tell(&mut stage, options) => facts?,
        () = screen.show(&mut eyes) => bail!("the view ended before the story"),
    };
    notes.say("reading both records");
    notes.wait_for("the audit");
    screen.show_once(&mut eyes).await;
    let seen = collect::collect(&stage, folder.evidence()).await?;
    let report = super::audit::compare(folder.evidence())?;
    let verdict = Verdict::new(report, &seen, &facts, notes.elapsed());
    std::fs::write(folder.evidence().join("verdict.json"), verdict.json())?;
    Ok((stage, verdict))
}

fn print(verdict: &Verdict, options: &Options, folder: &Folder, screen: &Screen) -> Result<()> {
    screen.print(&format!("\n{}", verdict.table()))?;
    if folder.stays() {
        writeln!(
            std::io::stderr().lock(),
            "records and logs: {}",
            folder.evidence().display()
        )?;
    }
    if options.json {
        writeln!(std::io::stdout().lock(), "{}", verdict.json())?;
    }
    Ok(())
}
