//! How a group's stay in this process ends.

use tokio::task::JoinError;

use super::SHARD;
use crate::{fleet::ShardId, gateway::shard, supervise::Failure};

/// How a group's stay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Another was faster.
    NotWon,
    /// Handed over: the lease is free.
    Released,
    /// The lease was lost, or a later owner stores.
    Lost,
    /// A task of it is gone: nothing of it runs here any more, and the lease is given up.
    Broken(Failure),
    /// Discord refuses this bot with this code, on this shard.
    Fatal(ShardId, u16),
}

impl End {
    /// How the end of a shard's task ends its group.
    pub(super) fn of_shard(
        ended: &Result<(ShardId, Result<shard::End, Failure>), JoinError>,
    ) -> Self {
        match ended {
            Ok((_, Ok(shard::End::Stopped))) => Self::Released,
            Ok((id, Ok(shard::End::Fatal(code)))) => Self::Fatal(*id, *code),
            Ok((_, Ok(_))) => Self::Lost,
            Ok((_, Err(failure))) => Self::Broken(*failure),
            Err(_) => Self::Broken(Failure::of(SHARD, ended)),
        }
    }

    /// The graver of two words on one stay.
    pub(super) fn and(self, other: Self) -> Self {
        let graver = other.weight() > self.weight();
        if graver { other } else { self }
    }

    fn weight(self) -> u8 {
        match self {
            Self::Released => 0,
            Self::NotWon | Self::Lost => 1,
            Self::Broken(_) => 2,
            Self::Fatal(..) => 3,
        }
    }
}
