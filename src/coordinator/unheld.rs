//! Counts the groups that nobody holds, while this process leads: what an alert needs to know of a
//! shard that no gateway can tell about.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::metrics;
use crate::{
    broker::Broker,
    roster::{self, Roster, SAY_EVERY},
};

/// Counts every second until `ended`; `leads`: whether this process leads.
pub(super) async fn count(
    broker: Broker,
    roster: Roster,
    leads: watch::Receiver<bool>,
    ended: CancellationToken,
) {
    let counting = async {
        loop {
            tokio::time::sleep(SAY_EVERY).await;
            if !*leads.borrow() {
                metrics::unheld(0);
                continue;
            }
            // While NATS is away nobody is heard: the last figure stays.
            let Ok(shared) = roster::shared(&broker).await else {
                continue;
            };
            let groups = roster.overview(&broker.names, shared).groups;
            metrics::unheld(groups.total.saturating_sub(groups.held));
        }
    };
    ended.run_until_cancelled(counting).await;
}
