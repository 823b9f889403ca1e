//! What a group leans on besides its shards: who keeps its lease, and who tends its batches.

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    gateway::{
        buffer::Budget,
        forward::{GroupBatch, tend::Tender},
    },
    lease::{self, Held},
    supervise::{self, Failure},
};

/// What its task is called.
const BATCH: &str = "batch";

/// Both of them, as the group sees them.
pub(super) struct Parts {
    held: watch::Receiver<Option<Held>>,
    /// None where the stream takes no batches.
    tended: Option<AbortOnDropHandle<()>>,
    /// One is gone, and that was said.
    told: bool,
}

impl Parts {
    /// Tends the group's batches from now on, and looks after whoever keeps the lease.
    pub(super) fn new(batches: Option<Tender>, held: watch::Receiver<Option<Held>>) -> Self {
        let tended = batches.map(|batch| {
            let tending = supervise::named(BATCH, batch.run());
            AbortOnDropHandle::new(tokio::spawn(tending))
        });
        let told = false;
        Self { held, tended, told }
    }

    /// Waits until one is gone that should be there; says so once.
    pub(super) async fn failed(&mut self) -> Failure {
        let Self { held, tended, told } = self;
        if *told {
            std::future::pending::<()>().await;
        }
        let tended = async {
            match tended {
                Some(tended) => Failure::of(BATCH, &tended.await),
                None => std::future::pending().await,
            }
        };
        let kept = async {
            while held.changed().await.is_ok() {}
            // Whoever keeps a lease ends with the word that nothing is held, unless it panics.
            if held.borrow().is_none() {
                std::future::pending::<()>().await;
            }
            Failure::panicked(lease::TASK)
        };
        let failure = tokio::select! { failure = tended => failure, failure = kept => failure };
        *told = true;
        failure
    }
}

/// Gives up what the batch still holds, however the group ends.
pub(super) struct GiveUp {
    pub(super) batch: GroupBatch,
    pub(super) budget: Budget,
}

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.batch.give_up(&self.budget);
    }
}
