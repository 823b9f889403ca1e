//! Pure: who holds which group, as the keys of the leases tell.

use std::{collections::BTreeMap, time::Duration};

use crate::{clock::Instant, fleet::GroupId};

/// What was heard of each group's lease.
///
/// A key that expires is not told: one that was not written for a lease time is gone. Believed any
/// longer it would keep its group from everyone, once a process of its holder's name is back.
#[derive(Debug)]
pub struct Holders {
    ttl: Duration,
    /// Who, and when the key was last written.
    heard: BTreeMap<GroupId, (String, Instant)>,
}

impl Holders {
    /// Nothing was heard yet of leases that last so long.
    pub fn new(ttl: Duration) -> Self {
        let heard = BTreeMap::new();
        Self { ttl, heard }
    }

    /// A key was written by its holder, or deleted. True if the group changed hands or became free.
    pub fn heard(&mut self, key: &str, holder: Option<String>, now: Instant) -> bool {
        let number = key
            .rsplit('.')
            .next()
            .and_then(|number| number.parse().ok());
        let Some(group) = number.map(GroupId) else {
            return false;
        };
        let before = self.heard.get(&group).map(|(holder, _)| holder);
        let changed = before != holder.as_ref();
        match holder {
            Some(holder) => _ = self.heard.insert(group, (holder, now)),
            None => _ = self.heard.remove(&group),
        }
        changed
    }

    /// Who holds what at `now`.
    pub fn now(&self, now: Instant) -> BTreeMap<GroupId, &str> {
        let lives = |written: Instant| now.duration_since(written) < self.ttl;
        self.heard
            .iter()
            .filter(|(_, (_, written))| lives(*written))
            .map(|(group, (holder, _))| (*group, holder.as_str()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_stops_renewing_is_forgotten() {
        let mut holders = Holders::new(TTL);
        let start = crate::clock::now();
        let name = || Some("a".to_owned());
        assert!(holders.heard("group.1.3", name(), start));
        assert!(holders.heard("group.1.4", name(), start));
        let renewed = start + Duration::from_secs(2);
        assert!(!holders.heard("group.1.4", name(), renewed));
        assert_eq!(holders.now(renewed).len(), 2);
        let later = start + TTL;
        assert_eq!(holders.now(later), BTreeMap::from([(GroupId(4), "a")]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deleted_key_frees_its_group_and_a_strange_one_is_nobodys() {
        let mut holders = Holders::new(TTL);
        let now = crate::clock::now();
        holders.heard("group.1.3", Some("a".to_owned()), now);
        assert!(holders.heard("group.1.3", Some("b".to_owned()), now));
        assert!(holders.heard("group.1.3", None, now));
        assert!(!holders.heard("group.1.3", None, now));
        assert!(!holders.heard("group.1.x", None, now));
        assert!(holders.now(now).is_empty());
    }
}
