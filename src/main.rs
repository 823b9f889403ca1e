//! shardfleet's one binary.

use clap::Parser;
use shardfleet::{config::sim::SimOptions, sim};
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
enum Cli {
    /// Simulated Discord: gateway and REST on one port
    Sim(Box<SimOptions>),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let Cli::Sim(options) = Cli::parse();
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    sim::run(*options, shutdown).await
}
