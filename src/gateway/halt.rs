//! A fault that no restart mends stops the whole fleet: a restart loop must not burn identifies.

use futures_util::{Stream, StreamExt};

use super::LOOK_EVERY;
use crate::{
    bot::{BotId, Said},
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

/// Whether a fatal close is the fleet's. A token that is refused stops its own process alone, unless it is
/// that of the fleet's bot: then every process with that token is to stop, and the others go on.
///
/// `mine` is the bot that this process began as, `said` what REST says where that is not known, `fleet` the
/// fleet's bot. That the gateway refuses a token counts even where REST accepts it still, or cannot be asked:
/// a restart would meet the same close, and burn an identify for it.
pub fn concerns_the_fleet(
    code: u16,
    said: &Said,
    mine: Option<BotId>,
    fleet: Option<BotId>,
) -> bool {
    if code != 4004 {
        return true;
    }
    let mine = match said {
        Said::Is(bot, _) => Some(*bot),
        Said::Refused | Said::Nothing(_) => mine,
    };
    match (mine, fleet) {
        (mine, Some(fleet)) => mine == Some(fleet),
        // Nobody has said whose fleet it is: a token that REST refuses need not be its own.
        (_, None) => *said != Said::Refused,
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

/// A halt under another token that stands as this process begins.
///
/// # Errors
/// Where NATS does not answer.
pub async fn of_another(state: &Bucket, token: &Secret) -> Result<Option<Over>, KvError> {
    let entry = state.get(HALT).await?;
    let over = entry
        .filter(|entry| fingerprint(entry).is_some_and(|standing| standing != token.fingerprint()));
    Ok(over.map(|entry| Over {
        state: state.clone(),
        revision: entry.revision,
    }))
}

/// A halt that binds no process with this token, and is still told to whoever looks at the fleet.
pub struct Over {
    state: Bucket,
    revision: u64,
}

impl Over {
    /// Clears it once `ready`: Discord has taken this process's token since. One that was written later is
    /// left alone, it may be of a newer token.
    pub async fn clear(self, ready: impl Fn() -> bool) {
        while !ready() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        match self.state.delete(HALT, self.revision).await {
            Ok(()) => tracing::info!("the halt under another token is over, and cleared"),
            // Somebody was faster.
            Err(KvError::Conflict) => {}
            Err(error) => tracing::warn!(
                "the halt under another token is over, and not cleared: {error}; \
                 `shardfleet resume-fleet` does that"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_token_is_the_fleets_where_the_bot_is() {
        let (ours, other) = (Some(BotId(1)), Some(BotId(2)));
        let nothing = || Said::Nothing("away".to_owned());
        let is = |bot: u64| Said::Is(BotId(bot), String::new());
        let fleet = |said: Said, mine, fleet| concerns_the_fleet(4004, &said, mine, fleet);
        // Refused by both; refused by the gateway alone; REST away.
        for said in [Said::Refused, is(1), nothing()] {
            assert!(fleet(said, ours, ours));
        }
        // Another bot's, and one that nobody can tell.
        for said in [Said::Refused, is(2), nothing()] {
            assert!(!fleet(said.clone(), other, ours));
            assert!(!fleet(said.clone(), None, ours), "{said:?}");
        }
        // REST knows better than the token does.
        assert!(fleet(is(1), None, ours) && !fleet(is(2), ours, ours));
        // A fleet that an older release began.
        assert!(fleet(nothing(), ours, None) && fleet(is(1), None, None));
        assert!(!fleet(Said::Refused, None, None));
        // What is wrong with the configuration is everybody's.
        for code in 4010..=4014 {
            assert!(concerns_the_fleet(code, &nothing(), other, ours));
        }
    }
}
