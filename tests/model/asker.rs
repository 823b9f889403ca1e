//! A shard that asks, or a front that asks in an HTTP client's name: the real asker.

use std::{collections::VecDeque, time::Duration};

use rand::{Rng, rngs::StdRng};
use shardfleet::{
    clock::Boottime,
    fleet::ShardId,
    identify::{Asker as Decision, Verdict},
    wire::identify::{HTTP_SLACK, Request},
};

use crate::{
    event::{Event, Heard},
    network::Network,
    plan::Plan,
    process::Process,
};

#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) process: Process<Heard>,
    pub(crate) identified: u32,
    shard: u32,
    of: u32,
    http: bool,
    again: f64,
    path: Duration,
    decision: Option<Decision>,
    /// Said after the IDENTIFY left.
    confirm: VecDeque<Request>,
    /// The last of those, said again if Discord refuses.
    confirmed: Option<Request>,
    enqueues: u32,
}

impl Asker {
    pub(crate) fn new(shard: usize, plan: &Plan, dice: &mut StdRng) -> Self {
        Self {
            process: Process::new(dice, plan.drift),
            identified: 0,
            shard: u32::try_from(shard).unwrap(),
            of: u32::try_from(plan.askers).unwrap(),
            http: shard < plan.http,
            again: plan.again,
            // Clocks that run apart take their part of the margin.
            path: plan.margin.saturating_sub(Duration::from_millis(15)),
            decision: None,
            confirm: VecDeque::new(),
            confirmed: None,
            enqueues: 0,
        }
    }

    pub(crate) fn waits(&self) -> bool {
        self.decision.is_some() || !self.process.inbox.is_empty()
    }

    /// What it was about to use or confirm is lost; its shard needs a session all the same.
    pub(crate) fn crash(&mut self) {
        let waited = self.waits();
        self.process.restart();
        self.confirm.clear();
        self.confirmed = None;
        if waited {
            self.process.inbox.push_back(Heard::Enqueue);
        }
    }

    /// One step. The request that it sends, or nothing to do.
    pub(crate) fn step(&mut self, network: &mut Network) -> Option<Vec<Request>> {
        let clock = self.process.clock(network.now);
        if let Some(confirm) = self.confirm.pop_front() {
            return Some(vec![confirm]);
        }
        if let Some(heard) = self.process.inbox.pop_front() {
            self.hear(heard, clock, network);
            return Some(Vec::new());
        }
        let decision = self.decision.as_mut()?;
        if decision.next_wakeup()? > clock {
            return None;
        }
        Some(vec![decision.ask(clock)])
    }

    pub(crate) fn next_wakeup(&self) -> Option<Boottime> {
        self.decision.as_ref()?.next_wakeup()
    }

    fn hear(&mut self, heard: Heard, clock: Boottime, network: &mut Network) {
        match heard {
            Heard::Enqueue => {
                self.enqueues += 1;
                let nonce = format!("{}-{}", self.shard, self.enqueues);
                let process = format!("g{}", self.shard);
                let (shard, of) = (ShardId(self.shard), if self.http { 0 } else { self.of });
                let decision = Decision::new(shard, of, nonce, process, clock);
                // Whoever says nothing is in bucket 0: there the first of them is right to be silent.
                self.decision = Some(match (self.http, self.shard) {
                    (true, 0) => decision.for_http().shardless(),
                    (true, _) => decision.for_http(),
                    (false, _) => decision,
                });
            }
            Heard::Refused => {
                // An HTTP client cannot tell; both try again.
                if let Some(Request::Confirm(mut confirm)) = self.confirmed.take_if(|_| !self.http)
                {
                    confirm.refused = true;
                    self.confirm.push_back(Request::Confirm(confirm));
                }
                let later = Duration::from_millis(network.dice.random_range(1_000..5_000));
                network.after(later, Event::ToAsker(self.shard as usize, Heard::Enqueue));
            }
            Heard::Leader => {
                if let Some(decision) = &mut self.decision {
                    decision.on_leader(clock);
                }
            }
            Heard::Reply(reply) => {
                let Some(decision) = &mut self.decision else {
                    return;
                };
                if decision.on_reply(&reply, clock) != Verdict::Fire {
                    return;
                }
                // Checked and sent with no await between.
                if let Some(confirm) = decision.fire(clock) {
                    self.identify(network);
                    self.confirm.push_back(confirm.clone());
                    self.confirmed = Some(confirm);
                    self.decision = None;
                }
            }
        }
    }

    fn identify(&mut self, network: &mut Network) {
        self.identified += 1;
        let mut travels = Duration::from_millis(40);
        travels += self.path.mul_f64(network.dice.random());
        if self.http {
            // The client takes its time, within the slack.
            travels += HTTP_SLACK.mul_f64(network.dice.random_range(0.0..0.99));
        }
        network.after(travels, Event::Identify(self.shard));
        if network.chaos() && network.dice.random_bool(self.again) && self.identified < 3 {
            let later = Duration::from_millis(network.dice.random_range(100..60_000));
            network.after(later, Event::ToAsker(self.shard as usize, Heard::Enqueue));
        }
    }
}
