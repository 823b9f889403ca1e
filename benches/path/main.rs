//! What the event path costs, beside what receiving alone costs and what the usual way costs.
//!
//! `make bench` runs all of it and writes docs/PERFORMANCE.md; `make bench-quick` a cut in three
//! minutes. Ratios of one interleaved run hold on any machine; the figures themselves do not.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::doc_markdown,
    reason = "a benchmark talks to a person, fails aloud, and has the machine to itself"
)]

mod blob;
mod callgrind;
mod contender;
mod crew;
mod generator;
mod instructions;
mod latency;
mod measure;
mod memory;
mod payloads;
mod plan;
mod plot;
mod process;
mod profile;
mod report;
mod stage;

use clap::{Parser, Subcommand};

use self::{contender::Contender, plan::Plan};

#[derive(Parser)]
#[command(about = "Measures the event path against contenders, in one interleaved run")]
struct Command {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    plan: Plan,
    /// `cargo bench` says it; it changes nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Role {
    /// A process to be compared with.
    #[command(hide = true)]
    Contender(Contender),
}

fn main() {
    let command = Command::parse();
    match command.role {
        Some(Role::Contender(contender)) => contender.run(),
        None => {
            process::step_aside(process::cores());
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(command.plan.run());
        }
    }
}
