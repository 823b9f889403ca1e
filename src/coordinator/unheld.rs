//! Counts the groups that nobody holds, while this process leads: what an alert needs to know of a
//! shard that no gateway can tell about. And says which gateway speaks no more.

use std::collections::BTreeMap;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::metrics;
use crate::{
    broker::Broker,
    roster::{self, Roster, SAY_EVERY},
    wire::status::Status,
};

/// Counts every second until `ended`; `leads`: whether this process leads.
pub(super) async fn count(
    broker: Broker,
    roster: Roster,
    leads: watch::Receiver<bool>,
    ended: CancellationToken,
) {
    let counting = async {
        let mut holders = Holders::default();
        loop {
            tokio::time::sleep(SAY_EVERY).await;
            if !*leads.borrow() {
                metrics::unheld(0);
                holders = Holders::default();
                continue;
            }
            // While NATS is away nobody is heard: the last figure stays.
            let Ok(shared) = roster::shared(&broker).await else {
                continue;
            };
            let fleet = roster.overview(&broker.names, shared);
            for (process, groups) in holders.gone(&fleet.processes) {
                tracing::warn!(
                    process,
                    groups,
                    "{process} speaks no more: nobody runs its shards until its leases end ({groups})"
                );
            }
            metrics::unheld(fleet.groups.total.saturating_sub(fleet.groups.held));
        }
    };
    ended.run_until_cancelled(counting).await;
}

/// How many groups each gateway held when it spoke last.
#[derive(Default)]
struct Holders(BTreeMap<String, usize>);

impl Holders {
    /// Those that spoke before and speak no more, with the groups that they did not hand over.
    fn gone(&mut self, processes: &[Status]) -> BTreeMap<String, usize> {
        let gateways = processes.iter().filter_map(|status| {
            let gateway = status.gateway.as_ref()?;
            Some((status.process.clone(), gateway.groups.len()))
        });
        let now: BTreeMap<_, _> = gateways.collect();
        let mut gone = std::mem::replace(&mut self.0, now);
        gone.retain(|process, groups| *groups > 0 && !self.0.contains_key(process));
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::status::GatewayStatus;

    fn gateway(name: &str, groups: u32) -> Status {
        Status {
            process: name.to_owned(),
            gateway: Some(GatewayStatus::holding(groups)),
            ..Status::default()
        }
    }

    #[test]
    fn a_gateway_that_died_with_its_groups_is_told_once() {
        let mut holders = Holders::default();
        let fleet = [gateway("a", 2), gateway("b", 1), gateway("c", 1)];
        assert!(holders.gone(&fleet).is_empty());
        // `c` hands its group over, and ends; `a` dies.
        assert!(
            holders
                .gone(&[gateway("a", 2), gateway("b", 1), gateway("c", 0)])
                .is_empty()
        );
        let gone = holders.gone(&[gateway("b", 2)]);
        assert_eq!(gone, BTreeMap::from([("a".to_owned(), 2)]));
        assert!(holders.gone(&[gateway("b", 2)]).is_empty());
    }
}
