//! Pure: what happened lately, and how many events a second, from one look at the fleet after another.
//! Each process keeps its own since it started: for people, not for records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::roster::overview::Overview;

/// Looks that the sparkline covers, one a second.
const SAMPLES: usize = 120;
/// A rate is over this long: a quiet group's events are acknowledged, and so counted, every two seconds.
const SMOOTH_MS: u64 = 10_000;
/// Looks further apart say nothing of a rate: NATS was away between them, or this process stood still.
const JUMP_MS: u64 = 4_000;
/// Happenings that are kept.
const KEPT: usize = 40;

/// What happened lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Chronicle {
    /// Events stored a second, the oldest first.
    pub(super) rates: VecDeque<u64>,
    /// Milliseconds and events between the last looks: as many as a rate is over.
    lately: VecDeque<(u64, u64)>,
    /// Happenings, the latest first.
    pub(super) happenings: VecDeque<Happening>,
    known: Option<Known>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happening {
    /// When, in milliseconds since the Unix epoch.
    pub(super) at_ms: u64,
    /// Its kind: one word, a class of the page.
    pub(super) kind: &'static str,
    /// What.
    pub(super) text: String,
}

/// The fleet at the last look.
#[derive(Clone, Debug, Default)]
struct Known {
    at_ms: u64,
    leader: Option<String>,
    halted: bool,
    /// Streams that NATS does not have.
    missing: BTreeSet<String>,
    /// Streams that are not as a configuration wants them.
    differing: BTreeSet<String>,
    /// Draining or not, by process.
    processes: BTreeMap<String, bool>,
    /// The last holder of each group.
    holders: BTreeMap<u32, String>,
    /// Events and gaps that a process told of a shard.
    counts: BTreeMap<(String, u32), (u64, u32)>,
}

impl Chronicle {
    /// Another look. One while NATS is away shows nothing new.
    pub(super) fn observe(&mut self, fleet: &Overview) {
        if fleet.nats_away_ms.is_some() {
            return;
        }
        let mut now = Known::of(fleet);
        let Some(before) = self.known.take() else {
            self.known = Some(now);
            return;
        };
        let (mut stored, mut told, mut torn) = (0, Vec::new(), Vec::new());
        for ((process, shard), (events, gaps)) in &now.counts {
            // What a process counted before it was seen belongs to no look.
            if !before.processes.contains_key(process) {
                if *gaps > 0 {
                    torn.push(shard.to_string());
                }
                continue;
            }
            // A process that has begun to run a shard counts from zero.
            let (known, known_gaps) = before
                .counts
                .get(&(process.clone(), *shard))
                .copied()
                .unwrap_or_default();
            stored += events.saturating_sub(known);
            if *gaps > known_gaps {
                torn.push(shard.to_string());
            }
        }
        match torn.as_slice() {
            [] => {}
            [shard] => told.push(("gap", format!("shard {shard}: a gap is announced"))),
            shards => {
                let shards = shards.join(", ");
                told.push(("gap", format!("shards {shards}: gaps are announced")));
            }
        }
        before.differences(&now, &mut told);
        self.flowed(now.at_ms.saturating_sub(before.at_ms), stored);
        for (kind, text) in told {
            let at_ms = now.at_ms;
            self.happenings.push_front(Happening { at_ms, kind, text });
        }
        self.happenings.truncate(KEPT);
        // A group between two holders is still said to come from the first.
        for (group, holder) in before.holders {
            now.holders.entry(group).or_insert(holder);
        }
        if now.leader.is_none() {
            now.leader = before.leader;
        }
        self.known = Some(now);
    }

    /// So many events were stored within so many milliseconds.
    fn flowed(&mut self, span: u64, stored: u64) {
        if span > JUMP_MS {
            self.lately.clear();
            return;
        }
        self.lately.push_back((span, stored));
        let sum = |lately: &VecDeque<(u64, u64)>| {
            let add =
                |(spans, events), (span, stored): &(u64, u64)| (spans + span, events + stored);
            lately.iter().fold((0, 0), add)
        };
        while sum(&self.lately).0 > SMOOTH_MS && self.lately.len() > 1 {
            self.lately.pop_front();
        }
        let (span, stored) = sum(&self.lately);
        self.rates.push_back(stored * 1_000 / span.max(1));
        if self.rates.len() > SAMPLES {
            self.rates.pop_front();
        }
    }
}

impl Known {
    fn of(fleet: &Overview) -> Self {
        let mut known = Self {
            at_ms: fleet.at_ms,
            leader: fleet.leader.as_ref().map(|leader| leader.process.clone()),
            halted: fleet.halt.is_some(),
            missing: fleet.missing.clone(),
            differing: fleet.differing.clone(),
            ..Self::default()
        };
        for process in &fleet.processes {
            let name = &process.process;
            known.processes.insert(name.clone(), process.draining);
            if let Some(gateway) = &process.gateway {
                for group in &gateway.groups {
                    known.holders.insert(group.group, name.clone());
                }
                for shard in &gateway.shards {
                    let key = (name.clone(), shard.shard);
                    known.counts.insert(key, (shard.events, shard.gaps));
                }
            }
        }
        known
    }

    fn differences(&self, now: &Self, told: &mut Vec<(&'static str, String)>) {
        for (name, draining) in &self.processes {
            if now.processes.contains_key(name) {
                continue;
            }
            // Whoever was handing over is expected to leave.
            told.push(match draining {
                true => ("drain", format!("{name} has ended")),
                false => ("gone", format!("{name} speaks no more")),
            });
        }
        for (name, draining) in &now.processes {
            match self.processes.get(name) {
                None => told.push(("came", format!("{name} joins"))),
                Some(false) if *draining => {
                    told.push(("drain", format!("{name} hands its groups over")));
                }
                Some(_) => {}
            }
        }
        let mut moved: BTreeMap<(&str, &str), Vec<u32>> = BTreeMap::new();
        for (group, holder) in &now.holders {
            let from = self.holders.get(group);
            if let Some(from) = from.filter(|from| *from != holder) {
                moved.entry((from, holder)).or_default().push(*group);
            }
        }
        for ((from, to), groups) in moved {
            let groups: Vec<_> = groups.iter().map(u32::to_string).collect();
            let plural = if groups.len() == 1 { "" } else { "s" };
            let groups = groups.join(", ");
            told.push((
                "move",
                format!("{to} takes group{plural} {groups} from {from}"),
            ));
        }
        if let Some(leader) = now.leader.as_ref().filter(|_| now.leader != self.leader) {
            told.push(("leader", format!("{leader} leads")));
        }
        for stream in now.missing.difference(&self.missing) {
            told.push(("gone", format!("NATS has no stream {stream}")));
        }
        for stream in self.missing.difference(&now.missing) {
            told.push(("came", format!("the stream {stream} is there again")));
        }
        for stream in now.differing.difference(&self.differing) {
            told.push((
                "gone",
                format!("the stream {stream} is not as it should be"),
            ));
        }
        for stream in self.differing.difference(&now.differing) {
            told.push(("came", format!("the stream {stream} differs no more")));
        }
        match (self.halted, now.halted) {
            (false, true) => told.push(("gone", "the fleet is halted".to_owned())),
            (true, false) => told.push(("came", "the halt is cleared".to_owned())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        roster::overview::Shared,
        wire::status::{CoordinatorStatus, GatewayStatus, GroupStatus, ShardStatus, Status},
    };

    fn gateway(name: &str, group: u32, events: u64, gaps: u32) -> Status {
        let state = crate::wire::status::ShardState::Ready;
        let (shard, quiet_ms) = (group, 0);
        Status {
            process: name.to_owned(),
            gateway: Some(GatewayStatus {
                groups: vec![GroupStatus {
                    generation: 1,
                    group,
                    epoch: 1,
                }],
                shards: vec![ShardStatus {
                    shard,
                    state,
                    events,
                    gaps,
                    quiet_ms,
                }],
                ..GatewayStatus::default()
            }),
            ..Status::default()
        }
    }

    fn leader(name: &str) -> Status {
        Status {
            process: name.to_owned(),
            coordinator: Some(CoordinatorStatus {
                leader: true,
                ..CoordinatorStatus::default()
            }),
            ..Status::default()
        }
    }

    fn look(chronicle: &mut Chronicle, processes: Vec<Status>, at_ms: u64) -> Vec<String> {
        chronicle.happenings.clear();
        let fleet = Overview::new("discord", Shared::default(), processes, at_ms);
        chronicle.observe(&fleet);
        chronicle
            .happenings
            .iter()
            .map(|h| h.text.clone())
            .collect()
    }

    #[test]
    fn a_takeover_is_told_once_and_its_events_count_from_zero() {
        let mut chronicle = Chronicle::default();
        let both = vec![
            gateway("a", 0, 500, 0),
            gateway("b", 1, 100, 0),
            leader("c"),
        ];
        assert!(look(&mut chronicle, both, 1_000).is_empty());
        let after = vec![
            gateway("a", 0, 700, 0),
            gateway("b", 1, 150, 0),
            leader("c"),
        ];
        assert!(look(&mut chronicle, after, 2_000).is_empty());
        assert_eq!(chronicle.rates, [250]);
        let alone = vec![gateway("b", 1, 150, 0)];
        let told = look(&mut chronicle, alone, 3_000);
        assert_eq!(told, ["c speaks no more", "a speaks no more"]);
        let taken = vec![gateway("b", 0, 40, 1), leader("d")];
        let told = look(&mut chronicle, taken.clone(), 5_000);
        assert_eq!(
            told,
            [
                "d leads",
                "b takes group 0 from a",
                "d joins",
                "shard 0: a gap is announced"
            ]
        );
        // 250 and 40 events within four seconds.
        assert_eq!(chronicle.rates.back(), Some(&72));
        assert!(look(&mut chronicle, taken, 6_000).is_empty());
    }

    /// Acks come every two seconds; the rate is steady all the same.
    #[test]
    fn what_is_acknowledged_in_bursts_flows_evenly() {
        let mut chronicle = Chronicle::default();
        for second in 0..30 {
            let events = second / 2 * 70;
            look(
                &mut chronicle,
                vec![gateway("a", 0, events, 0)],
                second * 1_000,
            );
        }
        let rates = chronicle.rates.iter().skip(10);
        assert!(
            rates.clone().all(|rate| *rate == 35),
            "{:?}",
            chronicle.rates
        );
    }

    /// 633,275 events a second were told once.
    #[test]
    fn an_outage_is_no_rate() {
        let mut chronicle = Chronicle::default();
        let at = |events| vec![gateway("a", 0, events, 0)];
        look(&mut chronicle, at(1_000_000), 1_000);
        look(&mut chronicle, at(1_000_100), 2_000);
        let mut away = Overview::new("discord", Shared::default(), Vec::new(), 2_000);
        away.nats_away_ms = Some(1_000);
        chronicle.observe(&away);
        assert!(chronicle.happenings.is_empty());
        // Back after a minute, with all that waited; then as before.
        look(&mut chronicle, at(1_006_000), 62_000);
        look(&mut chronicle, at(1_006_100), 63_000);
        assert_eq!(chronicle.rates, [100, 100]);
        // Somebody silent for a while, and back, has counted all the time.
        look(&mut chronicle, vec![gateway("b", 1, 0, 0)], 64_000);
        let mut both = at(1_006_300);
        both.push(gateway("b", 1, 0, 0));
        look(&mut chronicle, both, 65_000);
        assert!(chronicle.rates.iter().all(|rate| *rate <= 100));
    }

    #[test]
    fn whoever_hands_over_and_leaves_has_ended() {
        let mut chronicle = Chronicle::default();
        let draining = Status {
            draining: true,
            ..gateway("a", 0, 1, 0)
        };
        look(&mut chronicle, vec![draining, leader("b")], 1_000);
        let told = look(&mut chronicle, vec![leader("b")], 2_000);
        assert_eq!(told, ["a has ended"]);
    }
}
