//! What every process has: a clock of its own, an inbox, and the chance to be frozen.

use std::{collections::VecDeque, time::Duration};

use rand::{Rng, rngs::StdRng};
use shardfleet::clock::Boottime;

#[derive(Debug)]
pub(crate) struct Process<M> {
    pub(crate) inbox: VecDeque<M>,
    pub(crate) frozen_until: Duration,
    offset: Duration,
    rate: f64,
    /// The earliest wake-up that is on its way.
    pub(crate) armed: Option<Duration>,
    /// Which of its lives this is; what was meant for an earlier one is lost.
    pub(crate) life: u32,
}

impl<M> Process<M> {
    pub(crate) fn new(dice: &mut StdRng, drift: f64) -> Self {
        Self {
            inbox: VecDeque::new(),
            frozen_until: Duration::ZERO,
            offset: Duration::from_secs(dice.random_range(100..1_000_000)),
            rate: 1.0 + dice.random_range(-1.0..=1.0) * drift,
            armed: None,
            life: 0,
        }
    }

    /// Its clock.
    pub(crate) fn clock(&self, now: Duration) -> Boottime {
        Boottime(self.offset + now.mul_f64(self.rate))
    }

    /// When its clock shows that; a little later rather than earlier.
    pub(crate) fn world(&self, at: Boottime) -> Duration {
        let own = at.0.saturating_sub(self.offset);
        own.mul_f64(1.0 / self.rate) + Duration::from_micros(1)
    }

    /// When to be woken for this, unless an earlier wake-up is on its way.
    pub(crate) fn arm(&mut self, wakeup: Option<Duration>, now: Duration) -> Option<Duration> {
        let at = wakeup?.max(now);
        if self.armed.is_some_and(|armed| armed <= at) {
            return None;
        }
        self.armed = Some(at);
        Some(at)
    }

    pub(crate) fn restart(&mut self) {
        self.inbox.clear();
        self.life += 1;
    }
}
