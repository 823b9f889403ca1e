//! Wires one process: log, metrics, web, NATS, roster, roles; then the drain, and the end.
//!
//! The web listener opens first and closes last, so that probes and metrics tell of a process that
//! waits for NATS, and of one that drains.

mod nats;

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::nats::OwnNats;
use crate::{
    bot::{self, BotId},
    broker::{self, Broker, start::Start},
    config::{self, Config, Fault, Faults},
    coordinator, files, gateway,
    roster::{self, Board, Roster},
    shutdown::{self, Drained},
    supervise::{self, Failure},
    telemetry::{
        VERSION,
        log::{self, Level},
        metrics::{self, Metric},
    },
    web::{
        Web,
        admin::{Admin, Live, Ready},
        readiness,
        status::Page,
    },
};

/// What one process is to be.
pub struct Plan {
    /// What it does.
    pub roles: Roles,
    /// Its configuration.
    pub config: Config,
    /// Where a NATS server of its own keeps its store; none: it never starts one.
    pub data: Option<PathBuf>,
    /// Called once everything stands.
    pub told: fn(&Places) -> Result<()>,
}

/// The roles of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roles {
    /// Runs shard groups.
    Gateway,
    /// Campaigns for leadership.
    Coordinator,
    /// Both.
    Both,
}

impl From<Roles> for readiness::Roles {
    fn from(roles: Roles) -> Self {
        Self {
            gateway: roles != Roles::Coordinator,
            coordinator: roles != Roles::Gateway,
        }
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Coordinator => "coordinator",
            Self::Both => "gateway and coordinator",
        })
    }
}

/// Where to find what a process offers.
pub struct Places {
    /// NATS, without passwords.
    pub nats: String,
    /// The file that holds a way into a NATS server of its own.
    pub login: Option<PathBuf>,
    /// The fleet page.
    pub page: Option<SocketAddr>,
    /// The subject of every event.
    pub events: String,
}

/// Every metric that a process may show, by who counts it.
pub const METRICS: [(&str, &[Metric]); 4] = [
    ("Gateway", gateway::metrics::ALL),
    ("Coordinator", coordinator::metrics::ALL),
    ("Every process", metrics::ALL),
    (
        "What the fleet keeps in NATS, from every process",
        broker::metrics::ALL,
    ),
];

/// How long open requests may hold up the end.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// How long a process that cannot go on says so at `/live`, at least.
const FAILURE_SHOWN: Duration = Duration::from_secs(1);

/// Runs one process until a signal, or until a role ends.
///
/// # Errors
/// [`Faults`] for an unusable log level, `Halted` where the fleet stands still, otherwise what a
/// part failed with; a drain that was cut short is a failure too.
pub async fn run(plan: Plan) -> Result<()> {
    let level = install_log(&plan.config.log)?;
    files::raise();
    supervise::install();
    for note in plan.config.notes() {
        tracing::warn!("{}. Try: {}", note.text, note.hint);
    }
    let shutdown = shutdown::on_signal().context("cannot listen for signals")?;
    let closed = CancellationToken::new();
    let board = Board::new(&nats::process_name(&plan.config.process.name));
    let process = Process {
        ready: Ready::new(plan.roles.into(), board.clone()),
        board,
        live: Live::default(),
        page: Page::default(),
        shutdown,
        closed: closed.clone(),
    };
    let page = process.serve(&plan.config, level).await?;
    let mut own = None;
    let work = process.work(&plan, page.as_ref(), &mut own);
    let work = Box::pin(supervise::caught("process", work));
    let work = Box::pin(async { work.await? });
    let outcome = process.watch_over(work).await;
    supervise::over();
    closed.cancel();
    if let Some((_, serving)) = page
        && tokio::time::timeout(CLOSE_LIMIT, serving).await.is_err()
    {
        tracing::debug!("open requests were cut off");
    }
    if let Some(own) = own {
        own.stop().await?;
    }
    outcome?;
    tracing::info!("ended");
    Ok(())
}

/// Installs the log; a level that cannot be read is a fault of the configuration.
///
/// # Errors
/// [`Faults`] with the one fault.
pub fn install_log(config: &config::Log) -> Result<Level, Faults> {
    log::install(config).map_err(log_fault)
}

/// Installs the log of a command that a person typed: plain words.
///
/// # Errors
/// As [`install_log`].
pub fn install_plain_log(level: &str) -> Result<(), Faults> {
    log::install_plain(level).map_err(log_fault)
}

fn log_fault(reason: String) -> Faults {
    let from_variable = log::from_variable().is_some();
    let origin = if from_variable {
        "RUST_LOG"
    } else {
        "configuration"
    };
    Faults(vec![Fault {
        key: "log.level".to_owned(),
        value: None,
        origin: origin.to_owned(),
        reason,
        hint: config::level::HINT.to_owned(),
    }])
}

struct Process {
    board: Board,
    ready: Ready,
    live: Live,
    page: Page,
    /// Cancelled when the process is asked to end.
    shutdown: CancellationToken,
    /// Cancelled when it has handed over what it held.
    closed: CancellationToken,
}

impl Process {
    /// Opens the listener, if one is configured.
    async fn serve(
        &self,
        config: &Config,
        level: Level,
    ) -> Result<Option<(SocketAddr, JoinHandle<()>)>> {
        let tables = METRICS.map(|(_, table)| table);
        let exporter = metrics::install(&config.fleet.name.0, &tables)?;
        let upkeep = metrics::keep_up(exporter.clone(), self.closed.clone());
        supervise::vital("metrics", &self.closed, upkeep);
        let Some(web) = Web::bind(&config.web).await? else {
            return Ok(None);
        };
        let address = web.address;
        self.board.page(&format!("http://{address}/"));
        let admin = Admin::new(self.ready.clone(), self.live.clone(), exporter, level);
        let router = admin.router().merge(self.page.router());
        let serving = web.serve(router, self.closed.clone());
        let serving = supervise::vital("web", &self.closed, serving);
        tracing::info!(%address, "the page is at http://{address}/");
        Ok(Some((address, serving)))
    }

    /// Sees the work to its end, or to that of a task that the process cannot do without: then it hands
    /// over as though it was asked to end, and fails.
    async fn watch_over(&self, mut work: impl Future<Output = Result<()>> + Unpin) -> Result<()> {
        let (ended, failure) = tokio::select! {
            biased;
            outcome = &mut work => {
                let failure = outcome.as_ref().err();
                let failure = failure.and_then(|error| error.downcast_ref::<Failure>());
                let Some(failure) = failure.copied() else { return outcome };
                (Some(outcome), failure)
            }
            failure = supervise::failed() => (None, failure),
        };
        tracing::error!(
            task = failure.task,
            "this process cannot go on: {failure}. It hands over what it holds and ends with 1; whoever \
             supervises it starts it anew"
        );
        self.live
            .failed(&format!("this process cannot go on: {failure}"));
        self.shutdown.cancel();
        // A probe that comes every so often sees it too.
        let handing_over = async {
            match ended {
                Some(outcome) => outcome,
                None => work.await,
            }
        };
        let (handed_over, ()) = tokio::join!(handing_over, tokio::time::sleep(FAILURE_SHOWN));
        handed_over.and(Err(failure.into()))
    }

    async fn work(
        &self,
        plan: &Plan,
        page: Option<&(SocketAddr, JoinHandle<()>)>,
        own: &mut Option<OwnNats>,
    ) -> Result<()> {
        let mut config = plan.config.clone();
        if let Some(data) = plan.data.as_ref().filter(|_| config.nats.url.is_empty()) {
            let server = own.insert(OwnNats::start(data).await?);
            config.nats = server.server.nats();
        }
        let name = self.board.process();
        let start = Start::new(config.process.start.0);
        let reached = async {
            let bot = async { Ok(bot::learn(&config.discord).await?) };
            // Whoever has the wrong token need not wait for NATS to hear of it.
            tokio::try_join!(nats::reach(&config, &name, &start), bot)
        };
        let Some(reached) = self.shutdown.run_until_cancelled(reached).await else {
            return Ok(());
        };
        let (broker, bot) = reached?;
        let roster = Roster::gather(&broker, self.closed.clone()).await?;
        self.page.open(broker.clone(), roster, self.closed.clone());
        self.ready.reached_nats(broker.answers.clone());
        let (board, closed) = (self.board.clone(), self.closed.clone());
        let keeping = nats::keep(broker.clone(), config.clone(), closed.clone());
        supervise::vital("buckets", &self.closed, keeping);
        let saying = roster::say(broker.clone(), board.clone(), closed);
        supervise::vital("status", &self.closed, saying);
        let announcing = announce_drain(self.shutdown.clone(), board, self.ready.clone());
        supervise::helper("drain", announcing);
        (plan.told)(&Places {
            nats: broker::redacted(&broker::url(&config.nats)),
            login: own.as_ref().map(|own| own.server.url_file()),
            page: page.map(|(address, _)| *address),
            events: broker.names.events(),
        })?;
        tracing::info!(process = name, version = VERSION, roles = ?plan.roles,
            "{name} runs {VERSION} as {}", plan.roles);
        let limit = config.process.drain.0;
        let connection = broker.client.clone();
        let roles = Box::pin(self.roles(plan.roles, Arc::new(config), broker, bot, start));
        let roles = async {
            match own {
                // Without its server nothing here can go on; whoever supervises it starts both anew.
                Some(own) => {
                    tokio::select! { done = roles => done, error = own.ended() => Err(error) }
                }
                None => roles.await,
            }
        };
        let drained = shutdown::drain(roles, &self.shutdown, limit).await;
        supervise::over();
        // What waits to be sent is sent; and a server of our own that ends next is no outage.
        _ = tokio::time::timeout(CLOSE_LIMIT, connection.drain()).await;
        match drained? {
            Drained::Clean => Ok(()),
            Drained::Cut => bail!("the end was cut short: not everything was handed over"),
        }
    }

    /// Runs the roles; the end of one, for whatever reason, is the end of the other.
    async fn roles(
        &self,
        roles: Roles,
        config: Arc<Config>,
        broker: Broker,
        bot: Option<BotId>,
        start: Start,
    ) -> Result<()> {
        let parts = || {
            let (board, shutdown) = (self.board.clone(), self.shutdown.clone());
            (config.clone(), broker.clone(), board, shutdown)
        };
        let gateway = async {
            if roles == Roles::Coordinator {
                return Ok(());
            }
            let _ends = self.shutdown.clone().drop_guard();
            let (config, broker, board, shutdown) = parts();
            Box::pin(gateway::run(config, broker, bot, board, start, shutdown)).await
        };
        let coordinator = async {
            if roles == Roles::Gateway {
                return Ok(());
            }
            let _ends = self.shutdown.clone().drop_guard();
            let (config, broker, board, shutdown) = parts();
            Box::pin(coordinator::run(
                config, broker, bot, board, start, shutdown,
            ))
            .await
        };
        let alone = async {
            let watched = roster::namesake::watch(&broker, &self.board, &self.shutdown).await;
            if watched.is_err() {
                self.shutdown.cancel();
            }
            watched
        };
        let (gateway, coordinator, alone) = tokio::join!(gateway, coordinator, alone);
        alone.and(gateway).and(coordinator)
    }
}

async fn announce_drain(shutdown: CancellationToken, board: Board, ready: Ready) {
    let drains = board.drains();
    tokio::select! { () = shutdown.cancelled() => {}, () = drains.cancelled() => {} }
    board.draining();
    ready.draining();
}
