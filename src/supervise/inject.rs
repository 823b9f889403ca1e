//! A panic on demand, for tests: not in a release.
//!
//! `SHARDFLEET_TEST_PANIC` names a folder. A file there with the name of a task makes one task of that name
//! panic; it takes the file away, so that one file is one panic.

use std::{path::PathBuf, pin::Pin, sync::OnceLock, time::Duration};

use futures_util::future::poll_fn;

const FOLDER: &str = "SHARDFLEET_TEST_PANIC";
/// How often a task looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The future, which panics when its file appears.
pub(super) fn faulty<F: Future>(
    task: &'static str,
    future: F,
) -> impl Future<Output = F::Output> + use<F> {
    let mut word = word(task);
    let mut future = Box::pin(future);
    poll_fn(move |context| {
        if let Some(word) = &mut word {
            assert!(
                word.as_mut().poll(context).is_pending(),
                "a test asked for it, with `a secret` in it"
            );
        }
        future.as_mut().poll(context)
    })
}

/// Returns when the file is there.
fn word(task: &'static str) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
    static NAMED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = NAMED.get_or_init(|| std::env::var_os(FOLDER).map(PathBuf::from));
    let file = folder.as_ref()?.join(task);
    Some(Box::pin(async move {
        while std::fs::remove_file(&file).is_err() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }))
}
