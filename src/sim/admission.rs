//! Whether an IDENTIFY is well formed and allowed, apart from how many there are.

use std::sync::Arc;

use super::event::intent;
use super::frame::Identify;
use super::mailbox::Mailbox;
use super::refusal::Refusal;
use super::registry::Shared;
use crate::config::sim::SimOptions;

/// Who asks: a connection and how to reach it.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) connection: u64,
    pub(super) mailbox: Arc<Mailbox>,
}

/// The answer to an IDENTIFY or a RESUME.
#[derive(Debug)]
pub(super) enum Admission {
    /// The session is the caller's.
    Granted(Arc<Shared>),
    /// Op 9 with `d:false`.
    Invalid,
    /// Close.
    Refused(Refusal),
}

/// What an IDENTIFY may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admitted {
    pub(super) bot: u64,
    pub(super) shard: u32,
    pub(super) shards: u32,
    pub(super) intents: u64,
}

/// Whether an IDENTIFY may be. `bot`: that of its token.
pub(super) fn check(ask: &Identify, options: &SimOptions, bot: u64) -> Result<Admitted, Refusal> {
    let (shard, shards) = match &ask.shard {
        None | Some(serde_json::Value::Null) => (0, 1),
        Some(pair) => serde_json::from_value::<(u32, u32)>(pair.clone())
            .ok()
            .filter(|(shard, shards)| {
                shard < shards && shards.is_multiple_of(options.shard_multiple)
            })
            .ok_or_else(|| Refusal::of(4010, "bad_shard", format!("shard {pair}")))?,
    };
    if shards < options.min_shards {
        let detail = format!(
            "{shards} shards, at least {} are needed",
            options.min_shards
        );
        return Err(Refusal::of(4011, "sharding_required", detail));
    }
    let intents = ask
        .intents
        .as_u64()
        .filter(|bits| bits & !intent::ALL == 0)
        .ok_or_else(|| Refusal::of(4013, "bad_intents", format!("intents {}", ask.intents)))?;
    if intents & options.disallow_intents != 0 {
        return Err(Refusal::of(
            4014,
            "disallowed_intents",
            format!("intents {intents}"),
        ));
    }
    Ok(Admitted {
        bot,
        shard,
        shards,
        intents,
    })
}
