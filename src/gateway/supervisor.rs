//! Who holds what: looks around every second and whenever a lease changes hands, bids, gives back.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Result;
use futures_util::{Stream, StreamExt};
use metrics::gauge;
use rand::{Rng, seq::SliceRandom};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    LOOK_EVERY,
    assign::{self, View},
    claims::{self, Claims},
    gauge as gauges,
    group::{self, Shared},
    halt,
    holders::Holders,
    lane::{Bid, Lane, Report},
    metrics as table,
};
use crate::{
    broker::{bucket::Bucket, watch::Heard},
    clock,
    config::{Assignment, Config},
    fleet::Layout,
    lease,
    roster::{Board, Roster},
    wire::{
        status::{GatewayStatus, Status},
        topology::{Halt, Halted, Topology},
    },
};

/// A new process listens this long before it bids: else the first takes all and gives half back.
const SETTLE: Duration = Duration::from_millis(1500);

/// The owner of this process's claims.
pub struct Supervisor {
    /// The whole configuration.
    pub config: Arc<Config>,
    /// Where it says how it is.
    pub board: Board,
    /// The bucket of state.
    pub state: Bucket,
    /// The bucket of leases.
    pub leases: Bucket,
    /// The fleet's cut.
    pub topology: watch::Receiver<Arc<Topology>>,
    /// What groups share.
    pub shared: Arc<Shared>,
    /// Where groups run.
    pub lanes: Vec<Lane>,
    /// Who is there.
    pub roster: Roster,
    /// Cancelled once an operator asked to hand everything over and to stay.
    pub asked: CancellationToken,
}

impl Supervisor {
    /// Bids, holds and gives back until `shutdown`; then hands everything over.
    ///
    /// # Errors
    /// [`Halted`], or NATS out of reach at the start.
    pub async fn run(
        self,
        mut reports: mpsc::UnboundedReceiver<Report>,
        mut halts: impl Stream<Item = Halt> + Unpin,
        shutdown: CancellationToken,
    ) -> Result<()> {
        let layout = self.topology.borrow().layout;
        let mut leases = self
            .leases
            .watch_all(&format!("group.{}.*", layout.generation));
        let mut work = Work {
            claims: Claims::default(),
            holders: Holders::new(self.config.lease.ttl.0),
            layout,
            drained: false,
            sees: false,
        };
        let mut halted = None;
        let mut moves = self.roster.moves();
        let settled = clock::now() + SETTLE;
        let mut look_at = settled;
        self.show(&work);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.asked.cancelled(), if !work.drained => {
                    work.drained = true;
                    self.board.draining();
                    work.claims.give_back_all();
                }
                Some(halt) = halts.next() => { halted = Some(halt); break }
                Some(report) = reports.recv() => {
                    if let Some((shard, code)) = claims::fatal(&report) {
                        let (token, process) = (&self.config.discord.token, self.board.process());
                        halted = Some(halt::write(&self.state, token, &process, shard, code).await);
                        work.claims.apply(&report);
                        break;
                    }
                    work.claims.apply(&report);
                    // Where its taker was faster than this word, the next may go.
                    if matches!(report, Report::Ended(_, group::End::Released)) && clock::now() >= settled {
                        self.look(&mut work);
                    }
                }
                // Somebody released a group or leaves: whoever is short of one bids at once. Somebody
                // took one: whoever has too many gives the next.
                heard = leases.next() => {
                    let now = clock::now();
                    let changes = match heard {
                        Heard::Opened { anew, made_ms, .. } => {
                            let age = clock::unix_ms().saturating_sub(made_ms);
                            work.holders.opened(anew, Duration::from_millis(age), now);
                            false
                        }
                        Heard::Key(key, entry) => {
                            let holder = entry.and_then(|entry| lease::holder(&entry.value));
                            work.holders.heard(&key, holder, now)
                        }
                    };
                    work.sees = leases.is_current();
                    if changes && now >= settled {
                        self.look(&mut work);
                    }
                }
                Ok(()) = moves.changed() => {
                    if clock::now() >= settled {
                        self.look(&mut work);
                    }
                }
                () = tokio::time::sleep_until(look_at) => {
                    work.sees = leases.is_current();
                    self.look(&mut work);
                    look_at = clock::now() + LOOK_EVERY.mul_f64(rand::rng().random_range(0.7..1.0));
                }
            }
            self.show(&work);
        }
        self.hand_over(work, reports).await;
        halted.map_or(Ok(()), |halt| Err(Halted(halt).into()))
    }

    fn look(&self, work: &mut Work) {
        if work.drained {
            return;
        }
        let processes = self.roster.processes();
        let gateways = gateways(&processes);
        let me = self.board.process();
        let now = clock::now();
        let view = View {
            layout: work.layout,
            me: &me,
            capacity: self.config.gateway.max_groups.0,
            gateways: gateways
                .iter()
                .map(|(name, capacity)| (name.as_str(), *capacity))
                .collect(),
            holders: work.holders.now(now),
            reserved: work
                .holders
                .reserved(&processes, &me, work.layout.generation, now),
            mine: work.claims.mine(),
            leaving: work.claims.leaving(),
            ordinal: self.ordinal(),
        };
        let mut plan = assign::plan(&view);
        // Who holds what is not known: nobody would be overtaken knowingly.
        if !work.sees {
            plan.wanted = 0;
        }
        for group in plan.give_back {
            tracing::info!(%group, "hands group {group} over to a process that has fewer");
            work.claims.give_back(group);
        }
        // In any order, so that bidders seldom meet.
        plan.candidates.shuffle(&mut rand::rng());
        let free = plan
            .candidates
            .into_iter()
            .filter(|group| !work.claims.contains(*group));
        for group in free.take(plan.wanted).collect::<Vec<_>>() {
            let lane = work.claims.emptiest_lane(self.lanes.len());
            let stop = work.claims.bid(group, work.layout.generation, lane);
            if let Some(lane) = self.lanes.get(lane) {
                lane.bid(Bid {
                    layout: work.layout,
                    group,
                    stop,
                });
            }
        }
    }

    /// The number at the end of the host name, where groups are assigned by it.
    fn ordinal(&self) -> Option<u32> {
        if self.config.gateway.assignment == Assignment::Elastic {
            return None;
        }
        let uname = rustix::system::uname();
        let host = uname.nodename().to_string_lossy().into_owned();
        let digits = host
            .rsplit(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap_or_default();
        // A host without a number holds nothing, rather than somebody else's group.
        Some(digits.parse().unwrap_or(u32::MAX))
    }

    fn show(&self, work: &Work) {
        let shards = self.shared.gauges.statuses();
        gauges::show(&shards);
        let (groups, capacity) = (work.claims.statuses(), self.config.gateway.max_groups.0);
        let budget = &self.shared.budget;
        gauge!(table::GROUPS_HELD.name).set(groups.len() as f64);
        gauge!(table::GROUPS_CAPACITY.name).set(f64::from(capacity));
        gauge!(table::BUFFER.name).set(budget.waiting() as f64);
        gauge!(table::BUFFER_LIMIT.name).set(budget.limit() as f64);
        self.board.gateway(GatewayStatus {
            capacity,
            groups,
            shards,
            buffer_bytes: budget.waiting(),
            ordinal: self.config.gateway.assignment == Assignment::Ordinal,
        });
    }

    async fn hand_over(self, mut work: Work, mut reports: mpsc::UnboundedReceiver<Report>) {
        self.board.draining();
        work.claims.give_back_all();
        while !work.claims.is_empty() {
            let Some(report) = reports.recv().await else {
                break;
            };
            work.claims.apply(&report);
            self.show(&work);
        }
        for lane in self.lanes {
            lane.join().await;
        }
    }
}

fn gateways(processes: &[Status]) -> BTreeMap<String, u32> {
    let there = processes.iter().filter(|status| !status.draining);
    let capacity =
        |status: &Status| Some((status.process.clone(), status.gateway.as_ref()?.capacity));
    there.filter_map(capacity).collect()
}

/// What this process knows and does.
struct Work {
    claims: Claims,
    holders: Holders,
    layout: Layout,
    /// An operator drained it: it bids no more.
    drained: bool,
    /// What it heard of the leases is as they are.
    sees: bool,
}
