//! Counts the groups that nobody holds, while this process leads: what an alert needs to know of a
//! shard that no gateway can tell about. And says which gateway died with its groups.
//!
//! A gateway that hands over and ends may have no time to say that it holds nothing any more. So its
//! last word alone proves nothing: the leases tell what it left behind.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::metrics;
use crate::{
    broker::{
        Broker,
        bucket::{Bucket, KvError},
    },
    fleet::GroupId,
    lease,
    roster::{self, Roster, SAY_EVERY},
    subject,
    wire::status::{GroupStatus, Status},
};

/// The bucket of leases.
pub(super) struct Leases {
    pub(super) bucket: Bucket,
    /// How long one lasts that nobody renews.
    pub(super) ttl: Duration,
}

/// Counts every second until `ended`; `leads`: whether this process leads.
pub(super) async fn count(
    broker: Broker,
    roster: Roster,
    leases: Leases,
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
                leases.tell(&process, &groups).await;
            }
            metrics::unheld(fleet.groups.total.saturating_sub(fleet.groups.held));
        }
    };
    ended.run_until_cancelled(counting).await;
}

impl Leases {
    /// Says so where a process that speaks no more has left leases behind.
    async fn tell(&self, process: &str, groups: &[GroupStatus]) {
        match self.held(process, groups).await {
            Ok(0) => {}
            Ok(held) => {
                let plural = if held == 1 { "group" } else { "groups" };
                tracing::warn!(
                    process,
                    groups = held,
                    "{process} died, or is cut off, and did not hand over {held} {plural}: nobody runs \
                     their shards until its leases end, at most {:?} after it renewed them last",
                    self.ttl
                );
            }
            Err(error) => tracing::debug!(process, "whether {process} left leases: {error}"),
        }
    }

    /// How many of these groups a process has by the leases as they stand.
    async fn held(&self, process: &str, groups: &[GroupStatus]) -> Result<usize, KvError> {
        let mut held = 0;
        for group in groups {
            let key = subject::group_lease(group.generation, GroupId(group.group));
            let entry = self.bucket.get(&key).await?;
            let holder = entry.and_then(|entry| lease::holder(&entry.value));
            held += usize::from(holder.as_deref() == Some(process));
        }
        Ok(held)
    }
}

/// What each gateway held when it spoke last.
#[derive(Default)]
struct Holders(BTreeMap<String, Vec<GroupStatus>>);

impl Holders {
    /// Those that spoke before and speak no more, with the groups that they last said to hold.
    fn gone(&mut self, processes: &[Status]) -> BTreeMap<String, Vec<GroupStatus>> {
        let gateways = processes.iter().filter_map(|status| {
            let gateway = status.gateway.as_ref()?;
            Some((status.process.clone(), gateway.groups.clone()))
        });
        let now: BTreeMap<_, _> = gateways.collect();
        let mut gone = std::mem::replace(&mut self.0, now);
        gone.retain(|process, groups| !groups.is_empty() && !self.0.contains_key(process));
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
        let gone: Vec<_> = gone.iter().map(|(name, held)| (name, held.len())).collect();
        assert_eq!(gone, [(&"a".to_owned(), 2)]);
        assert!(holders.gone(&[gateway("b", 2)]).is_empty());
    }
}
