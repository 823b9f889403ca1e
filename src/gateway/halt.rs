//! A fault that no restart mends stops the whole fleet: a restart loop must not burn identifies.

use futures_util::{Stream, StreamExt};

use crate::{
    broker::bucket::{Bucket, Entry, KvError},
    clock,
    config::Secret,
    fleet::ShardId,
    subject::HALT,
    wire::{self, VERSION, topology::Halt},
};

/// What a fatal close code means and how to mend it.
///
/// <https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes>
pub fn reason(code: u16) -> &'static str {
    match code {
        4004 => "the token is wrong or was reset; give the right one",
        4010 => "the shard or the number of shards is invalid; correct fleet.shards",
        4011 => "the bot is in too many guilds for so few shards; raise fleet.shards",
        4012 => "the version of the gateway is gone; upgrade shardfleet",
        4013 => "discord.intents has a bit that Discord does not know; correct it",
        4014 => {
            "discord.intents has a privileged intent that is not enabled for this bot; enable it in \
             the developer portal, or leave it out"
        }
        _ => "Discord closed for good",
    }
}

/// Writes the halt, unless one stands for this token.
pub async fn write(
    state: &Bucket,
    token: &Secret,
    process: &str,
    shard: ShardId,
    code: u16,
) -> Halt {
    let halt = Halt {
        v: VERSION,
        code,
        reason: reason(code).to_owned(),
        shard: shard.0,
        process: process.to_owned(),
        at_ms: clock::unix_ms(),
        token: token.fingerprint(),
    };
    if let Err(error) = put(state, &halt).await {
        tracing::warn!("the halt is not written: {error}");
    }
    halt
}

/// One under another token is over, and gives way; one under this token stands.
async fn put(state: &Bucket, halt: &Halt) -> Result<(), KvError> {
    let standing = state.get(HALT).await?;
    if standing.as_ref().and_then(fingerprint).as_ref() == Some(&halt.token) {
        return Ok(());
    }
    let read = standing.map(|entry| entry.revision);
    let written = state.write(HALT, wire::encode(halt), read).await;
    match written {
        // Another shard of this fleet met the same close in the same moment.
        Ok(_) | Err(KvError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

fn fingerprint(entry: &Entry) -> Option<String> {
    wire::decode::<Halt>(&entry.value)
        .ok()
        .map(|halt| halt.token)
}

/// The halts that concern this token, now and later. One under another token is over.
pub fn watch(state: &Bucket, token: &Secret) -> impl Stream<Item = Halt> + Unpin + use<> {
    let fingerprint = token.fingerprint();
    let halts = state.watch(HALT);
    Box::pin(halts.filter_map(move |entry| {
        let halt = entry.and_then(|entry| wire::decode::<Halt>(&entry.value).ok());
        std::future::ready(halt.filter(|halt| halt.token == fingerprint))
    }))
}
