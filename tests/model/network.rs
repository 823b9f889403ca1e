//! Carries messages: late, twice, in another order, or not at all.

use std::{collections::BinaryHeap, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    event::{Event, Scheduled},
    plan::Plan,
};

#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) now: Duration,
    pub(crate) dice: StdRng,
    heap: BinaryHeap<Scheduled>,
    number: u64,
    plan: Plan,
}

impl Network {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            now: Duration::ZERO,
            dice: StdRng::seed_from_u64(plan.seed ^ 0x5eed),
            heap: BinaryHeap::new(),
            number: 0,
            plan: plan.clone(),
        }
    }

    /// True while things go wrong.
    pub(crate) fn chaos(&self) -> bool {
        self.now < self.plan.chaos
    }

    pub(crate) fn at(&mut self, at: Duration, event: Event) {
        self.number += 1;
        self.heap.push(Scheduled {
            at: at.max(self.now),
            number: self.number,
            event,
        });
    }

    pub(crate) fn after(&mut self, span: Duration, event: Event) {
        self.at(self.now + span, event);
    }

    /// Sends, and hopes.
    pub(crate) fn send(&mut self, event: Event) {
        if self.chaos() {
            if self.dice.random_bool(self.plan.drop) {
                return;
            }
            if self.dice.random_bool(self.plan.duplicate) {
                let late = self.delay();
                self.after(late, event.clone());
            }
        }
        let delay = self.delay();
        self.after(delay, event);
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        let next = self.heap.pop()?;
        self.now = next.at;
        Some(next.event)
    }

    /// A moment of the past, a little while ago.
    pub(crate) fn lately(&mut self) -> Duration {
        let ago = self.dice.random_range(0..5_000);
        self.now.saturating_sub(Duration::from_millis(ago))
    }

    fn delay(&mut self) -> Duration {
        let most_ms = if !self.chaos() {
            5
        } else if self.dice.random_bool(self.plan.stuck) {
            10_000
        } else if self.dice.random_bool(self.plan.slow) {
            1_000
        } else {
            20
        };
        Duration::from_micros(self.dice.random_range(500..most_ms * 1_000))
    }
}
