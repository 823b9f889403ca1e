//! How firmly a gateway stands, which nobody but its own process needs to know.

use crate::wire::status::{GatewayStatus, ShardState};

/// How firmly a gateway stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footing {
    /// One of its shards has been live since it started.
    pub proven: bool,
    /// Groups that nobody holds and that are its share.
    pub free: usize,
}

impl Footing {
    /// As of a look: once proven, always.
    pub fn saw(&mut self, gateway: &GatewayStatus) {
        let mut shards = gateway.shards.iter();
        self.proven |= shards.any(|shard| shard.state == ShardState::Ready);
    }
}
