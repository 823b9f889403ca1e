//! `spend-reserve`: an operator lets the fleet spend identifies of the reserve.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use rand::Rng;

use super::{operator::reach, say};
use crate::{
    config::Config,
    wire::{
        self, VERSION,
        identify::{ReleaseReserve, Reply, Request},
    },
};

/// Options of `spend-reserve`.
#[derive(Args)]
pub(super) struct ReserveOptions {
    /// How many identifies, on top of those released before; until Discord opens the next day
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
}

/// A leader may be in the making: an election takes up to ten seconds and a lease.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(config: &Config, options: &ReserveOptions) -> Result<()> {
    let broker = reach(config, "shardfleet spend-reserve").await?;
    let nonce = format!("operator.{:016x}", rand::rng().random::<u64>());
    let (v, n) = (VERSION, options.n);
    let request = Request::ReleaseReserve(ReleaseReserve { v, n, nonce });
    let word = wire::encode(&request);
    let mut why = "no coordinator leads".to_owned();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        // The same nonce each time: however many are heard, they count once.
        let asked = broker.client.request(broker.names.identify(), word.clone());
        let Ok(answer) = asked.await else {
            continue;
        };
        match wire::decode(&answer.payload)? {
            Reply::Released {
                released,
                remaining,
                ..
            } => {
                return say(&format!(
                    "{released} identifies of the reserve may be spent; {remaining} are left of the day\n"
                ));
            }
            Reply::Refused { reason, .. } if reason.contains("try again") => why = reason,
            Reply::Refused { reason, .. } => bail!("the leader refuses: {reason}"),
            _ => {}
        }
    }
    bail!("nothing was released: {why}")
}
