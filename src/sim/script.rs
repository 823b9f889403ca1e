//! The faults that stand for a while, and what they mean for whoever comes meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::Told;
use super::armed::{Armed, Term};
use super::fault::{Door, Shards, span};
use super::interrupt::{At, Turn};
use super::pace::Pace;
use super::rest::RestFault;

mod arm;

/// Faults in force.
#[derive(Debug, Default)]
pub(super) struct Script {
    gateway: Standing<Door>,
    resume: Standing<Door>,
    turns: HashMap<At, Armed<Turn>>,
    refuse_resume: Vec<(Shards, Standing<bool>)>,
    slow_ack: Vec<(Shards, Standing<Duration>)>,
    outages: Vec<(Shards, usize, Option<Instant>)>,
    raids: Vec<Raid>,
    rest_limit: Option<(u32, f64, bool)>,
    rest: HashMap<Option<String>, Armed<RestFault>>,
    ready: Armed<Told>,
    /// The name of the gateway's URL, and what the other URLs find.
    place: (String, Door),
}

/// Outages, and raids, at one time.
const MOST_STANDING: usize = 64;

/// A raid that goes on.
#[derive(Debug)]
struct Raid {
    shards: Shards,
    pace: Pace,
    rate: u32,
    until: Instant,
}

/// Slow acks remembered; a newer one for all shards replaces them all.
const MOST_SLOW: usize = 64;

/// A value for a while, then the usual one again.
#[derive(Debug, Default)]
struct Standing<T> {
    value: T,
    until: Option<Instant>,
}

impl<T: Copy + Default> Standing<T> {
    fn new(value: T, span: Option<Duration>, now: Instant) -> Self {
        Self {
            value,
            until: span.map(|span| now + span),
        }
    }

    fn get(&self, now: Instant) -> T {
        if self.until.is_some_and(|until| until <= now) {
            T::default()
        } else {
            self.value
        }
    }
}

impl Script {
    fn set_gateway(&mut self, door: Door, span: Option<Duration>, now: Instant) {
        self.gateway = Standing::new(door, span, now);
    }

    fn set_resume(&mut self, door: Door, span: Option<Duration>, now: Instant) {
        self.resume = Standing::new(door, span, now);
    }

    /// What is done at a moment in the connections of these shards.
    fn set_turn(&mut self, at: At, shards: Shards, term: Term, turn: Turn, now: Instant) {
        self.turns
            .entry(at)
            .or_default()
            .set(shards, term, turn, now);
    }

    fn set_refuse_resume(&mut self, shards: Shards, span: Option<Duration>, now: Instant) {
        if shards == Shards::All || self.refuse_resume.len() >= MOST_STANDING {
            self.refuse_resume.clear();
        }
        self.refuse_resume
            .push((shards, Standing::new(true, span, now)));
    }

    fn set_slow_ack(
        &mut self,
        shards: Shards,
        delay: Duration,
        span: Option<Duration>,
        now: Instant,
    ) {
        if shards == Shards::All || self.slow_ack.len() >= MOST_SLOW {
            self.slow_ack.clear();
        }
        self.slow_ack
            .push((shards, Standing::new(delay, span, now)));
    }

    /// From now on the first `most` guilds of these shards are unavailable.
    pub(super) fn set_outage(
        &mut self,
        shards: Shards,
        most: usize,
        span: Option<Duration>,
        now: Instant,
    ) {
        if shards == Shards::All || self.outages.len() >= MOST_STANDING {
            self.outages.clear();
        }
        // An outage of no guild is the end of one.
        if most > 0 {
            self.outages
                .push((shards, most, span.map(|span| now + span)));
        }
    }

    /// So many joins in each of these shards from now on, spread over `for_ms`.
    pub(super) fn set_raid(&mut self, shards: Shards, joins: u32, for_ms: u64, now: Instant) {
        let for_ms = for_ms.clamp(100, 3_600_000);
        if self.raids.len() < MOST_STANDING {
            let rate = u64::from(joins).saturating_mul(1000) / for_ms;
            self.raids.push(Raid {
                shards,
                pace: Pace::new(now),
                rate: u32::try_from(rate).unwrap_or(u32::MAX).max(1),
                until: now + Duration::from_millis(for_ms),
            });
        }
    }

    fn set_rest_limit(&mut self, count: u32, retry_after: f64, global: bool) {
        self.rest_limit = (count > 0).then_some((count, retry_after, global));
    }

    /// Whether the next REST request is refused: seconds to wait, and whether it is the global limit.
    pub(super) fn refuse_request(&mut self) -> Option<(f64, bool)> {
        let (left, wait, global) = self.rest_limit?;
        self.rest_limit = (left > 1).then_some((left - 1, wait, global));
        Some((wait, global))
    }

    /// Joins that are due in each of these shards.
    pub(super) fn raids(&mut self, now: Instant) -> Vec<(Shards, u64)> {
        self.raids.retain(|raid| now < raid.until);
        let due = self
            .raids
            .iter_mut()
            .map(|raid| (raid.shards.clone(), raid.pace.due(raid.rate, now)));
        due.filter(|(_, due)| *due > 0).collect()
    }

    /// Whether the guild at `index` of a shard is unavailable.
    pub(super) fn is_out(&self, shard: u32, index: usize, now: Instant) -> bool {
        self.outages.iter().any(|(shards, most, until)| {
            index < *most && shards.has(shard) && until.is_none_or(|until| now < until)
        })
    }

    fn set_rest(&mut self, fault: RestFault, now: Instant) {
        let term = Term {
            count: fault.count,
            span: span(fault.for_ms),
        };
        if self.rest.len() >= MOST_STANDING || (fault.is_over() && fault.route.is_none()) {
            self.rest.clear();
        }
        if fault.is_over() {
            self.rest.remove(&fault.route);
            return;
        }
        let route = self.rest.entry(fault.route.clone()).or_default();
        route.set(Shards::All, term, fault, now);
    }

    /// What REST does on this route instead of what it should.
    pub(super) fn rest(&mut self, route: &str, now: Instant) -> Option<RestFault> {
        let own = self.rest.get_mut(&Some(route.to_owned()));
        own.and_then(|own| own.take(None, now))
            .or_else(|| self.rest.get_mut(&None)?.take(None, now))
    }

    fn set_ready(&mut self, shards: Shards, term: Term, told: Told, now: Instant) {
        self.ready.set(shards, term, told, now);
    }

    /// What this shard's next READY says.
    pub(super) fn ready(&mut self, shard: u32, now: Instant) -> Told {
        self.ready.take(Some(shard), now).unwrap_or_default()
    }

    fn set_place(&mut self, to: &str, old: Door) {
        self.place = (to.to_owned(), old);
    }

    /// The path of the gateway's URL.
    pub(super) fn place(&self) -> String {
        match self.place.0.as_str() {
            "" => String::new(),
            name => format!("/at/{name}"),
        }
    }

    /// What a new connection finds; `place`: the path that it came to; `resuming`: of the resume host.
    pub(super) fn door(&self, place: &str, resuming: bool, now: Instant) -> Door {
        match self.gateway.get(now) {
            Door::Ok if place != self.place() && self.place.1 != Door::Ok => self.place.1,
            Door::Ok if resuming => self.resume.get(now),
            door => door,
        }
    }

    /// What is done at a moment, if anything but the usual.
    pub(super) fn turn(&mut self, at: At, shard: Option<u32>, now: Instant) -> Option<Turn> {
        self.turns.get_mut(&at)?.take(shard, now)
    }

    /// Whether this shard's RESUMEs are answered with op 9.
    pub(super) fn refuses_resume(&self, shard: u32, now: Instant) -> bool {
        let mut standing = self.refuse_resume.iter();
        standing.any(|(shards, refuses)| shards.has(shard) && refuses.get(now))
    }

    /// How late this shard's heartbeats are answered.
    pub(super) fn ack_delay(&self, shard: u32, now: Instant) -> Duration {
        let latest = self
            .slow_ack
            .iter()
            .rev()
            .find(|(shards, _)| shards.has(shard));
        latest.map_or(Duration::ZERO, |(_, delay)| delay.get(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_stands_for_its_time() {
        let now = crate::clock::now();
        let later = now + Duration::from_secs(2);
        let mut script = Script::default();
        script.set_resume(Door::Refuse, Some(Duration::from_secs(2)), now);
        assert_eq!(script.door("", true, now), Door::Refuse);
        assert_eq!(script.door("", false, now), Door::Ok);
        assert_eq!(script.door("", true, later), Door::Ok);
        script.set_refuse_resume(Shards::These(vec![1]), Some(Duration::from_secs(2)), now);
        assert!(script.refuses_resume(1, now) && !script.refuses_resume(0, now));
        assert!(!script.refuses_resume(1, later));
        script.set_gateway(Door::Unavailable, None, now);
        assert_eq!(script.door("", true, later), Door::Unavailable);
    }

    #[test]
    fn an_outage_ends_by_itself_or_by_another() {
        let now = crate::clock::now();
        let mut script = Script::default();
        script.set_outage(Shards::These(vec![2]), 1, Some(Duration::from_secs(1)), now);
        assert!(script.is_out(2, 0, now));
        assert!(!script.is_out(2, 1, now) && !script.is_out(3, 0, now));
        assert!(!script.is_out(2, 0, now + Duration::from_secs(1)));
        script.set_outage(Shards::All, 0, None, now);
        assert!(!script.is_out(2, 0, now));
    }

    #[test]
    fn a_raid_sends_its_crowd_and_ends() {
        let now = crate::clock::now();
        let mut script = Script::default();
        script.set_raid(Shards::All, 100, 1000, now);
        let due = |script: &mut Script, ms| {
            let raids = script.raids(now + Duration::from_millis(ms));
            raids.iter().map(|(_, due)| due).sum::<u64>()
        };
        assert_eq!(due(&mut script, 400) + due(&mut script, 800), 80);
        assert_eq!(due(&mut script, 1000), 0);
    }

    #[test]
    fn requests_are_refused_by_number() {
        let mut script = Script::default();
        script.set_rest_limit(1, 0.5, true);
        assert_eq!(script.refuse_request(), Some((0.5, true)));
        assert_eq!(script.refuse_request(), None);
    }

    #[test]
    fn the_latest_slow_ack_of_a_shard_holds() {
        let now = crate::clock::now();
        let mut script = Script::default();
        script.set_slow_ack(Shards::All, Duration::from_secs(1), None, now);
        script.set_slow_ack(Shards::These(vec![4]), Duration::ZERO, None, now);
        assert_eq!(script.ack_delay(3, now), Duration::from_secs(1));
        assert_eq!(script.ack_delay(4, now), Duration::ZERO);
    }
}
