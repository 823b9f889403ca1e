//! Pure: the groups that this process bids for, holds or hands over.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::{group::End, lane::Report};
use crate::{
    fleet::{Epoch, GroupId},
    wire::status::GroupStatus,
};

/// What this process has a hand on. Dropped, as by a panic, it hands everything over.
#[derive(Debug, Default)]
pub struct Claims(BTreeMap<GroupId, Claim>);

#[derive(Debug)]
struct Claim {
    lane: usize,
    generation: u64,
    held: Option<Epoch>,
    stop: CancellationToken,
}

impl Drop for Claims {
    fn drop(&mut self) {
        self.give_back_all();
    }
}

impl Claims {
    /// A bid begins. Returns what stops it.
    pub fn bid(&mut self, group: GroupId, generation: u64, lane: usize) -> CancellationToken {
        let stop = CancellationToken::new();
        self.0.insert(
            group,
            Claim {
                lane,
                generation,
                held: None,
                stop: stop.clone(),
            },
        );
        stop
    }

    /// A lane's word.
    pub fn apply(&mut self, report: &Report) {
        match report {
            Report::Won(group, held) => {
                if let Some(claim) = self.0.get_mut(group) {
                    claim.held = Some(held.epoch);
                }
            }
            Report::Ended(group, _) => _ = self.0.remove(group),
            Report::LaneGone(lane, _) => self.0.retain(|_, claim| claim.lane != *lane),
        }
    }

    /// What is held on a lane: the generation, the group, and the epoch of its lease.
    pub fn held_on(&self, lane: usize) -> Vec<(u64, GroupId, Epoch)> {
        let there = self.0.iter().filter(|(_, claim)| claim.lane == lane);
        there
            .filter_map(|(group, claim)| Some((claim.generation, *group, claim.held?)))
            .collect()
    }

    /// Hands a group over.
    pub fn give_back(&self, group: GroupId) {
        if let Some(claim) = self.0.get(&group) {
            claim.stop.cancel();
        }
    }

    /// Hands everything over.
    pub fn give_back_all(&self) {
        self.0.values().for_each(|claim| claim.stop.cancel());
    }

    /// Groups held or bid for, less those on their way out.
    pub fn mine(&self) -> Vec<GroupId> {
        let stays =
            |(group, claim): (&GroupId, &Claim)| (!claim.stop.is_cancelled()).then_some(*group);
        self.0.iter().filter_map(stays).collect()
    }

    /// Bids that have not been won or lost.
    pub fn bids(&self) -> usize {
        self.0
            .values()
            .filter(|claim| claim.held.is_none() && !claim.stop.is_cancelled())
            .count()
    }

    /// Groups on their way out.
    pub fn leaving(&self) -> u32 {
        u32::try_from(self.0.values().filter(|c| c.stop.is_cancelled()).count()).unwrap_or(u32::MAX)
    }

    /// The lane with the fewest groups.
    pub fn emptiest_lane(&self, lanes: usize) -> usize {
        let load = |lane: usize| self.0.values().filter(|claim| claim.lane == lane).count();
        (0..lanes).min_by_key(|lane| load(*lane)).unwrap_or(0)
    }

    /// True if nothing is held or bid for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if a bid or a stay of this group has not ended.
    pub fn contains(&self, group: GroupId) -> bool {
        self.0.contains_key(&group)
    }

    /// What is held, for the status.
    pub fn statuses(&self) -> Vec<GroupStatus> {
        let held = |(group, claim): (&GroupId, &Claim)| {
            Some(GroupStatus {
                generation: claim.generation,
                group: group.0,
                epoch: claim.held?.0,
            })
        };
        self.0.iter().filter_map(held).collect()
    }
}

/// The fatal close in a report, if it is one.
pub fn fatal(report: &Report) -> Option<(crate::fleet::ShardId, u16)> {
    match report {
        Report::Ended(_, End::Fatal(shard, code)) => Some((*shard, *code)),
        _ => None,
    }
}
