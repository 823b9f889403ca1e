//! Leave to IDENTIFY: asked on `fleet.<name>.identify`, answered to the reply subject.
//!
//! A waiting shard repeats its [`Ask`] every [`ASK_EVERY`] with a growing counter, under the nonce
//! of one enqueue. A [`Reply::Grant`] names the newest counter that the leader had received before
//! it wrote its ledger; the asker refuses a grant for a counter that it sent more than [`FRESHNESS`]
//! ago. So a grant that the network held up is wasted, not used late, and no two clocks are compared.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// How often a waiting shard repeats its request.
pub const ASK_EVERY: Duration = Duration::from_secs(1);
/// The age of a request at which a grant for it is refused.
pub const FRESHNESS: Duration = Duration::from_secs(2);
/// A request not repeated for this long is forgotten.
pub const FORGET_AFTER: Duration = Duration::from_secs(4);
/// Discord takes one IDENTIFY of a bucket in this time.
///
/// <https://discord.com/developers/docs/events/gateway#sharding-max-concurrency>
pub const SPACING: Duration = Duration::from_secs(5);

/// What a shard says to the coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Request {
    /// May I?
    Ask(Ask),
    /// The IDENTIFY of this grant left just now. No reply.
    Confirm(Confirm),
}

/// A shard without a session asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Version.
    pub v: u32,
    /// Who asks.
    pub shard: u32,
    /// Of how many: a foreign layout is refused.
    pub shards: u32,
    /// One enqueue of one shard; a new attempt has a new one.
    pub nonce: String,
    /// 1, 2, 3 … within the nonce.
    pub counter: u64,
    /// The asking process, for people.
    pub process: String,
}

/// The asker sent its IDENTIFY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// Version.
    pub v: u32,
    /// Who identified.
    pub shard: u32,
    /// The nonce of the grant.
    pub nonce: String,
}

/// What the leader answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reply {
    /// Identify now, if the named request is fresh.
    Grant {
        /// Version.
        v: u32,
        /// Of the request.
        nonce: String,
        /// The newest counter that the leader had received before it wrote the ledger.
        counter: u64,
    },
    /// In the queue. For people: nothing depends on it.
    Wait {
        /// Version.
        v: u32,
        /// Of the request.
        nonce: String,
        /// How many of the same bucket stand before it.
        position: u32,
        /// What it waits for.
        reason: WaitReason,
        /// The leader's estimate, in milliseconds.
        about_ms: u64,
    },
    /// Never, as asked.
    Refused {
        /// Version.
        v: u32,
        /// Of the request, where it could be read.
        nonce: String,
        /// Why.
        reason: String,
    },
}

/// What a request in the queue waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// Its turn in the bucket.
    Spacing,
    /// The daily limit less the reserve is spent.
    Budget,
    /// This shard or the fleet identifies again and again.
    SlowedDown,
    /// The fleet is halted.
    Halted,
    /// The leader has yet to hear the limits from Discord.
    Limits,
}

/// The coordinator's memory, under [`crate::subject::LEDGER`]: written before a grant leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Version.
    pub v: u32,
    /// The leadership that wrote it.
    pub epoch: u64,
    /// Names this write, so that one that timed out can be told from another's.
    pub nonce: String,
    /// Writes so far.
    pub writes: u64,
    /// Discord's `max_concurrency` as last heard; 0 before it was ever heard.
    pub max_concurrency: u32,
    /// Discord's `total` as last heard.
    pub total: u32,
    /// Identifies left, by Discord's last answer less the grants since.
    pub remaining: u32,
    /// When Discord opens the next day, in milliseconds since the Unix epoch; for people.
    pub reset_at_ms: u64,
    /// Identifies that an operator has released from the reserve.
    pub released: u32,
    /// Grants ever.
    pub granted: u64,
    /// Buckets granted in this write and their grant counters.
    pub last_grants: BTreeMap<u32, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    #[test]
    fn the_contract_on_the_wire() {
        let ask = Request::Ask(Ask {
            v: 1,
            shard: 3,
            shards: 32,
            nonce: "n".into(),
            counter: 2,
            process: "p".into(),
        });
        let golden =
            r#"{"kind":"ask","v":1,"shard":3,"shards":32,"nonce":"n","counter":2,"process":"p"}"#;
        assert_eq!(encode(&ask), golden);
        assert_eq!(decode::<Request>(golden.as_bytes()).unwrap(), ask);

        let grant = Reply::Grant {
            v: 1,
            nonce: "n".into(),
            counter: 2,
        };
        let golden = r#"{"kind":"grant","v":1,"nonce":"n","counter":2}"#;
        assert_eq!(encode(&grant), golden);
        assert_eq!(decode::<Reply>(golden.as_bytes()).unwrap(), grant);
    }
}
