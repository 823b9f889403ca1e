//! Discord lowers `max_concurrency` while the fleet runs.

use serde_json::json;

use crate::support::fleet::{Fleet, wait::LIMIT};

/// Shards of this fleet: all of them once fitted in one round.
const SHARDS: u32 = 8;

/// It falls from 16 to 1, then every session is lost: the first round of IDENTIFYs goes by the new value
/// already. The simulator holds a second IDENTIFY inside a bucket's five seconds against the fleet.
#[tokio::test(flavor = "multi_thread")]
async fn a_lower_max_concurrency_counts_before_the_next_identify() {
    let plan = Fleet::start().coordinators(2).shards(SHARDS).group_size(4);
    let mut fleet = plan.max_concurrency(16).events_per_second(100).await;
    let lower = json!({ "fault": "max_concurrency", "max_concurrency": 1 });
    assert_eq!(fleet.fault(lower).await, 1);
    let invalidate = json!({ "fault": "invalidate", "resumable": false });
    assert_eq!(fleet.fault(invalidate).await, u64::from(SHARDS));
    fleet
        .wait_until("every session is new", LIMIT * 2, |state| {
            let now = &state.discord;
            now.ready == SHARDS && now.identifies == u64::from(2 * SHARDS)
        })
        .await;
    assert_eq!(fleet.audit().await.gaps, u64::from(SHARDS));
    assert_eq!(fleet.sim_verdict().await.identifies, u64::from(2 * SHARDS));
}
