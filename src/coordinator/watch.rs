//! Tells of a key of the state bucket: as its leader knows it first, then every change.

use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::broker::bucket::{Bucket, Entry};

/// Calls `tell` with the key's value, or none, now and whenever it changes, until `shutdown`.
pub(super) async fn watch(
    bucket: Bucket,
    key: &'static str,
    shutdown: CancellationToken,
    mut tell: impl AsyncFnMut(Option<Entry>),
) {
    let mut changes = bucket.watch(key);
    let mut told: Option<Option<Entry>> = None;
    while let Some(Some(news)) = shutdown.run_until_cancelled(changes.next()).await {
        // A watch that was opened anew says again what is known.
        if told.as_ref() != Some(&news) {
            told = Some(news.clone());
            tell(news).await;
        }
    }
}
