//! Puts the leader's questions to Discord, and seeds the topology with the answer where there is none.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::{
    leader::Input,
    limits::{Discord, MEANWHILE, Unread},
    service::ReplyTo,
    topology::Seed,
};

/// Who asks, and who hears of the answer beside the leader.
pub(super) struct Inquiry {
    pub(super) discord: Discord,
    pub(super) seed: Seed,
    /// Whether Discord refuses the token, by its last word.
    pub(super) refused: watch::Sender<bool>,
}

/// One question at a time, until nobody asks any more.
pub(super) async fn ask_discord(
    inquiry: Inquiry,
    mut questions: mpsc::Receiver<()>,
    answers: mpsc::Sender<Input<ReplyTo>>,
) {
    let Inquiry {
        discord,
        mut seed,
        refused,
    } = inquiry;
    let mut recommended = None;
    let mut seeded = true;
    let mut failures: u32 = 0;
    loop {
        tokio::select! {
            question = questions.recv() => if question.is_none() { return },
            () = tokio::time::sleep(SEED_AGAIN), if !seeded => {
                seeded = seed.see(recommended).await;
                continue;
            }
            () = seed.lost() => {
                seeded = seed.see(recommended).await;
                continue;
            }
        }
        let input = match discord.ask().await {
            Ok(answer) => {
                let shards = answer.shards;
                if recommended.replace(shards) != Some(shards) {
                    tracing::info!(shards, "Discord recommends {shards} shards");
                }
                if failures > 0 {
                    tracing::info!("Discord's limits are read again");
                }
                failures = 0;
                refused.send_replace(false);
                Input::Limits(answer)
            }
            Err(unread) => {
                tell(&unread, failures);
                failures = failures.saturating_add(1);
                // Where it does not answer at all nothing new is known of the token.
                if unread.is_final() {
                    refused.send_replace(true);
                }
                Input::NoLimits(unread.pause())
            }
        };
        // Grants wait for it; a NATS that is slow to be seeded must not hold it up.
        if answers.send(input).await.is_err() {
            return;
        }
        seeded = seed.see(recommended).await;
    }
}

fn tell(unread: &Unread, failures: u32) {
    match (unread.is_final(), failures) {
        (true, _) => tracing::error!("{unread}"),
        (false, 0) => tracing::warn!("{unread}. {MEANWHILE}"),
        (false, _) => tracing::warn!("{unread}"),
    }
}

/// How soon the topology is seeded again where NATS did not answer, as in an election.
const SEED_AGAIN: Duration = Duration::from_millis(500);
