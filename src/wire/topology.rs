//! What the whole fleet shares: its cut and its choice of events; and why it stands still.

use serde::{Deserialize, Serialize};

use crate::fleet::Layout;

/// Under [`crate::subject::TOPOLOGY`]: seeded once from the configuration, then changed by `shardfleet set`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Version.
    pub v: u32,
    /// Shards, groups and generation.
    #[serde(flatten)]
    pub layout: Layout,
    /// Events forwarded; empty: all.
    pub allow: Vec<String>,
    /// Events never forwarded.
    pub deny: Vec<String>,
}

/// Under [`crate::subject::HALT`]: a fault that no restart mends. Nobody connects until it is cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Version.
    pub v: u32,
    /// Discord's close code.
    pub code: u16,
    /// What it means and how to mend it.
    pub reason: String,
    /// The shard that met it.
    pub shard: u32,
    /// The process that wrote it.
    pub process: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The first half of the SHA-256 of the token in use: another token clears the halt. Not the token.
    pub token: String,
}
