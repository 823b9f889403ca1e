//! Tells of a key of the state bucket: as its leader knows it first, then every change.

use std::time::Duration;

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
    let mut told: Option<Option<Entry>> = None;
    while !shutdown.is_cancelled() {
        let watched = async {
            let mut changes = Box::pin(bucket.watch(key).await?);
            // A watch of a key that is not there says nothing: ask once.
            let mut news = bucket.get(key).await?;
            loop {
                let newer = match (&told, &news) {
                    (Some(Some(known)), Some(found)) => known.revision < found.revision,
                    (Some(known), found) => known != found,
                    (None, _) => true,
                };
                if newer {
                    told = Some(news.clone());
                    tell(news).await;
                }
                news = match tokio::time::timeout(LOOK_EVERY, changes.next()).await {
                    Ok(Some(change)) => change,
                    // A watch that the server lost is silent for ever.
                    Err(_) => bucket.get(key).await?,
                    Ok(None) => break,
                };
            }
            Ok::<_, crate::broker::bucket::KvError>(())
        };
        tokio::select! {
            watched = watched => if let Err(error) = watched {
                tracing::debug!("cannot watch {key}: {error}");
            },
            () = shutdown.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// How often the key is read although nothing seems to have changed.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The pause before a failed watch is set up again.
const AGAIN: Duration = Duration::from_secs(1);
