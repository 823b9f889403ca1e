//! Everybody, in virtual time.

use std::time::Duration;

use rand::Rng;
use shardfleet::wire::identify::{Ledger, Request};

use crate::{
    asker::Asker,
    coordinator::{Coordinator, sighting},
    discord::Discord,
    event::{Event, Heard, LeaseValue, Told},
    judge::Judge,
    kv::{Answer, Key, Op},
    network::Network,
    plan::Plan,
};

/// One run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) judge: Judge,
    pub(crate) network: Network,
    pub(crate) events: u64,
    plan: Plan,
    coordinators: Vec<Coordinator>,
    askers: Vec<Asker>,
    pub(crate) discord: Discord,
    lease: Key<LeaseValue>,
    ledger: Key<Box<Ledger>>,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut network = Network::new(&plan);
        let coordinators: Vec<_> = (0..plan.coordinators)
            .map(|n| Coordinator::new(n, &plan, &mut network.dice))
            .collect();
        let askers: Vec<_> = (0..plan.askers)
            .map(|shard| Asker::new(shard, &plan, &mut network.dice))
            .collect();
        for number in 0..plan.coordinators {
            network.at(Duration::ZERO, Event::StepCoordinator(number));
        }
        for asker in 0..plan.askers {
            let begins = plan.rush.mul_f64(network.dice.random());
            network.at(begins, Event::ToAsker(asker, Heard::Enqueue));
        }
        for (at, cut) in &plan.recuts {
            network.at(*at, Event::Recut(*cut));
        }
        for asker in (0..plan.askers).filter(|_| plan.invalidated.is_some()) {
            let at = plan.invalidated.unwrap_or_default();
            network.at(at, Event::ToAsker(asker, Heard::Enqueue));
        }
        network.at(plan.day_opens, Event::DayOpens);
        network.at(Duration::from_secs(1), Event::Misfortune);
        Self {
            judge: Judge::default(),
            network,
            events: 0,
            coordinators,
            askers,
            discord: Discord::new(&plan),
            lease: Key::new(Some(Duration::from_secs(15))),
            ledger: Key::new(None),
            plan,
        }
    }

    /// Until everybody is served, a rule is broken, or it has taken too long.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        let deadline = self.deadline();
        while let Some(event) = self.network.next() {
            self.events += 1;
            self.happen(event);
            if let Some(broken) = self.judge.broken.take() {
                return Err(broken);
            }
            let later = self.plan.invalidated.unwrap_or(self.plan.chaos);
            if self.network.now >= later && self.served() {
                return Ok(());
            }
            if self.network.now > deadline {
                let waits = self.askers.iter().position(Asker::waits).unwrap_or(0);
                let leaders = format!("{:#?}", self.leaders());
                let waits = u32::try_from(waits).unwrap();
                self.judge.starved(self.network.now, waits, &leaders);
            }
        }
        Ok(())
    }

    /// Who leads, at a glance; for whoever has to find out why somebody waits.
    fn leaders(&self) -> Vec<shardfleet::wire::status::CoordinatorStatus> {
        let now = self.network.now;
        let status = |c: &Coordinator| c.leader.status(c.process.clock(now));
        self.coordinators.iter().map(status).collect()
    }

    /// The chaos, its last pauses and leases, then every bucket's queue; at worst a pause of the
    /// slow-down that the chaos has earned, and the day that opens.
    fn deadline(&self) -> Duration {
        let cuts = self.plan.recuts.iter().map(|(_, cut)| *cut);
        let least = cuts.fold(self.plan.max_concurrency, u32::min);
        let queue = self.plan.askers.div_ceil(least as usize) + 2;
        let settled = self.plan.chaos + self.plan.lying_lease + Duration::from_secs(60);
        let served = Duration::from_secs(10) * u32::try_from(queue).unwrap();
        settled.max(self.plan.day_opens) + served + Duration::from_secs(900)
    }

    fn served(&self) -> bool {
        self.judge.received.len() >= self.askers.len()
            && self
                .askers
                .iter()
                .all(|asker| !asker.waits() && asker.identified > 0)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::StepCoordinator(number) => self.step_coordinator(number),
            Event::StepAsker(number) => self.step_asker(number),
            Event::ToCoordinator(number, told) => {
                self.coordinators[number].process.inbox.push_back(told);
                self.step_coordinator(number);
            }
            Event::ToAsker(number, heard) => {
                self.askers[number].process.inbox.push_back(heard);
                self.step_asker(number);
            }
            Event::OnLease(from, life, number, op) => {
                let answer = self.lease.apply(op, self.network.now);
                let told = Told::Lease(life, number, answer);
                self.network.send(Event::ToCoordinator(from, told));
            }
            Event::OnLedger(from, life, number, op) => self.on_ledger(from, life, number, op),
            Event::OnDiscord(from, life, number, asked) => {
                let now = self.network.now;
                let told = match self.discord.barred(now) {
                    Some(pause) => Told::LimitsBarred(life, number, pause),
                    None => Told::Limits(life, number, self.discord.answer(asked, now)),
                };
                self.network.send(Event::ToCoordinator(from, told));
            }
            Event::Identify(shard) => {
                let now = self.network.now;
                if !self.discord.receive(shard, now) {
                    let refused = Event::ToAsker(shard as usize, Heard::Refused);
                    self.network.after(Duration::from_millis(50), refused);
                }
                let cuts = self.discord.cuts(now);
                self.judge.identify(now, shard, &cuts, self.discord.left());
                self.compare_ledger();
            }
            Event::Recut(cut) => self.discord.recut(cut, self.network.now),
            Event::DayOpens => self.discord.open_day(),
            Event::Misfortune => self.misfortune(),
        }
    }

    fn on_ledger(&mut self, from: usize, life: u32, number: u64, op: Op<Box<Ledger>>) {
        let now = self.network.now;
        let stale = self.network.chaos() && self.network.dice.random_bool(self.plan.stale);
        let answer = if stale && matches!(op, Op::Read) {
            let lately = self.network.lately();
            Answer::Found(self.ledger.at(lately))
        } else {
            self.ledger.apply(op, now)
        };
        if let (Answer::Applied(_), Some((ledger, revision))) = (&answer, self.ledger.at(now)) {
            self.compare_ledger();
            for follower in 0..self.coordinators.len() {
                let told = Told::Sighted(sighting(&ledger, revision));
                self.network.send(Event::ToCoordinator(follower, told));
            }
        }
        let told = Told::Ledger(life, number, answer);
        self.network.send(Event::ToCoordinator(from, told));
    }

    fn compare_ledger(&mut self) {
        let now = self.network.now;
        if let Some((ledger, _)) = self.ledger.at(now)
            && let Some(remaining) = ledger.remaining
        {
            self.judge.ledger(now, remaining, self.discord.truth());
        }
    }

    fn step_coordinator(&mut self, number: usize) {
        let askers = self.askers.len();
        let (coordinator, network) = (&mut self.coordinators[number], &mut self.network);
        coordinator.process.armed = coordinator.process.armed.filter(|at| *at > network.now);
        while network.now >= coordinator.process.frozen_until {
            if !coordinator.step(network, askers) {
                break;
            }
            coordinator.process.frozen_until = freeze(network, &self.plan);
        }
        let wakeup = if network.now < coordinator.process.frozen_until {
            Some(coordinator.process.frozen_until)
        } else {
            let next = coordinator.next_wakeup();
            next.map(|at| coordinator.process.world(at))
        };
        if let Some(at) = coordinator.process.arm(wakeup, network.now) {
            network.at(at, Event::StepCoordinator(number));
        }
    }

    fn step_asker(&mut self, number: usize) {
        let (asker, network) = (&mut self.askers[number], &mut self.network);
        asker.process.armed = asker.process.armed.filter(|at| *at > network.now);
        let mut sent = Vec::new();
        while network.now >= asker.process.frozen_until {
            let Some(requests) = asker.step(network) else {
                break;
            };
            sent.extend(requests);
            asker.process.frozen_until = freeze(network, &self.plan);
        }
        let wakeup = if network.now < asker.process.frozen_until {
            Some(asker.process.frozen_until)
        } else {
            asker.next_wakeup().map(|at| asker.process.world(at))
        };
        if let Some(at) = asker.process.arm(wakeup, network.now) {
            network.at(at, Event::StepAsker(number));
        }
        for request in sent {
            self.say(number, &request);
        }
    }

    /// Whoever listens hears it, each in its own time.
    fn say(&mut self, from: usize, request: &Request) {
        for (number, coordinator) in self.coordinators.iter().enumerate() {
            if coordinator.leader.leads() {
                let told = Told::Request(request.clone(), from);
                self.network.send(Event::ToCoordinator(number, told));
            }
        }
    }

    fn misfortune(&mut self) {
        if !self.network.chaos() {
            return;
        }
        let now = self.network.now;
        self.network
            .after(Duration::from_secs(1), Event::Misfortune);
        if self.network.dice.random_bool(self.plan.crash) {
            let number = self.network.dice.random_range(0..self.coordinators.len());
            self.coordinators[number].crash(now);
            self.network.at(now, Event::StepCoordinator(number));
        }
        if self.network.dice.random_bool(self.plan.crash) {
            let number = self.network.dice.random_range(0..self.askers.len());
            self.askers[number].crash();
            self.network.at(now, Event::StepAsker(number));
        }
    }
}

/// Until when somebody is frozen after a step; mostly they are not.
fn freeze(network: &mut Network, plan: &Plan) -> Duration {
    if !network.chaos() || !network.dice.random_bool(plan.pause) {
        return Duration::ZERO;
    }
    let most = if network.dice.random_bool(0.5) {
        500
    } else {
        20_000
    };
    network.now + Duration::from_millis(network.dice.random_range(1..most))
}
