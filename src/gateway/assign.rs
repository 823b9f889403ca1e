//! Pure: which groups to bid for, keep or give back, from who is there and who holds what.

use std::collections::{BTreeMap, BTreeSet};

use crate::fleet::{GroupId, Layout};

/// What one process knows of the fleet.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The cut.
    pub layout: Layout,
    /// This process.
    pub me: &'a str,
    /// Groups that this process may hold.
    pub capacity: u32,
    /// Every gateway that is there and not draining, with its capacity. May lack this one.
    pub gateways: BTreeMap<&'a str, u32>,
    /// Who holds what, as last heard.
    pub holders: BTreeMap<GroupId, &'a str>,
    /// Groups that are not bid for although no lease names a holder: who held them takes them again.
    pub reserved: BTreeSet<GroupId>,
    /// Groups that this process holds or is about to.
    pub mine: Vec<GroupId>,
    /// Groups that this process is handing over.
    pub leaving: u32,
    /// A `StatefulSet`'s number: this group and no other.
    pub ordinal: Option<u32>,
}

/// What to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Free groups to bid for, all of them; in no order of preference.
    pub candidates: Vec<GroupId>,
    /// How many of them to take.
    pub wanted: usize,
    /// Groups to hand over.
    pub give_back: Vec<GroupId>,
}

/// The plan of one process. Those of all processes together lead to a fair share, in steps that
/// never take a group from a living owner.
pub fn plan(view: &View<'_>) -> Plan {
    if let Some(ordinal) = view.ordinal {
        return ordinal_plan(view, ordinal);
    }
    let share = share(view);
    let held = view.mine.len();
    let candidates = candidates(view);
    let give_back = give_back(view, share, &candidates);
    let wanted = share.saturating_sub(held).min(candidates.len());
    Plan {
        candidates,
        wanted,
        give_back,
    }
}

fn ordinal_plan(view: &View<'_>, ordinal: u32) -> Plan {
    let own = GroupId(ordinal);
    let exists = ordinal < view.layout.groups();
    let free = exists && !view.reserved.contains(&own);
    let wanted = usize::from(free && view.mine.is_empty());
    let give_back = view
        .mine
        .iter()
        .copied()
        .filter(|group| *group != own)
        .collect();
    let candidates = if exists { vec![own] } else { Vec::new() };
    Plan {
        candidates,
        wanted,
        give_back,
    }
}

/// Groups that each process holds when all are level: as many as any other, and one more for the
/// first few. Those whose capacity is smaller leave the rest to the others.
fn share(view: &View<'_>) -> usize {
    let mut capacities = view.gateways.clone();
    capacities.insert(view.me, view.capacity);
    let mut shares: BTreeMap<&str, u32> = capacities.keys().map(|name| (*name, 0)).collect();
    for _ in 0..view.layout.groups() {
        // The least loaded, by name where they are level, so that everybody reckons the same.
        let next = shares
            .iter_mut()
            .filter(|(name, share)| **share < capacities[*name])
            .min_by_key(|(name, share)| (**share, **name));
        match next {
            Some((_, share)) => *share += 1,
            None => break,
        }
    }
    shares.get(view.me).copied().unwrap_or(0) as usize
}

/// Groups that nobody who is there holds.
fn candidates(view: &View<'_>) -> Vec<GroupId> {
    let held = |group: &GroupId| {
        let holder = view.holders.get(group);
        holder.is_some_and(|holder| *holder != view.me && view.gateways.contains_key(holder))
    };
    view.layout
        .group_ids()
        .filter(|g| !held(g) && !view.mine.contains(g) && !view.reserved.contains(g))
        .collect()
}

/// One group at a time, the highest first, and only for a process that is short of one. While any
/// group is free, that one is there for it: so the next follows as soon as the last is taken.
fn give_back(view: &View<'_>, share: usize, free: &[GroupId]) -> Vec<GroupId> {
    if view.mine.len() <= share || view.leaving > 0 || !free.is_empty() {
        return Vec::new();
    }
    view.mine.iter().max().copied().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        generation: 1,
        shards: 80,
        group_size: 10,
    };

    fn view<'a>(me: &'a str, gateways: &[(&'a str, u32)], mine: &[u32]) -> View<'a> {
        View {
            layout: LAYOUT,
            me,
            capacity: 8,
            gateways: gateways.iter().copied().collect(),
            holders: mine.iter().map(|group| (GroupId(*group), me)).collect(),
            reserved: BTreeSet::new(),
            mine: mine.iter().copied().map(GroupId).collect(),
            leaving: 0,
            ordinal: None,
        }
    }

    #[test]
    fn alone_it_takes_all_up_to_its_capacity() {
        assert_eq!(plan(&view("a", &[], &[])).wanted, 8);
        let small = View {
            capacity: 3,
            ..view("a", &[], &[])
        };
        assert_eq!(plan(&small).wanted, 3);
    }

    #[test]
    fn two_share_and_the_first_gives_back_one_at_a_time() {
        let all: Vec<_> = (0..8).collect();
        let plan_of_a = plan(&view("a", &[("a", 8), ("b", 8)], &all));
        assert_eq!(plan_of_a.give_back, [GroupId(7)]);
        assert_eq!(
            plan(&View {
                leaving: 1,
                ..view("a", &[("b", 8)], &all)
            })
            .give_back,
            []
        );
        // What was given back is nobody's yet, then it is taken.
        let mut rest = view("a", &[("a", 8), ("b", 8)], &all[..7]);
        assert_eq!(plan(&rest).give_back, []);
        rest.holders.insert(GroupId(7), "b");
        assert_eq!(plan(&rest).give_back, [GroupId(6)]);
        let mut b = view("b", &[("a", 8), ("b", 8)], &[]);
        b.holders = (0..7).map(|group| (GroupId(group), "a")).collect();
        assert_eq!(plan(&b).candidates, [GroupId(7)]);
        assert_eq!(plan(&b).wanted, 1);
    }

    #[test]
    fn the_groups_of_a_process_that_is_gone_are_free() {
        let mut b = view("b", &[("b", 8)], &[4, 5, 6, 7]);
        b.holders.extend((0..4).map(|group| (GroupId(group), "a")));
        let plan = plan(&b);
        assert_eq!((plan.candidates.len(), plan.wanted), (4, 4));
    }

    /// Also where it is the only one that speaks: the others are about to.
    #[test]
    fn what_is_reserved_is_not_bid_for() {
        let reserved: BTreeSet<_> = [GroupId(1), GroupId(2)].into();
        let mut view = View {
            reserved: reserved.clone(),
            ..view("b", &[], &[0])
        };
        let plan_of_b = plan(&view);
        assert_eq!(plan_of_b.wanted, 5);
        assert!(
            plan_of_b
                .candidates
                .iter()
                .all(|group| !reserved.contains(group))
        );
        view.ordinal = Some(2);
        view.mine = Vec::new();
        assert_eq!(plan(&view).wanted, 0);
    }

    #[test]
    fn shares_add_up_and_respect_capacity() {
        let gateways = [("a", 1), ("b", 8), ("c", 8)];
        let of = |me: &'static str, capacity| {
            plan(&View {
                capacity,
                ..view(me, &gateways, &[])
            })
            .wanted
        };
        assert_eq!((of("a", 1), of("b", 8), of("c", 8)), (1, 4, 3));
    }

    #[test]
    fn an_ordinal_takes_its_own_and_no_other() {
        let mut view = view("a", &[], &[2]);
        view.ordinal = Some(3);
        let plan_of_three = plan(&view);
        assert_eq!(
            (plan_of_three.candidates, plan_of_three.give_back),
            (vec![GroupId(3)], vec![GroupId(2)])
        );
        view.ordinal = Some(99);
        assert_eq!(plan(&view).wanted, 0);
    }
}
