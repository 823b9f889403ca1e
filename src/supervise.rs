//! Nothing dies unseen: every long-lived task has a name, and an owner who hears of its end.
//!
//! | owner | its tasks | what it does when one of them panics, or ends unasked |
//! | --- | --- | --- |
//! | the process | those begun with [`vital`] and [`helper`]; its roles; its lanes | hands over what it holds, and ends with 1 |
//! | a lane | its inbox, its watch of the leader | stops its groups, then the process ends |
//! | a group | its lease, its batch, its shards | closes its shards, gives its lease up, and waits before it bids again |
//! | a shard | its publisher, its session's keeper | ends, and its group with it |
//!
//! Owners further in hear of an end by the task's own handle; the process by [`failed`].

#[cfg(debug_assertions)]
mod inject;
mod panic;

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::FutureExt;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use self::panic::install;
use crate::telemetry::metrics::TASK_FAILURES;

tokio::task_local! {
    /// What the running task is called; whoever panics is told of by it.
    static TASK: &'static str;
}

/// The first task of the process that failed.
static FAILED: LazyLock<watch::Sender<Option<Failure>>> = LazyLock::new(watch::Sender::default);
/// Whoever hands over is not disturbed by helpers that end with their connection.
static OVER: AtomicBool = AtomicBool::new(false);

/// A task that is gone and should not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its name.
    pub task: &'static str,
    /// It panicked; else it ended although nobody had asked it to.
    pub panicked: bool,
}

impl Failure {
    /// One that panicked: the log has a line of it already, and it is counted.
    pub fn panicked(task: &'static str) -> Self {
        let panicked = true;
        Self { task, panicked }
    }

    /// One that ended by itself: it is counted here.
    pub fn ended(task: &'static str) -> Self {
        count(task);
        let panicked = false;
        Self { task, panicked }
    }

    /// What became of a task that should have gone on.
    pub fn of<T>(task: &'static str, joined: &Result<T, tokio::task::JoinError>) -> Self {
        match joined {
            Err(error) if error.is_panic() => Self::panicked(task),
            _ => Self::ended(task),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, panicked } = self;
        if *panicked {
            write!(f, "its task {task} panicked")
        } else {
            write!(f, "its task {task} ended although nobody had asked it to")
        }
    }
}

impl std::error::Error for Failure {}

/// The future as a task of this name. Its owner looks at its end.
pub fn named<F: Future>(task: &'static str, future: F) -> impl Future<Output = F::Output> {
    // From its start on, so that the first failure is an increase to Prometheus.
    failures(task).increment(0);
    #[cfg(debug_assertions)]
    let future = inject::faulty(task, future);
    TASK.scope(task, future)
}

/// The same, with its panic caught.
///
/// # Errors
/// Where it panicked.
pub async fn caught<T>(task: &'static str, future: impl Future<Output = T>) -> Result<T, Failure> {
    let outcome = AssertUnwindSafe(named(task, future)).catch_unwind().await;
    outcome.map_err(|_| Failure::panicked(task))
}

/// Spawns a task of the process that has to run until `until`: its end before that is the process's.
pub fn vital(
    task: &'static str,
    until: &CancellationToken,
    future: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(watched(task, until, future))
}

/// The same, for whoever spawns it.
pub fn watched<F: Future<Output = ()> + Send + 'static>(
    task: &'static str,
    until: &CancellationToken,
    future: F,
) -> impl Future<Output = ()> + Send + use<F> {
    let until = until.clone();
    async move {
        match caught(task, future).await {
            _ if until.is_cancelled() || OVER.load(Ordering::Relaxed) => {}
            Ok(()) => report(Failure::ended(task)),
            Err(failure) => report(failure),
        }
    }
}

/// Spawns a task of the process that may end when it is done: its panic is the process's end.
pub fn helper(
    task: &'static str,
    future: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(failure) = caught(task, future).await {
            report(failure);
        }
    })
}

/// Tells the process that it cannot go on. The first word counts.
pub fn report(failure: Failure) {
    FAILED.send_if_modified(|known| {
        let first = known.is_none();
        known.get_or_insert(failure);
        first
    });
}

/// Waits until a task that the process needs has failed.
pub async fn failed() -> Failure {
    let mut failed = FAILED.subscribe();
    loop {
        if let Some(failure) = *failed.borrow_and_update() {
            return failure;
        }
        // The sender lives as long as the process.
        _ = failed.changed().await;
    }
}

/// The process has handed over: what ends from now on ends with it.
pub fn over() {
    OVER.store(true, Ordering::Relaxed);
}

fn count(task: &'static str) {
    failures(task).increment(1);
}

fn failures(task: &'static str) -> metrics::Counter {
    metrics::counter!(TASK_FAILURES.name, "task" => task)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_owner_hears_of_a_panic_and_of_an_end() {
        let panics = async { panic!("a test's own") };
        let caught: Result<(), _> = caught("one", panics).await;
        assert_eq!(caught, Err(Failure::panicked("one")));
        let joined = tokio::spawn(named("two", async { panic!("a test's own") })).await;
        let joined: Result<(), _> = joined;
        assert_eq!(Failure::of("two", &joined), Failure::panicked("two"));
        let joined = tokio::spawn(named("three", async {})).await;
        assert!(!Failure::of("three", &joined).panicked);
    }

    /// One test for all that the process is told: there is one process.
    #[tokio::test]
    async fn the_process_hears_of_its_own() {
        let until = CancellationToken::new();
        helper("done", async {}).await.unwrap();
        let asked = until.child_token();
        asked.cancel();
        vital("asked", &asked, async {}).await.unwrap();
        vital("unasked", &until, async {}).await.unwrap();
        helper("later", async { panic!("a test's own") })
            .await
            .unwrap();
        let failure = failed().await;
        assert_eq!((failure.task, failure.panicked), ("unasked", false));
    }
}
