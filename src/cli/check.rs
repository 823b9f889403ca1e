//! `check`: what is wrong, before it goes wrong. Reads only; creates nothing, identifies nothing.
//!
//! That the configuration is valid was shown by loading it; a broken one never gets here.

mod compression;
mod discord;
mod migration;
mod nats;
mod rights;
mod room;
mod sizes;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::say;
use crate::{
    app,
    config::{Config, variables},
    gateway,
};

/// Options of `check`.
#[derive(Args)]
pub(super) struct Options {
    /// What moving this bot to the fleet costs: identifies, minutes, gateways
    #[arg(long)]
    migrate: bool,
    /// Tries, as the configured NATS user, what this role does there; looks at nothing else
    #[arg(long, value_enum, value_name = "ROLE", conflicts_with = "migrate")]
    role: Option<rights::Role>,
}

/// One thing looked at, and how it is.
struct Finding {
    about: &'static str,
    outcome: Outcome,
    text: String,
    /// A way out, where something is wrong.
    hint: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Fine,
    /// Works, but an operator should know.
    Odd,
    /// A role would not work.
    Wrong,
}

/// Looks at everything, however much is wrong; fails if anything is.
pub(super) async fn run(config: &Config, options: &Options) -> Result<ExitCode> {
    app::install_plain_log("error")?;
    let mut report = Report { wrong: 0 };
    let valid = format!("valid; the fleet is called {:?}", config.fleet.name.0);
    report.tell(&Finding::fine("configuration", valid))?;
    for note in config.notes() {
        report.tell(&Finding::odd("configuration", note.text, note.hint))?;
    }
    // It may be another host's to run gateways.
    for fault in gateway::ordinal::of(config)
        .err()
        .into_iter()
        .flat_map(|faults| faults.0)
    {
        let told = format!("a gateway ends here at once with 64: {}", fault.reason);
        report.tell(&Finding::odd("assignment", told, &fault.hint))?;
    }
    let unknown = variables::unknown(variables::of_this_process());
    if !unknown.is_empty() {
        let told = format!("no key is set by {}", unknown.join(", "));
        let hint = "SHARDFLEET_SECTION__KEY; config.toml lists every key";
        report.tell(&Finding::odd("environment", told, hint))?;
    }
    if let Some(role) = options.role {
        if nats::reach(config, &mut report).await?.is_some() {
            rights::look(config, role, &mut report).await?;
        }
    } else {
        let seen = discord::look(config, options.migrate, &mut report).await?;
        nats::look(config, seen, &mut report).await?;
    }
    if report.wrong == 0 {
        say("all is well\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let plural = if report.wrong == 1 { "" } else { "s" };
    say(&format!("{} thing{plural} to mend\n", report.wrong))?;
    Ok(ExitCode::FAILURE)
}

struct Report {
    wrong: usize,
}

impl Report {
    /// Prints a finding as soon as it is known: the next one may take a while.
    fn tell(&mut self, finding: &Finding) -> Result<()> {
        if finding.outcome == Outcome::Wrong {
            self.wrong += 1;
        }
        say(&finding.to_string())
    }
}

impl Finding {
    fn fine(about: &'static str, text: String) -> Self {
        let (outcome, hint) = (Outcome::Fine, String::new());
        Self {
            about,
            outcome,
            text,
            hint,
        }
    }

    fn odd(about: &'static str, text: String, hint: &str) -> Self {
        let (outcome, hint) = (Outcome::Odd, hint.to_owned());
        Self {
            about,
            outcome,
            text,
            hint,
        }
    }

    fn wrong(about: &'static str, text: String, hint: &str) -> Self {
        let (outcome, hint) = (Outcome::Wrong, hint.to_owned());
        Self {
            about,
            outcome,
            text,
            hint,
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = match self.outcome {
            Outcome::Fine => "ok",
            Outcome::Odd => "note",
            Outcome::Wrong => "WRONG",
        };
        writeln!(f, "{mark:5}  {:13}  {}", self.about, self.text)?;
        if !self.hint.is_empty() {
            writeln!(f, "{:22}try: {}", "", self.hint)?;
        }
        Ok(())
    }
}
