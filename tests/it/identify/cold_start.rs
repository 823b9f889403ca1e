//! A cold start takes what Discord's spacing makes it take.

use std::time::Duration;

use shardfleet::wire::identify::SPACING;

use crate::support::{figure, fleet::Fleet};

const SHARDS: u32 = 256;
const CONCURRENCY: u32 = 16;

/// With the margin that is shipped: it is in the figure. Without guilds: Discord shares this machine's
/// cores, and while it makes up guilds it would read the next IDENTIFY late and take it for early.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_and_fifty_six_shards_start_in_their_rounds() {
    let start = Fleet::start().shards(SHARDS).group_size(16).gateways(2);
    let start = start.max_concurrency(CONCURRENCY).events_per_second(0);
    let start = start.set("coordinator.margin", "\"250ms\"");
    let start = start.discord("--guilds-per-shard=0");
    let mut fleet = start.cold().await;
    let least = SPACING * SHARDS.div_ceil(CONCURRENCY);
    fleet
        .wait_until("all shards ready", least * 2, |state| {
            state.discord.ready == SHARDS
        })
        .await;
    let verdict = fleet.sim_verdict().await;
    let moments = || verdict.ready.iter().map(|moment| moment.at_ms);
    let took = moments().max().unwrap() - moments().min().unwrap();
    let took = Duration::from_millis(took);
    figure("from the first IDENTIFY to the last of 256 at 16", took);
    assert!(took <= least.mul_f64(1.06), "{took:?}");
    assert_eq!(verdict.identifies, u64::from(SHARDS));
    assert_eq!(fleet.audit().await.gaps, 0);
}
