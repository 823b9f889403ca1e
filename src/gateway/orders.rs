//! An operator's orders to this process: each kind on a subject of its own, heard, carried out, answered.

use anyhow::Result;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{broker::Broker, clock, supervise, telemetry::seldom::Seldom, wire};

/// Hears orders on `subject` until `ended`, in the task of this name; `carry_out` gives the answer. Returns once
/// it listens.
///
/// # Errors
/// Where the subscription is refused.
pub async fn hear<T: DeserializeOwned + Send>(
    broker: &Broker,
    task: &'static str,
    subject: String,
    ended: CancellationToken,
    carry_out: impl Fn(T) -> Bytes + Send + 'static,
) -> Result<()> {
    let mut words = broker.client.subscribe(subject).await?;
    let (client, seldom) = (broker.client.clone(), Seldom::default());
    let until = ended.clone();
    supervise::vital(task, &until, async move {
        while let Some(Some(word)) = ended.run_until_cancelled(words.next()).await {
            let told = match wire::decode::<T>(&word.payload) {
                Ok(order) => carry_out(order),
                Err(error) => {
                    if let Some(unsaid) = seldom.one_more(clock::now()) {
                        let subject = &word.subject;
                        tracing::warn!(
                            %subject,
                            unsaid,
                            "an order on {subject} was not understood, and is passed over: {error}"
                        );
                    }
                    continue;
                }
            };
            if let Some(reply) = word.reply {
                // An operator who hears nothing asks again, or looks at the status.
                _ = client.publish(reply, told).await;
            }
        }
    });
    Ok(())
}
