//! The loop of the role: what the world says becomes the leader's inputs, its effects are carried out.
//!
//! One input at a time. While it stands aside for others it has no keeper, and so bids for no lease.

use std::time::Duration;

use tokio::sync::{mpsc, watch as channel};
use tokio_util::sync::CancellationToken;

use super::{
    LAST_WORD,
    leader::{Effect, Input, Leader, Unreadable, Written},
    ledger::Job,
    metrics,
    service::{Answers, ReplyTo},
    standstill::Standstill,
    yielding::{ASIDE, Yielding},
};
use crate::{
    broker::Broker,
    clock::{self, Boottime},
    lease::{self, Held, Keeper, Owner},
    roster::{Board, waits},
    subject::COORDINATOR_LEASE,
    supervise::Failure,
    wire::{self, identify::Leader as Announcement},
};

/// What the loop is told of the world.
pub(super) struct News {
    pub(super) events: mpsc::Receiver<Input<ReplyTo>>,
    pub(super) requests: mpsc::Receiver<Input<ReplyTo>>,
    /// Whether Discord's REST refuses the token.
    pub(super) refused: channel::Receiver<bool>,
}

/// Whose state the loop owns.
pub(super) struct Desk {
    pub(super) leader: Leader<ReplyTo>,
    pub(super) broker: Broker,
    pub(super) board: Board,
    pub(super) answers: Answers,
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) questions: mpsc::Sender<()>,
    pub(super) open: channel::Sender<bool>,
    pub(super) shown: Boottime,
    pub(super) settled: bool,
    pub(super) announced: bool,
    pub(super) standstill: Standstill,
    pub(super) yielding: Yielding,
    /// Cancelled before anything ends that others of the role wait for.
    pub(super) ended: CancellationToken,
}

/// How far this process is from the lease.
enum Stand {
    /// It bids for it, or holds it.
    Campaigns(Keeper, channel::Receiver<Option<Held>>),
    /// It settles the ledger, to give the lease up: at this moment at the latest.
    Yields(Keeper, Boottime),
    /// It leaves the lease to others until then.
    Aside(Boottime),
}

impl Stand {
    fn campaign(owner: &Owner) -> Self {
        let keeper = Keeper::campaign(owner.clone(), COORDINATOR_LEASE.to_owned());
        let mut held = keeper.held();
        held.mark_changed();
        Self::Campaigns(keeper, held)
    }

    /// What is held, once that has changed; none: its keeper is gone, and it campaigns as long as it is there.
    async fn changed(&mut self) -> Option<Option<Held>> {
        match self {
            Self::Campaigns(_, held) => {
                held.changed().await.ok()?;
                Some(*held.borrow_and_update())
            }
            Self::Yields(..) | Self::Aside(_) => std::future::pending().await,
        }
    }

    /// When it moves on by itself.
    fn until(&self) -> Option<Boottime> {
        match self {
            Self::Campaigns(..) => None,
            Self::Yields(_, at) | Self::Aside(at) => Some(*at),
        }
    }
}

impl Desk {
    /// Runs until `shutdown`, and gives the lease back.
    ///
    /// # Errors
    /// Where the task that keeps the lease is gone.
    pub(super) async fn run(
        mut self,
        owner: Owner,
        mut news: News,
        shutdown: CancellationToken,
    ) -> Result<(), Failure> {
        // However this ends: the tasks that lose their way here ended because they should.
        let _first = self.ended.clone().drop_guard();
        let mut outcome = Ok(());
        let mut stand = Stand::campaign(&owner);
        let mut draining = None;
        loop {
            let now = clock::boottime();
            if draining.is_none() {
                stand = self.move_on(stand, &owner, now).await;
            }
            let until = draining.map_or(SHOW_EVERY, |until: Boottime| until.since(now));
            if until.is_zero() || (draining.is_some() && self.settled) {
                break;
            }
            let due = [self.leader.next_wakeup(), stand.until()];
            let nap = due.into_iter().flatten().map(|at| at.since(now)).min();
            let input = tokio::select! {
                biased;
                () = shutdown.cancelled(), if draining.is_none() => {
                    draining = Some(now.plus(LAST_WORD));
                    Input::Drain
                }
                changed = stand.changed() => {
                    let Some(held) = changed else {
                        outcome = Err(Failure::panicked(lease::TASK));
                        break;
                    };
                    Input::Held(held)
                }
                Ok(()) = news.refused.changed() => {
                    let refused = *news.refused.borrow_and_update();
                    self.board.token_refused(refused);
                    self.yielding.answered(refused);
                    Input::Tick
                }
                Some(event) = news.events.recv() => event,
                () = tokio::time::sleep(nap.unwrap_or(until).min(until)) => Input::Tick,
                Some(request) = news.requests.recv() => request,
            };
            self.take(input);
        }
        self.open.send_replace(false);
        match stand {
            Stand::Campaigns(keeper, _) | Stand::Yields(keeper, _) => keeper.release().await,
            Stand::Aside(_) => {}
        }
        outcome
    }

    /// Whether to bid for the lease, by what Discord says of the token.
    async fn move_on(&mut self, stand: Stand, owner: &Owner, now: Boottime) -> Stand {
        match stand {
            Stand::Campaigns(keeper, _) if self.leader.leads() && self.yielding.due(now) => {
                tracing::warn!(
                    "this coordinator gives the lead up: Discord refuses its token (401), so that it \
                     cannot read the limits. One with another token may lead; if there is none, this \
                     one leads again in {ASIDE:?}, and shards identify one at a time"
                );
                self.yielding.begun(now);
                self.settled = false;
                self.take(Input::Yield);
                Stand::Yields(keeper, now.plus(LAST_WORD))
            }
            Stand::Yields(keeper, until) if self.settled || until <= now => {
                self.settled = false;
                self.take(Input::Held(None));
                keeper.release().await;
                Stand::Aside(now.plus(ASIDE))
            }
            Stand::Aside(until) if until <= now => Stand::campaign(owner),
            stand => stand,
        }
    }

    fn take(&mut self, input: Input<ReplyTo>) {
        let now = clock::boottime();
        let mut next = Some(input);
        while let Some(input) = next.take() {
            for effect in self.leader.apply(input, now) {
                next = self.carry_out(effect).or(next);
            }
        }
        self.open
            .send_if_modified(|open| std::mem::replace(open, self.leader.leads()) != *open);
        if now.since(self.shown) >= SHOW_EVERY {
            self.shown = now;
            let status = self.leader.status(now);
            if self.announced && !status.leader {
                self.announced = false;
                tracing::warn!("this coordinator leads no more");
            }
            if self.standstill.look(&status, now)
                && let Some(why) = waits::why(&status, clock::unix_ms())
            {
                tracing::warn!(
                    waiting = status.queue,
                    "shards that wait to identify are {why}"
                );
            }
            metrics::show(&status);
            metrics::limits_unread(self.leader.limits_unread(now));
            self.board.coordinator(status);
        }
    }

    /// Gives back what the leader must hear of it at once.
    fn carry_out(&mut self, effect: Effect<ReplyTo>) -> Option<Input<ReplyTo>> {
        match effect {
            Effect::Read => {
                let refused = self.jobs.try_send(Job::Read).is_err();
                return refused.then_some(Input::Read(Err(Unreadable::Away)));
            }
            Effect::Write(ledger, over) => {
                let refused = self.jobs.try_send(Job::Write(ledger, over)).is_err();
                return refused.then_some(Input::Wrote(Written::Unknown));
            }
            Effect::AskLimits => {
                let refused = self.questions.try_send(()).is_err();
                return refused.then_some(Input::NoLimits(None));
            }
            Effect::Reply(to, reply) => self.answers.send(to, &reply),
            Effect::Granted(grants) => metrics::granted(grants),
            Effect::Refused { shard, holds } => {
                metrics::refused();
                if holds {
                    tracing::warn!(
                        shard,
                        "Discord refused the IDENTIFY of shard {shard} (op 9): nobody is granted \
                         leave before its limits are read again"
                    );
                }
            }
            Effect::Drained => self.settled = true,
            Effect::Announce => self.announce(),
        }
        None
    }

    fn announce(&mut self) {
        let status = self.leader.status(clock::boottime());
        let (epoch, process) = (status.epoch, self.board.process());
        tracing::info!(epoch, "this coordinator leads");
        self.announced = true;
        self.shown = Boottime::default();
        let announcement = wire::encode(&Announcement {
            v: wire::VERSION,
            epoch,
            process,
        });
        let subject = self.broker.names.leader();
        self.answers.publish(subject.into(), announcement);
    }
}

/// How often status and metrics are brought up to date.
const SHOW_EVERY: Duration = Duration::from_millis(250);
