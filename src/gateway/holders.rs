//! Pure: who holds which group, as the keys of the leases tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{clock::Instant, fleet::GroupId, wire::status::Status};

/// What was heard of each group's lease.
///
/// A bucket that was made anew has no keys, and those that hold have yet to write them: for one lease time
/// nobody bids for what they are known to hold.
///
/// A key that expires is not told: one that was not written for a lease time is gone. Believed any
/// longer it would keep its group from everyone, once a process of its holder's name is back.
#[derive(Debug)]
pub struct Holders {
    ttl: Duration,
    /// Who, and when the key was last written.
    heard: BTreeMap<GroupId, (String, Instant)>,
    /// Who held what when the bucket was lost.
    before: BTreeMap<GroupId, String>,
    /// Groups of which something was heard since the bucket is watched.
    told: BTreeSet<GroupId>,
    /// So long the bucket counts as made just now.
    young_until: Option<Instant>,
}

impl Holders {
    /// Nothing was heard yet of leases that last so long.
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            heard: BTreeMap::new(),
            before: BTreeMap::new(),
            told: BTreeSet::new(),
            young_until: None,
        }
    }

    /// The bucket is watched from now on, and every key that is there will be heard of; it was made `age`
    /// ago. `anew`: it is not the one that was watched before.
    pub fn opened(&mut self, anew: bool, age: Duration, now: Instant) {
        self.told.clear();
        if anew {
            let heard = std::mem::take(&mut self.heard).into_iter();
            self.before
                .extend(heard.map(|(group, (holder, _))| (group, holder)));
            self.young_until = Some(now + self.ttl);
        } else if let Some(left) = self.ttl.checked_sub(age) {
            let until = now + left;
            self.young_until = Some(self.young_until.map_or(until, |known| known.max(until)));
        }
    }

    /// Groups that `me` does not bid for, though no key names who holds them: in a bucket that was made
    /// just now, those that another held when it was lost, or says to hold.
    pub fn reserved(
        &self,
        processes: &[Status],
        me: &str,
        generation: u64,
        now: Instant,
    ) -> BTreeSet<GroupId> {
        if self.young_until.is_none_or(|until| now >= until) {
            return BTreeSet::new();
        }
        let before = self.before.iter().filter(|(_, holder)| *holder != me);
        let others = processes.iter().filter(|status| status.process != me);
        let says = others
            .filter_map(|status| status.gateway.as_ref())
            .flat_map(|gateway| &gateway.groups)
            .filter(|group| group.generation == generation)
            .map(|group| GroupId(group.group));
        before
            .map(|(group, _)| *group)
            .chain(says)
            .filter(|group| !self.told.contains(group))
            .collect()
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
        self.told.insert(group);
        self.before.remove(&group);
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
    use crate::wire::status::{GatewayStatus, GroupStatus};

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

    fn says(process: &str, groups: &[u32]) -> Status {
        let group = |group: &u32| GroupStatus {
            generation: 1,
            group: *group,
            epoch: 1,
        };
        Status {
            process: process.to_owned(),
            gateway: Some(GatewayStatus {
                groups: groups.iter().map(group).collect(),
                ..GatewayStatus::default()
            }),
            ..Status::default()
        }
    }

    fn groups(numbers: &[u32]) -> BTreeSet<GroupId> {
        numbers.iter().copied().map(GroupId).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_bucket_made_anew_what_others_held_is_left_to_them_for_one_lease_time() {
        let mut holders = Holders::new(TTL);
        let start = crate::clock::now();
        holders.opened(false, Duration::from_secs(3_600), start);
        for (key, holder) in [("group.1.0", "a"), ("group.1.1", "b"), ("group.1.2", "c")] {
            holders.heard(key, Some(holder.to_owned()), start);
        }
        assert!(holders.reserved(&[], "a", 1, start).is_empty());
        // Longer away than the keys count: nobody is heard, and all are known all the same.
        let lost = start + TTL * 2;
        holders.opened(true, Duration::ZERO, lost);
        assert!(holders.now(lost).is_empty());
        assert_eq!(holders.reserved(&[], "a", 1, lost), groups(&[1, 2]));
        holders.heard("group.1.1", Some("b".to_owned()), lost);
        assert_eq!(holders.reserved(&[], "a", 1, lost), groups(&[2]));
        // A second loss, before all had written their keys.
        holders.opened(true, Duration::ZERO, lost);
        assert_eq!(holders.reserved(&[], "a", 1, lost), groups(&[1, 2]));
        assert!(holders.reserved(&[], "a", 1, lost + TTL).is_empty());
    }

    /// Whoever has just started knows of no loss, but of a bucket that is young and of what others say.
    #[tokio::test(start_paused = true)]
    async fn in_a_young_bucket_what_others_say_to_hold_is_left_to_them_unless_they_release_it() {
        let mut holders = Holders::new(TTL);
        let start = crate::clock::now();
        let others = [says("a", &[0, 1]), says("me", &[2])];
        holders.opened(false, TTL, start);
        assert!(holders.reserved(&others, "me", 1, start).is_empty());
        holders.opened(false, TTL / 3, start);
        assert_eq!(holders.reserved(&others, "me", 1, start), groups(&[0, 1]));
        assert!(holders.reserved(&others, "me", 2, start).is_empty());
        holders.heard("group.1.1", None, start);
        assert_eq!(holders.reserved(&others, "me", 1, start), groups(&[0]));
        let later = start + TTL.mul_f64(0.7);
        assert!(holders.reserved(&others, "me", 1, later).is_empty());
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
