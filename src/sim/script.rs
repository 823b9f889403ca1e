//! The faults that stand for a while, and what they mean for whoever comes meanwhile.

use std::time::Duration;

use tokio::time::Instant;

use super::fault::{Door, Shards};

/// Faults in force.
#[derive(Debug, Default)]
pub(super) struct Script {
    gateway: Standing<Door>,
    resume: Standing<Door>,
    no_hello: Standing<bool>,
    no_hello_count: u32,
    slow_ack: Vec<(Shards, Standing<Duration>)>,
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
    pub(super) fn set_gateway(&mut self, door: Door, span: Option<Duration>, now: Instant) {
        self.gateway = Standing::new(door, span, now);
    }

    pub(super) fn set_resume(&mut self, door: Door, span: Option<Duration>, now: Instant) {
        self.resume = Standing::new(door, span, now);
    }

    /// Neither a count nor a time: for good. A count of 0: no longer.
    pub(super) fn set_no_hello(
        &mut self,
        count: Option<u32>,
        span: Option<Duration>,
        now: Instant,
    ) {
        self.no_hello_count = count.unwrap_or(0);
        self.no_hello = Standing::new(count.is_none(), span, now);
    }

    pub(super) fn set_slow_ack(
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

    /// What a new connection finds; `resuming`: it came to the resume host.
    pub(super) fn door(&self, resuming: bool, now: Instant) -> Door {
        match self.gateway.get(now) {
            Door::Ok if resuming => self.resume.get(now),
            door => door,
        }
    }

    /// Whether a new connection gets a HELLO.
    pub(super) fn hello(&mut self, now: Instant) -> bool {
        if self.no_hello_count > 0 {
            self.no_hello_count -= 1;
            return false;
        }
        !self.no_hello.get(now)
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
        assert_eq!(script.door(true, now), Door::Refuse);
        assert_eq!(script.door(false, now), Door::Ok);
        assert_eq!(script.door(true, later), Door::Ok);
        script.set_gateway(Door::Unavailable, None, now);
        assert_eq!(script.door(true, later), Door::Unavailable);
    }

    #[test]
    fn hello_is_kept_back_by_count_or_by_time() {
        let now = crate::clock::now();
        let mut script = Script::default();
        script.set_no_hello(Some(2), None, now);
        assert_eq!(
            [script.hello(now), script.hello(now), script.hello(now)],
            [false, false, true]
        );
        script.set_no_hello(None, Some(Duration::from_secs(1)), now);
        assert!(!script.hello(now));
        assert!(script.hello(now + Duration::from_secs(1)));
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
