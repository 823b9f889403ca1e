//! Tends the fast-ingest batches of a group: names them, hears what is stored, ends them.

use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::{Client, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::watch;

use super::{
    claim::BatchKey,
    ingest::{Said, Step},
    said::{Replies, said},
    shared::GroupBatch,
    untaken::Untaken,
};
use crate::{
    alarm::Alarm,
    broker::{Broker, bucket::Bucket, losses::Hearing},
    clock,
    fleet::{Epoch, GroupId, Layout, ShardId},
    gateway::{
        buffer::Budget,
        metrics::{Meters, Retry},
        socket::valid,
    },
    lease::Held,
    subject::END_EVENT,
    telemetry::seldom::Seldom,
};

/// How long the last owner's batch may take to be closed before it is asked for again.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);
/// … and how often that is tried before whoever waits for it hears of it.
const CLOSE_TRIES: u32 = 5;

/// Who tends the batches of one group.
pub struct Tender {
    pub(super) batch: GroupBatch,
    pub(super) client: Client,
    pub(super) broker: Broker,
    /// Of the group's shards.
    pub(super) first: ShardId,
    inbox: String,
    /// Where the end of a batch is said.
    pub(super) end: Subject,
    answers: Subscriber,
    key: BatchKey,
    /// Under which a batch may be begun.
    pub held: watch::Receiver<Option<Held>>,
    /// The process's bytes.
    pub budget: Budget,
    /// Counters.
    pub meters: Meters,
    /// What the lane's streams refuse.
    pub refusals: Seldom,
    /// How long nobody takes the end of a batch that broke.
    pub untaken: Untaken,
    /// Of the stream, and of the bucket that names the batch.
    losses: [Hearing; 2],
}

/// A group whose batches are tended.
pub struct Ground {
    /// Its connection.
    pub broker: Broker,
    /// The bucket of state.
    pub state: Bucket,
    /// The cut it belongs to.
    pub layout: Layout,
    /// Which.
    pub group: GroupId,
    /// Of its lease.
    pub epoch: Epoch,
}

/// Whether a stream takes fast-ingest batches (server 2.14), and when it was made.
///
/// # Errors
/// Where it is not there, or NATS does not answer.
pub async fn look(broker: &Broker, stream: &str) -> Result<(bool, i128)> {
    let stream = broker.jetstream.get_stream(stream).await?;
    let info = stream.cached_info();
    let takes_batches = info.config.allow_batch_publish;
    Ok((takes_batches, info.created.unix_timestamp_nanos()))
}

impl Tender {
    /// Closes what the group's last owner may have left open: none of it is stored from now on.
    ///
    /// # Errors
    /// Where NATS does not answer.
    pub async fn open(
        ground: &Ground,
        held: watch::Receiver<Option<Held>>,
        budget: Budget,
        refusals: Seldom,
        losses: [Hearing; 2],
    ) -> Result<Self> {
        let Ground {
            broker,
            layout,
            group,
            ..
        } = ground;
        let inbox = broker.client.new_inbox();
        let answers = broker.client.subscribe(format!("{inbox}.>")).await?;
        let (key, last) = BatchKey::open(
            ground.state.clone(),
            layout.generation,
            *group,
            ground.epoch,
        )
        .await?;
        let first = layout
            .shards_of(*group)
            .next()
            .context("a group without a shard")?;
        let replies = Replies::new(&inbox, &last);
        let mut tender = Self {
            batch: GroupBatch::new(replies.clone()),
            client: broker.client.clone(),
            broker: broker.clone(),
            first,
            end: broker.names.event(first, END_EVENT).into(),
            inbox,
            answers,
            key,
            held,
            budget,
            meters: Meters::default(),
            refusals,
            untaken: Untaken::new(Untaken::lines()),
            losses,
        };
        if !last.is_empty() {
            tender.close(&replies).await?;
        }
        Ok(tender)
    }

    /// The batch, for the group's shards.
    pub fn batch(&self) -> GroupBatch {
        self.batch.clone()
    }

    async fn close(&mut self, replies: &Replies) -> Result<()> {
        for _ in 0..CLOSE_TRIES {
            self.say(replies.close()).await;
            let until = clock::now() + CLOSED_WITHIN;
            while let Ok(Some(message)) = tokio::time::timeout_at(until, self.answers.next()).await
            {
                if matches!(said(&message), Said::Ended { .. } | Said::Unknown) {
                    return Ok(());
                }
            }
        }
        anyhow::bail!("the stream does not close the batch of the group's last owner")
    }

    /// Tends until it is dropped.
    pub async fn run(mut self) {
        let batch = self.batch.clone();
        let mut alarm = Alarm::new(clock::now());
        loop {
            self.see_losses();
            self.send().await;
            let wakes = match self.step() {
                Step::Prepare => {
                    self.prepare().await;
                    continue;
                }
                Step::End(number) => {
                    let reply = batch.lock().replies.end(number);
                    self.say(reply).await;
                    continue;
                }
                Step::Close => {
                    let reply = batch.lock().replies.close();
                    self.meters.retried(Retry::Broken);
                    self.look_for_a_taker();
                    self.say(reply).await;
                    continue;
                }
                Step::Wait(until) => {
                    alarm.set(until);
                    true
                }
                Step::Idle => false,
            };
            tokio::select! {
                biased;
                Some(message) = self.answers.next() => self.hear(&message),
                () = batch.kicked() => {}
                // One looks for all: a watch of its own would cost every shard more at each event.
                Ok(()) = self.held.changed() => batch.tell(),
                () = self.losses[0].changed() => {}
                () = alarm.ring(), if wakes => {}
            }
        }
    }

    /// A batch in a stream that was lost, or whose name was, is given up: its shards look where they are.
    fn see_losses(&mut self) {
        let [stream, state] = &mut self.losses;
        if stream.news().is_some() | state.news().is_some() {
            self.batch.lock().ingest.lost(clock::now());
        }
    }

    /// What is due; a batch that is over is taken apart at once, before anybody may want the next one.
    fn step(&self) -> Step {
        let mut state = self.batch.lock();
        let step = state.ingest.step(clock::now());
        let parted = state.ingest.is_over() && state.part(&self.budget);
        drop(state);
        if parted {
            self.batch.tell();
        }
        step
    }

    /// Names the next batch, where the lease still holds.
    async fn prepare(&mut self) {
        self.untaken.begins(clock::now());
        let inbox = self.client.new_inbox();
        // Unique, and short enough: the server takes 64 letters.
        let id = inbox.rsplit('.').next().unwrap_or(&inbox).to_owned();
        let holds = valid(&self.held);
        let named = if holds {
            self.key.write(&id).await
        } else {
            Ok(())
        };
        if let Err(error) = &named {
            tracing::warn!("cannot begin a batch: {error:#}");
        }
        let mut state = self.batch.lock();
        if holds && named.is_ok() {
            state.replies = Replies::new(&self.inbox, &id);
            state.ingest.prepared(clock::now());
        } else {
            state.ingest.unprepared(clock::now());
        }
    }

    fn hear(&mut self, message: &async_nats::Message) {
        let now = clock::now();
        let mut state = self.batch.lock();
        if !state.replies.are_of(&message.subject) {
            return;
        }
        let said = said(message);
        if said != Said::Away {
            self.untaken.begins(now);
        }
        if let Said::Refused(refusal) = &said
            && !state.ingest.is_broken()
            && let Some(more) = self.refusals.one_more(now)
        {
            tracing::warn!(more, "the stream refuses what flows in a batch: {refusal}");
        }
        let acked = state.ingest.acked();
        state.ingest.heard(&said, now);
        if state.ingest.acked() > acked {
            self.budget.acked(clock::unix_ms());
            state.settle(&self.budget, &self.meters, now);
        }
        let finishes = state.ingest.finishes();
        drop(state);
        if finishes {
            self.batch.tell();
        }
    }

    async fn say(&self, reply: String) {
        let said = self
            .client
            .publish_with_reply(self.end.clone(), reply, Bytes::new());
        if let Ok(Err(error)) = tokio::time::timeout(CLOSED_WITHIN, said).await {
            tracing::warn!("a publish to {} failed: {error}", self.end);
        }
    }
}
