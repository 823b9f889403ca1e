//! Tells the leader of the keys of the state bucket that it depends on.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Spawn,
    leader::{Input, Sighting},
    leaving::Leaving,
    service::ReplyTo,
};
use crate::{
    broker::bucket::{Bucket, Entry},
    subject::{HALT, LEDGER, TOPOLOGY},
    wire::{
        self,
        identify::Ledger,
        topology::{Halt, Topology},
    },
};

/// Tells the loop of the keys that it does not write itself, and of the ledger.
pub(super) fn watch(
    spawn: &Spawn<'_>,
    state: &Bucket,
    events: &mpsc::Sender<Input<ReplyTo>>,
    token: &str,
    leaving: &Leaving,
) {
    let keys = [
        ("ledger-watch", LEDGER),
        ("halt-watch", HALT),
        ("topology-watch", TOPOLOGY),
    ];
    for (task, key) in keys {
        let (events, token, leaving) = (events.clone(), token.to_owned(), leaving.clone());
        let tell = async move |entry: Option<Entry>| {
            match entry.as_ref() {
                Some(entry) if key == TOPOLOGY => leaving.see_topology(entry),
                Some(entry) if key == HALT => leaving.see_halt(entry),
                _ => {}
            }
            if let Some(input) = news(key, entry, &token) {
                _ = events.send(input).await;
            }
        };
        let ended = spawn.1.clone();
        spawn.vital(task, super::watch::watch(state.clone(), key, ended, tell));
    }
}

/// Tells the loop whenever the bucket has lost what was in it, until `ended`.
pub(super) async fn losses(
    state: Bucket,
    events: mpsc::Sender<Input<ReplyTo>>,
    ended: CancellationToken,
) {
    let mut losses = state.losses();
    while ended.run_until_cancelled(losses.lost()).await.is_some() {
        if events.send(Input::Lost).await.is_err() {
            return;
        }
    }
}

/// What the value of a key means to the leader; none if nothing.
fn news(key: &str, entry: Option<Entry>, token: &str) -> Option<Input<ReplyTo>> {
    match key {
        LEDGER => {
            let entry = entry?;
            let ledger: Ledger = wire::decode(&entry.value).ok()?;
            Some(Input::Sighted(Sighting {
                revision: entry.revision,
                nonce: ledger.nonce,
            }))
        }
        HALT => Some(Input::Halted(entry.is_some_and(|entry| {
            // One under another token is over; one that is not understood stands all the same.
            wire::decode::<Halt>(&entry.value).map_or(true, |halt| halt.token == token)
        }))),
        _ => {
            let topology = wire::decode::<Topology>(&entry?.value);
            let topology = topology.inspect_err(|error| tracing::error!("the topology: {error}"));
            Some(Input::Shards(topology.ok()?.layout.shards))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &'static str) -> Entry {
        Entry {
            value: text.as_bytes().into(),
            revision: 7,
            at_ms: 0,
        }
    }

    fn halted(entry: Option<Entry>) -> bool {
        matches!(news(HALT, entry, "mine"), Some(Input::Halted(true)))
    }

    #[test]
    fn a_halt_counts_for_its_token_and_where_it_is_not_understood() {
        let mine =
            r#"{"v":1,"code":4004,"reason":"r","shard":0,"process":"p","at_ms":1,"token":"mine"}"#;
        let old =
            r#"{"v":1,"code":4004,"reason":"r","shard":0,"process":"p","at_ms":1,"token":"old"}"#;
        assert!(halted(Some(entry(mine))) && halted(Some(entry("?"))));
        assert!(!halted(Some(entry(old))) && !halted(None));
    }

    #[test]
    fn a_topology_that_is_not_understood_changes_nothing() {
        let good = r#"{"v":1,"generation":1,"shards":9,"group_size":1,"allow":[],"deny":[]}"#;
        let news = |entry| news(TOPOLOGY, entry, "");
        assert!(matches!(news(Some(entry(good))), Some(Input::Shards(9))));
        assert!(news(Some(entry("{"))).is_none() && news(None).is_none());
    }
}
