//! A coordinator: the real leader and the real lease, with one job on each bucket at a time.

use std::{collections::VecDeque, time::Duration};

use rand::rngs::StdRng;
use shardfleet::{
    clock::Boottime,
    coordinator::leader::{Effect, Input, Leader, Options, Sighting, Unreadable, Written},
    lease::{
        Held,
        state::{Found, Outcome, State, Step},
    },
    wire::identify::Ledger,
};

use crate::{
    event::{Event, Heard, LeaseValue, Told},
    kv::{Answer, Op},
    network::Network,
    plan::{Plan, RESERVE},
    process::Process,
};

const TTL: Duration = Duration::from_secs(15);
/// How long a write or a question waits for its answer.
const KV_TIMEOUT: Duration = Duration::from_secs(2);
const REST_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Coordinator {
    pub(crate) process: Process<Told>,
    pub(crate) leader: Leader<usize>,
    number: usize,
    lease: State,
    believed: Option<Held>,
    lying: Duration,
    effects: VecDeque<Effect<usize>>,
    jobs: VecDeque<Op<Box<Ledger>>>,
    /// The operation under way on each, and on Discord.
    on_lease: Option<(u64, bool)>,
    /// When the lease has something to do.
    lease_at: Boottime,
    on_ledger: Option<(u64, bool)>,
    on_discord: Option<u64>,
    operations: u64,
    options: Options,
    shards: u32,
}

impl Coordinator {
    pub(crate) fn new(number: usize, plan: &Plan, dice: &mut StdRng) -> Self {
        let process = Process::new(dice, plan.drift);
        let options = Options {
            process: format!("c{number}"),
            margin: plan.margin,
            reserve: RESERVE,
        };
        let lease = State::new(TTL, true, process.clock(Duration::ZERO));
        let mut coordinator = Self {
            process,
            leader: Leader::new(options.clone()),
            number,
            lease,
            believed: None,
            lying: plan.lying_lease,
            effects: VecDeque::new(),
            jobs: VecDeque::new(),
            on_lease: None,
            lease_at: Boottime::default(),
            on_ledger: None,
            on_discord: None,
            operations: 0,
            options,
            shards: u32::try_from(plan.askers).unwrap(),
        };
        coordinator.crash(Duration::ZERO);
        coordinator
    }

    /// Ends without a word and begins anew; what it sent is on its way all the same.
    pub(crate) fn crash(&mut self, now: Duration) {
        self.process.restart();
        let clock = self.process.clock(now);
        self.options.process = format!("c{}-{}", self.number, self.process.life);
        self.leader = Leader::new(self.options.clone());
        self.lease = State::new(TTL, true, clock);
        self.believed = None;
        self.effects.clear();
        self.jobs.clear();
        (self.on_lease, self.on_ledger, self.on_discord) = (None, None, None);
        self.lease_at = clock;
        self.leader.apply(Input::Shards(self.shards), clock);
        self.leader.apply(Input::Halted(false), clock);
    }

    /// One step: an effect, a message, or what time has made due. False if there was nothing to do.
    pub(crate) fn step(&mut self, network: &mut Network, askers: usize) -> bool {
        let clock = self.process.clock(network.now);
        if let Some(effect) = self.effects.pop_front() {
            self.carry_out(effect, network, askers);
        } else if let Some(told) = self.process.inbox.pop_front() {
            self.hear(told, clock);
        } else if self.keep_lease(clock, network) {
            // The lease has moved.
        } else if self.leader.next_wakeup().is_some_and(|at| at <= clock) {
            self.take(Input::Tick, clock);
        } else {
            return false;
        }
        self.pump(network);
        true
    }

    /// When it has something to do by its own clock.
    pub(crate) fn next_wakeup(&self) -> Option<Boottime> {
        let lease = self.on_lease.is_none().then_some(self.lease_at);
        let believed = self.believed.map(|held| held.until);
        [lease, believed, self.leader.next_wakeup()]
            .into_iter()
            .flatten()
            .min()
    }

    fn take(&mut self, input: Input<usize>, clock: Boottime) {
        self.effects.extend(self.leader.apply(input, clock));
    }

    fn hear(&mut self, told: Told, clock: Boottime) {
        let life = self.process.life;
        match told {
            Told::Request(request, from) => self.take(Input::Request(request, from), clock),
            Told::Sighted(sighting) => self.take(Input::Sighted(sighting), clock),
            Told::Lease(of, number, answer) if of == life => {
                let Some(_) = self.on_lease.take_if(|(n, _)| *n == number) else {
                    return;
                };
                self.lease_at = clock;
                self.on_lease_answer(&answer, clock);
            }
            Told::LeaseSilent(of, number) if of == life => {
                if let Some((_, looks)) = self.on_lease.take_if(|(n, _)| *n == number) {
                    self.lease_at = clock;
                    if looks {
                        self.lease.saw(Found::NoAnswer, clock);
                    } else {
                        self.lease.wrote(Outcome::Unknown, clock);
                    }
                }
            }
            Told::Ledger(of, number, answer) if of == life => {
                let Some(_) = self.on_ledger.take_if(|(n, _)| *n == number) else {
                    return;
                };
                let input = match answer {
                    Answer::Found(found) => {
                        Input::Read(Ok(found.map(|(ledger, revision)| (*ledger, revision))))
                    }
                    Answer::Applied(revision) => Input::Wrote(Written::Applied(revision)),
                    Answer::Conflict => Input::Wrote(Written::Conflict),
                };
                self.take(input, clock);
            }
            Told::LedgerSilent(of, number) if of == life => {
                if let Some((_, reads)) = self.on_ledger.take_if(|(n, _)| *n == number) {
                    let input = if reads {
                        Input::Read(Err(Unreadable::Away))
                    } else {
                        Input::Wrote(Written::Unknown)
                    };
                    self.take(input, clock);
                }
            }
            Told::Limits(of, number, answer) if of == life => {
                let Some(_) = self.on_discord.take_if(|n| *n == number) else {
                    return;
                };
                self.take(Input::Limits(answer), clock);
            }
            Told::LimitsSilent(of, number) if of == life => {
                let Some(_) = self.on_discord.take_if(|n| *n == number) else {
                    return;
                };
                self.take(Input::NoLimits(None), clock);
            }
            Told::LimitsBarred(of, number, pause) if of == life => {
                let Some(_) = self.on_discord.take_if(|n| *n == number) else {
                    return;
                };
                self.take(Input::NoLimits(Some(pause)), clock);
            }
            // An answer to an earlier life.
            _ => {}
        }
    }

    fn on_lease_answer(&mut self, answer: &Answer<LeaseValue>, clock: Boottime) {
        let mine = (self.number, self.process.life);
        match answer {
            Answer::Applied(revision) => self.lease.wrote(Outcome::Applied(*revision), clock),
            Answer::Conflict => self.lease.wrote(Outcome::Refused, clock),
            Answer::Found(None) => self.lease.saw(Found::Nothing, clock),
            Answer::Found(Some(((owner, life, write), revision))) => {
                let found = if (*owner, *life) == mine {
                    Found::Ours {
                        revision: *revision,
                        write: *write,
                    }
                } else {
                    Found::Other
                };
                self.lease.saw(found, clock);
            }
        }
    }

    /// True if the lease has moved, or what is believed of it.
    fn keep_lease(&mut self, clock: Boottime, network: &mut Network) -> bool {
        let mut moved = false;
        if self.on_lease.is_none() && self.lease_at <= clock {
            let mine = (self.number, self.process.life);
            let op = match self.lease.step(clock) {
                Step::Wait(at) => {
                    self.lease_at = at;
                    None
                }
                Step::End => None,
                Step::Bid(write) => Some(Op::Write((mine.0, mine.1, write), None)),
                Step::Renew { revision, write } => {
                    Some(Op::Write((mine.0, mine.1, write), Some(revision)))
                }
                Step::Look => Some(Op::Read),
            };
            if let Some(op) = op {
                moved = true;
                self.operations += 1;
                let (life, number) = (self.process.life, self.operations);
                self.on_lease = Some((number, matches!(op, Op::Read)));
                network.send(Event::OnLease(self.number, life, number, op));
                let silent = Told::LeaseSilent(life, number);
                network.after(KV_TIMEOUT, Event::ToCoordinator(self.number, silent));
            }
        }
        // A liar believes in its lease for a while after it has ended.
        let believed = match self.lease.held(clock) {
            Some(held) => Some(Held {
                until: held.until.plus(self.lying),
                ..held
            }),
            None => self.believed.filter(|held| held.valid(clock)),
        };
        if believed != self.believed {
            self.believed = believed;
            self.take(Input::Held(believed), clock);
            moved = true;
        }
        moved
    }

    fn carry_out(&mut self, effect: Effect<usize>, network: &mut Network, askers: usize) {
        match effect {
            Effect::Read => self.jobs.push_back(Op::Read),
            Effect::Write(ledger, over) => self.jobs.push_back(Op::Write(ledger, over)),
            Effect::Reply(to, reply) => network.send(Event::ToAsker(to, Heard::Reply(reply))),
            Effect::AskLimits => {
                self.operations += 1;
                let (life, number) = (self.process.life, self.operations);
                self.on_discord = Some(number);
                let asked = self.process.clock(network.now);
                network.send(Event::OnDiscord(self.number, life, number, asked));
                let silent = Told::LimitsSilent(life, number);
                network.after(REST_TIMEOUT, Event::ToCoordinator(self.number, silent));
            }
            Effect::Announce => {
                for asker in 0..askers {
                    network.send(Event::ToAsker(asker, Heard::Leader));
                }
            }
            Effect::Granted(_) | Effect::Refused { .. } | Effect::Drained => {}
        }
    }

    /// Sends the next job to the ledger's bucket, if none is under way.
    fn pump(&mut self, network: &mut Network) {
        if self.on_ledger.is_some() {
            return;
        }
        let Some(job) = self.jobs.pop_front() else {
            return;
        };
        self.operations += 1;
        let (life, number) = (self.process.life, self.operations);
        self.on_ledger = Some((number, matches!(job, Op::Read)));
        network.send(Event::OnLedger(self.number, life, number, job));
        let silent = Told::LedgerSilent(life, number);
        network.after(KV_TIMEOUT, Event::ToCoordinator(self.number, silent));
    }
}

/// What a write of the ledger looks like to a follower.
pub(crate) fn sighting(ledger: &Ledger, revision: u64) -> Sighting {
    Sighting {
        revision,
        nonce: ledger.nonce.clone(),
    }
}
