//! Why a coordinator has to leave, as what the whole fleet shares tells.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::{
    bot::{self, BotId, Other},
    broker::bucket::Entry,
    wire::{
        self,
        topology::{Halt, Halted, Topology},
    },
};

/// What was found first, and how to make the role end for it.
#[derive(Clone)]
pub(super) struct Leaving {
    mine: Option<BotId>,
    /// The mark of this process's token.
    token: Arc<str>,
    found: Arc<OnceLock<Found>>,
    leave: CancellationToken,
}

#[derive(Clone)]
enum Found {
    /// The fleet is another bot's.
    Other(Other),
    /// The token was refused, and with it every process that has it.
    Halted(Halt),
}

impl Leaving {
    /// Cancels `leave` once there is a reason.
    pub(super) fn new(mine: Option<BotId>, token: &str, leave: CancellationToken) -> Self {
        Self {
            mine,
            token: token.into(),
            found: Arc::default(),
            leave,
        }
    }

    /// Looks at the topology as it stands.
    pub(super) fn see_topology(&self, entry: &Entry) {
        let Ok(topology) = wire::decode::<Topology>(&entry.value) else {
            return;
        };
        if let Err(other) = bot::check(self.mine, &topology) {
            self.leave_for(Found::Other(other));
        }
    }

    /// Looks at the halt as it stands. Where Discord refuses the token, no coordinator with it is of use:
    /// it cannot ask Discord, and would keep the lead from one that can. What else halts a fleet is in
    /// the configuration of gateways: the coordinator says so, and goes on once it is cleared.
    pub(super) fn see_halt(&self, entry: &Entry) {
        let Ok(halt) = wire::decode::<Halt>(&entry.value) else {
            tracing::error!("the fleet is halted, in words that this release does not understand");
            return;
        };
        if halt.token != *self.token {
            return;
        }
        if halt.code == TOKEN_REFUSED {
            self.leave_for(Found::Halted(halt));
        } else {
            let code = halt.code;
            tracing::error!(code, "{}", Halted(halt));
        }
    }

    /// The error with which the role ends, if there was a reason.
    ///
    /// # Errors
    /// [`Other`], [`Halted`].
    pub(super) fn outcome(&self) -> anyhow::Result<()> {
        match self.found.get() {
            None => Ok(()),
            Some(Found::Other(other)) => Err((*other).into()),
            Some(Found::Halted(halt)) => Err(Halted(halt.clone()).into()),
        }
    }

    fn leave_for(&self, found: Found) {
        _ = self.found.set(found);
        self.leave.cancel();
    }
}

/// Authentication failed.
const TOKEN_REFUSED: u16 = 4004;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the role ends for a halt of this code under this token.
    fn ends(code: u16, token: &str) -> bool {
        let leave = CancellationToken::new();
        let leaving = Leaving::new(None, "mine", leave.clone());
        let halt = Halt {
            v: wire::VERSION,
            code,
            reason: "r".to_owned(),
            shard: 0,
            process: "g".to_owned(),
            at_ms: 1,
            token: token.to_owned(),
        };
        leaving.see_halt(&Entry {
            value: wire::encode(&halt),
            revision: 7,
            at_ms: 0,
        });
        let outcome = leaving.outcome();
        let halted = outcome.is_err_and(|error| error.is::<Halted>());
        assert_eq!(leave.is_cancelled(), halted);
        halted
    }

    #[test]
    fn a_coordinator_leaves_with_its_token_and_for_nothing_else_that_halts() {
        assert!(ends(4004, "mine"));
        assert!(!ends(4004, "new") && !ends(4014, "mine") && !ends(4010, "mine"));
    }
}
