//! What every command of an operator begins with: a quiet log, and a way to the fleet.

use std::time::Duration;

use anyhow::Result;

use crate::{
    app,
    broker::{Broker, bucket::Bucket},
    config::Config,
    subject::Names,
};

/// How long NATS may take to answer.
const REACH_LIMIT: Duration = Duration::from_secs(5);
/// Everyone speaks once a second; so everyone has spoken by then.
pub(super) const LISTEN: Duration = Duration::from_millis(1500);
/// How often a value is read and written anew where somebody else was faster.
pub(super) const ATTEMPTS: usize = 5;

/// Connects; `label` names the connection in the server's list.
pub(super) async fn reach(config: &Config, label: &str) -> Result<Broker> {
    // Why NATS cannot be reached is told by the connection's events.
    app::install_plain_log("warn")?;
    let names = Names::new(config.fleet.name.0.clone());
    let broker = Broker::connect(&config.nats, names, label).await?;
    broker.reached(&config.nats, REACH_LIMIT).await?;
    Ok(broker)
}

/// The fleet's state.
pub(super) async fn state(broker: &Broker) -> Result<Bucket> {
    Ok(Bucket::open(broker, &broker.names.state_bucket()).await?)
}
