//! `resume-fleet`: clears a halt, once what caused it is mended.

use anyhow::{Result, bail};

use super::{
    operator::{ATTEMPTS, reach, state},
    say,
};
use crate::{
    broker::bucket::KvError,
    config::Config,
    subject::HALT,
    wire::{self, topology::Halt},
};

pub(super) async fn run(config: &Config) -> Result<()> {
    let broker = reach(config, "shardfleet resume-fleet").await?;
    let state = state(&broker).await?;
    for _ in 0..ATTEMPTS {
        let Some(entry) = state.get(HALT).await? else {
            return say("the fleet is not halted\n");
        };
        let was = match wire::decode::<Halt>(&entry.value) {
            Ok(halt) => format!(
                "shard {} of {} had met {}: {}",
                halt.shard, halt.process, halt.code, halt.reason
            ),
            Err(error) => format!("what stood there was not understood: {error}"),
        };
        match state.delete(HALT, entry.revision).await {
            Ok(()) => {
                return say(&format!(
                    "the halt is cleared; {was}. Processes that ended with 77 may be started now\n"
                ));
            }
            // Another halt was written meanwhile.
            Err(KvError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("the fleet is halted again and again: mend what `shardfleet status` tells first")
}
