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
    bids::Bids,
    broken::Broken,
    claims::{self, Claims},
    gauge as gauges,
    group::{self, Shared},
    halt,
    holders::Holders,
    lane::{Bid, Lane, Report},
    metrics as table,
    ordinal::Beyond,
};
use crate::{
    bot::{self, BotId},
    broker::{bucket::Bucket, watch::Heard},
    clock,
    config::Config,
    fleet::{Layout, ShardId},
    lease,
    roster::{Board, Roster},
    subject,
    supervise::{self, Failure},
    wire::{
        status::{GatewayStatus, Status},
        topology::{Halt, Halted, Topology},
    },
};

/// A new process listens this long before it bids: else the first takes all and gives half back.
const SETTLE: Duration = Duration::from_millis(1500);

/// The owner of this process's claims.
pub struct Supervisor<'a> {
    /// The whole configuration.
    pub config: Arc<Config>,
    /// Which bot this process is, where that is known.
    pub bot: Option<BotId>,
    /// The number of this host, where groups are chosen by it.
    pub ordinal: Option<u32>,
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
    pub lanes: &'a [Lane],
    /// Who is there.
    pub roster: Roster,
    /// Cancelled once an operator asked to hand everything over and to stay.
    pub asked: CancellationToken,
}

impl Supervisor<'_> {
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
            broken: Broken::default(),
            beyond: Beyond::default(),
            drained: false,
            sees: false,
            bids: Bids::default(),
            free: 0,
        };
        let mut ended = Ok(());
        let mut moves = self.roster.moves();
        let mut topology = self.topology.clone();
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
                Some(halt) = halts.next() => { ended = Err(Halted(halt).into()); break }
                Some(report) = reports.recv() => {
                    if let Some((shard, code)) = claims::fatal(&report) {
                        work.claims.apply(&report);
                        ended = Err(self.refused(shard, code).await);
                        break;
                    }
                    if let Err(failure) = self.heard(&report, &mut work).await {
                        ended = Err(failure.into());
                        break;
                    }
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
                // It may have been seeded by an older release, which names no bot.
                Ok(()) = topology.changed() => {
                    if let Err(other) = bot::check(self.bot, &topology.borrow_and_update()) {
                        ended = Err(other.into());
                        break;
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
        ended
    }

    /// Discord closed a shard for good: who has to end for it, the fleet or this process alone.
    async fn refused(&self, shard: ShardId, code: u16) -> anyhow::Error {
        let discord = &self.config.discord;
        // Where it is known whose the token is, nobody is kept waiting for Discord's REST.
        let said = match (code, self.bot) {
            (4004, None) => bot::ask(discord).await,
            _ => bot::Said::Nothing("not asked".to_owned()),
        };
        let fleet = self.topology.borrow().bot().map(BotId);
        if !halt::concerns_the_fleet(code, &said, self.bot, fleet) {
            let closed = Some(shard.0);
            return bot::Refused { closed }.into();
        }
        let process = self.board.process();
        Halted(halt::write(&self.state, &discord.token, &process, shard, code).await).into()
    }

    /// A lane's word.
    ///
    /// # Errors
    /// Where the lane itself is gone: that is not mended in this process.
    async fn heard(&self, report: &Report, work: &mut Work) -> Result<(), Failure> {
        match report {
            Report::Ended(group, group::End::Broken(failure)) => {
                let pause = work.broken.broke(*group, clock::now());
                tracing::error!(
                    %group,
                    task = failure.task,
                    "group {group} cannot go on here: {failure}. Its shards are closed and its lease is given \
                     up; this process leaves it to others for {pause:?}"
                );
            }
            Report::LaneGone(lane, failure) => {
                supervise::report(*failure);
                // Nothing runs there any more, and nobody else can say so to whoever waits for these.
                for (generation, group, epoch) in work.claims.held_on(*lane) {
                    let (key, me) = (
                        subject::group_lease(generation, group),
                        self.board.process(),
                    );
                    lease::give_up_of(&self.leases, &key, &me, epoch).await;
                }
            }
            Report::Won(..) | Report::Ended(..) => {}
        }
        work.claims.apply(report);
        match report {
            Report::LaneGone(_, failure) => Err(*failure),
            _ => Ok(()),
        }
    }

    fn look(&self, work: &mut Work) {
        if work.drained {
            return;
        }
        let processes = self.roster.processes();
        let gateways = gateways(&processes);
        let me = self.board.process();
        let now = clock::now();
        if let Some(waited) = work.bids.saw(work.claims.bids(), now) {
            let (out, seconds) = (work.claims.bids(), waited.as_secs());
            tracing::error!(
                out,
                "NATS is not taking leases: this process has bid for {out} groups that nobody holds, without an \
                 answer for {seconds} s. Their shards receive nothing meanwhile. Look whether the server can write \
                 (its /healthz, its disk) and whether the stream of the bucket of leases has a leader; see \
                 docs/OPERATIONS.md, A full disk"
            );
        }
        let view = View {
            layout: work.layout,
            me: &me,
            capacity: self.capacity(work),
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
            ordinal: self.ordinal,
        };
        let mut plan = assign::plan(&view);
        work.free = plan.wanted;
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
            .filter(|group| !work.claims.contains(*group))
            .filter(|group| !work.broken.leaves(*group, clock::now()));
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

    fn capacity(&self, work: &Work) -> u32 {
        let holds = work.claims.mine().len();
        let configured = self.config.gateway.max_groups.0;
        work.broken.capacity(configured, holds, clock::now())
    }

    fn show(&self, work: &Work) {
        let shards = self.shared.gauges.statuses();
        gauges::show(&shards);
        let (groups, capacity) = (work.claims.statuses(), self.capacity(work));
        let budget = &self.shared.budget;
        gauge!(table::GROUPS_HELD.name).set(groups.len() as f64);
        gauge!(table::GROUPS_CAPACITY.name).set(f64::from(capacity));
        gauge!(table::BUFFER.name).set(budget.waiting() as f64);
        gauge!(table::BUFFER_LIMIT.name).set(budget.limit() as f64);
        let status = GatewayStatus {
            capacity,
            groups,
            shards,
            buffer_bytes: budget.waiting(),
            ordinal: self.ordinal.is_some(),
            beyond: work.beyond.look(self.ordinal, work.layout, clock::now()),
        };
        self.board.gateway(status, work.free);
    }

    async fn hand_over(self, mut work: Work, mut reports: mpsc::UnboundedReceiver<Report>) {
        self.board.draining();
        work.claims.give_back_all();
        while !work.claims.is_empty() {
            let Some(report) = reports.recv().await else {
                break;
            };
            // What breaks now is on its way out all the same.
            _ = self.heard(&report, &mut work).await;
            self.show(&work);
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
    broken: Broken,
    beyond: Beyond,
    /// An operator drained it: it bids no more.
    drained: bool,
    /// What it heard of the leases is as they are.
    sees: bool,
    bids: Bids,
    /// Groups that it was to bid for at the last look.
    free: usize,
}
