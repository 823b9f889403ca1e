//! The group's fast-ingest batches, from the last owner's to the first of its own.

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::{End, Stay, pause};
use crate::gateway::forward::{
    tend::{self, Ground, Tender},
    untaken::Untaken,
};

impl Stay {
    /// Who tends the group's batches, once the last owner's is closed; none where the stream takes none. And
    /// when the stream was made.
    pub(super) async fn tender(
        &self,
        stop: &CancellationToken,
    ) -> Result<(Option<Tender>, i128), End> {
        let mut pause = pause();
        loop {
            match self.open_tender().await {
                Ok(tender) => return Ok(tender),
                Err(error) => {
                    let group = self.group;
                    tracing::warn!(%group, "group {group} cannot begin yet: {error:#}");
                }
            }
            self.again(&mut pause, stop).await?;
        }
    }

    async fn open_tender(&self) -> Result<(Option<Tender>, i128)> {
        let (tools, stream) = (&self.tools, self.stream());
        let (takes_batches, made) = tend::look(&tools.broker, &stream).await?;
        if !takes_batches {
            let group = self.group;
            tracing::info!(
                %group,
                "the stream {stream} takes no batches, so that each message of group {group} waits for its ack: \
                 it needs nats-server 2.14 and allow_batched"
            );
            return Ok((None, made));
        }
        let ground = Ground {
            broker: tools.broker.clone(),
            state: tools.state.clone(),
            layout: self.layout,
            group: self.group,
            epoch: self.epoch,
        };
        let (held, budget) = (self.held.clone(), self.shared.budget.clone());
        let losses = [self.shared.losses.of(&stream), self.state_losses()];
        let tender = Tender::open(&ground, held, budget, tools.refusals.clone(), losses);
        let mut tender = tender.await?;
        tender.untaken = Untaken::new(tools.untaken.clone());
        Ok((Some(tender), made))
    }
}
