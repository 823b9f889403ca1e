//! One look at the fleet after another. While NATS is away, each look is the last one before, and says so.

use std::time::Duration;

use anyhow::{Error, Result};

use super::{Roster, Shared, overview::Overview, shared};
use crate::{broker::Broker, clock};

/// How long a look waits for NATS before it shows what was known.
const READ_LIMIT: Duration = Duration::from_secs(1);

/// Whoever looks again and again.
pub struct Looks {
    broker: Broker,
    roster: Roster,
    shared: Shared,
    last: Overview,
    /// Why what the fleet shares could not be read at the last look, if it could not.
    pub trouble: Option<Error>,
}

impl Looks {
    /// Nothing was looked at yet.
    pub fn new(broker: Broker, roster: Roster) -> Self {
        let shared = Shared::default();
        let last = roster.overview(&broker.names, shared.clone());
        Self {
            broker,
            roster,
            shared,
            last,
            trouble: None,
        }
    }

    /// Looks again.
    pub async fn look(&mut self) -> &Overview {
        match self.read().await {
            Ok(shared) => (self.shared, self.trouble) = (shared, None),
            // A fleet that never ran has no bucket. Otherwise what it shares changes rarely.
            Err(error) => self.trouble = Some(error),
        }
        // A server that is frozen keeps its connections open: then nobody is heard, and nothing is answered.
        let frozen = self.trouble.is_some() && self.roster.is_silent();
        if self.broker.connected() && !frozen {
            self.last = self
                .roster
                .overview(&self.broker.names, self.shared.clone());
        } else {
            let away = clock::unix_ms().saturating_sub(self.last.at_ms);
            self.last.nats_away_ms = Some(away);
        }
        &self.last
    }

    /// What the last look saw.
    pub fn last(&self) -> &Overview {
        &self.last
    }

    async fn read(&self) -> Result<Shared> {
        tokio::time::timeout(READ_LIMIT, shared(&self.broker)).await?
    }
}
