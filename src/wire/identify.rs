//! Leave to IDENTIFY: asked on `fleet.<name>.identify`, answered to the reply subject.
//!
//! A waiting shard repeats its [`Ask`] every [`ASK_EVERY`] with a growing counter, under the nonce
//! of one enqueue. A [`Reply::Grant`] names the newest counter that the leader had received before
//! it wrote its ledger; the asker refuses a grant for a counter that it sent [`FRESHNESS`] ago or
//! earlier. So a grant that the network held up is wasted, not used late, and no two clocks are
//! compared.
//!
//! The reply subject is an inbox that the asker keeps open, not that of a single request: some asks
//! are answered by a [`Reply::Wait`] at once, and the grant comes later, to the newest reply subject.
//! While nobody leads, NATS itself answers there with an empty "no responders": skip it and ask on.
//! After its IDENTIFY left the asker says [`Confirm`], and says it again with `refused` if Discord
//! refuses it; who waits no more may say [`Withdraw`].
//! Only the leader listens; a coordinator that has begun to lead says [`Leader`] on
//! `fleet.<name>.leader`, and whoever waits asks again at once.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::VERSION;

/// How often a waiting shard repeats its request.
pub const ASK_EVERY: Duration = Duration::from_secs(1);
/// How soon a refused shard asks again: the fleet's cut may have changed meanwhile.
pub const ASK_AGAIN_AFTER_REFUSAL: Duration = Duration::from_secs(5);
/// The age of a request at which a grant for it is refused.
pub const FRESHNESS: Duration = Duration::from_secs(2);
/// How long after its answer an HTTP client may take to IDENTIFY: it cannot tell.
pub const HTTP_SLACK: Duration = Duration::from_secs(2);
/// A request not repeated for this long is forgotten.
pub const FORGET_AFTER: Duration = Duration::from_secs(4);
/// Discord takes one IDENTIFY of a bucket in this time.
///
/// <https://discord.com/developers/docs/events/gateway#sharding-max-concurrency>
pub const SPACING: Duration = Duration::from_secs(5);
/// The longest nonce or process name that is taken, in bytes.
pub const MAX_NAME: usize = 128;

/// What is said to the coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Request {
    /// May I?
    Ask(Ask),
    /// The IDENTIFY of this grant left just now. No reply.
    Confirm(Confirm),
    /// Nobody waits under this nonce any more. No reply.
    Withdraw(Withdraw),
    /// An operator lets the fleet spend from the reserve. Answered by [`Reply::Released`].
    ReleaseReserve(ReleaseReserve),
}

/// A shard without a session asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Version.
    pub v: u32,
    /// Who asks.
    pub shard: u32,
    /// Of how many: a foreign layout is refused. 0: the asker does not know (HTTP).
    pub shards: u32,
    /// One enqueue of one shard; a new attempt has a new one.
    pub nonce: String,
    /// 1, 2, 3 … within the nonce.
    pub counter: u64,
    /// The asking process, for people.
    pub process: String,
    /// Asked in the name of an HTTP client: what it does after the answer is not seen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub http: bool,
    /// That client did not say which shard it is: `shard` is 0, for its bucket alone, and nobody's
    /// identifies are counted. A coordinator that does not know the field takes it for shard 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shardless: bool,
}

impl Ask {
    /// Whose identifies it counts among; none where nobody knows.
    pub fn named(&self) -> Option<u32> {
        (!self.shardless).then_some(self.shard)
    }
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
    /// Said again once Discord has refused that IDENTIFY (op 9): a limit may have fallen, so no grant
    /// leaves before the limits are read again. A coordinator that does not know the field hears a
    /// confirmation twice, which changes nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

/// The asker went away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// Version.
    pub v: u32,
    /// Who asked.
    pub shard: u32,
    /// The nonce of its requests.
    pub nonce: String,
}

/// An operator's word; valid until Discord opens the next day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseReserve {
    /// Version.
    pub v: u32,
    /// How many identifies of the reserve may be spent, on top of those released before.
    pub n: u32,
    /// Names this word: repeated, it counts once.
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
    /// Not as asked; asking again changes nothing until somebody mends the fault.
    Refused {
        /// Version.
        v: u32,
        /// Of the request, where it could be read.
        nonce: String,
        /// Why.
        reason: String,
    },
    /// The reserve was released, and the ledger says so.
    Released {
        /// Version.
        v: u32,
        /// Of the request.
        nonce: String,
        /// Identifies of the reserve that are released by now.
        released: u32,
        /// Identifies left of the day.
        remaining: u32,
    },
}

impl Reply {
    /// A refusal of this release's version.
    pub fn refused(nonce: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Refused {
            v: VERSION,
            nonce: nonce.into(),
            reason: reason.into(),
        }
    }

    /// Which request it answers.
    pub fn nonce(&self) -> &str {
        match self {
            Self::Grant { nonce, .. }
            | Self::Wait { nonce, .. }
            | Self::Refused { nonce, .. }
            | Self::Released { nonce, .. } => nonce,
        }
    }
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
    /// The leader has yet to make the ledger its own.
    Ledger,
}

/// A coordinator leads from now on, said on `fleet.<name>.leader`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Version.
    pub v: u32,
    /// The leadership.
    pub epoch: u64,
    /// The leading process.
    pub process: String,
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
    /// Identifies left, by Discord's last answer less the grants since; none before it was heard.
    pub remaining: Option<u32>,
    /// When Discord opens the next day, in milliseconds since the Unix epoch; for people.
    pub reset_at_ms: u64,
    /// Identifies that an operator has released from the reserve.
    pub released: u32,
    /// The nonce of the last release.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub release_nonce: String,
    /// Grants ever.
    pub granted: u64,
    /// For each bucket used lately, the latest moment at which its last IDENTIFY can leave, in
    /// milliseconds after this write was sent (before it, where negative). No clock is compared: who
    /// reads it counts from the moment at which it first saw this write.
    pub uses: BTreeMap<u32, i64>,
    /// Who identified within the hour, these grants included.
    #[serde(default, skip_serializing_if = "Slowed::is_empty")]
    pub slowed: Slowed,
}

/// What slows a fleet and its shards down, so that a new leader does not forget it. Spans are in
/// milliseconds before the write, and count from the moment at which a reader first saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slowed {
    /// Grants of the fleet in each sixth of the hour, the newest first.
    #[serde(default)]
    pub fleet: Vec<u32>,
    /// The age of the last of them.
    #[serde(default)]
    pub last_ms: u64,
    /// Shards that are slowed down, and no others: grants within the hour, and the age of the last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shards: BTreeMap<u32, (u32, u64)>,
}

impl Slowed {
    /// True where nobody identified, or the writer's release did not say.
    pub fn is_empty(&self) -> bool {
        self.fleet.is_empty() && self.shards.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    #[test]
    fn the_contract_on_the_wire() {
        let mut ask = Ask {
            v: 1,
            shard: 3,
            shards: 32,
            nonce: "n".into(),
            counter: 2,
            process: "p".into(),
            http: false,
            shardless: false,
        };
        let golden =
            r#"{"kind":"ask","v":1,"shard":3,"shards":32,"nonce":"n","counter":2,"process":"p"}"#;
        round_trip(&Request::Ask(ask.clone()), golden);
        ask.http = true;
        let golden = r#"{"kind":"ask","v":1,"shard":3,"shards":32,"nonce":"n","counter":2,"process":"p","http":true}"#;
        round_trip(&Request::Ask(ask.clone()), golden);
        assert_eq!(ask.named(), Some(3));
        (ask.shard, ask.shards, ask.shardless) = (0, 0, true);
        let golden = r#"{"kind":"ask","v":1,"shard":0,"shards":0,"nonce":"n","counter":2,"process":"p","http":true,"shardless":true}"#;
        round_trip(&Request::Ask(ask.clone()), golden);
        assert_eq!(ask.named(), None);

        let confirm = Request::Confirm(Confirm {
            v: 1,
            shard: 3,
            nonce: "n".into(),
            refused: false,
        });
        round_trip(
            &confirm,
            r#"{"kind":"confirm","v":1,"shard":3,"nonce":"n"}"#,
        );
        let refused = Request::Confirm(Confirm {
            v: 1,
            shard: 3,
            nonce: "n".into(),
            refused: true,
        });
        round_trip(
            &refused,
            r#"{"kind":"confirm","v":1,"shard":3,"nonce":"n","refused":true}"#,
        );
        let release = Request::ReleaseReserve(ReleaseReserve {
            v: 1,
            n: 5,
            nonce: "n".into(),
        });
        round_trip(
            &release,
            r#"{"kind":"release_reserve","v":1,"n":5,"nonce":"n"}"#,
        );

        let grant = Reply::Grant {
            v: 1,
            nonce: "n".into(),
            counter: 2,
        };
        let golden = r#"{"kind":"grant","v":1,"nonce":"n","counter":2}"#;
        assert_eq!(encode(&grant), golden);
        assert_eq!(decode::<Reply>(golden.as_bytes()).unwrap(), grant);
    }

    #[test]
    fn the_ledger_on_the_wire() {
        let golden = r#"{"v":1,"epoch":7,"nonce":"p.7.2","writes":9,"max_concurrency":16,"total":1000,"remaining":998,"reset_at_ms":5,"released":0,"granted":2,"uses":{"0":-150,"3":2000}}"#;
        let ledger: Ledger = decode(golden.as_bytes()).unwrap();
        assert_eq!(ledger.uses[&3], 2000);
        assert_eq!(encode(&ledger), golden);
    }

    /// The ledger above is one of a release that did not know of it.
    #[test]
    fn who_is_slowed_down_on_the_wire() {
        let golden = r#"{"fleet":[3,0,64],"last_ms":150,"shards":{"7":[5,150]}}"#;
        let slowed: Slowed = serde_json::from_str(golden).unwrap();
        assert_eq!(slowed.shards[&7], (5, 150));
        assert_eq!(serde_json::to_string(&slowed).unwrap(), golden);
        let golden = r#"{"fleet":[16],"last_ms":0}"#;
        let slowed: Slowed = serde_json::from_str(golden).unwrap();
        assert_eq!(serde_json::to_string(&slowed).unwrap(), golden);
        assert!(!slowed.is_empty() && Slowed::default().is_empty());
    }

    fn round_trip(request: &Request, golden: &str) {
        assert_eq!(encode(request), golden);
        assert_eq!(&decode::<Request>(golden.as_bytes()).unwrap(), request);
    }
}
