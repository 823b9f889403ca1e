//! The way of one shard to its stream: subjects, headers, answers.

use std::sync::Arc;

use anyhow::Result;
use async_nats::{
    header::NATS_MESSAGE_ID,
    jetstream::{
        ErrorCode,
        message::StreamMessage,
        publish::PublishAck,
        response::Response,
        stream::{LastRawMessageErrorKind, Stream},
    },
};

use super::{
    flight::{ANSWER_LIMIT, Answer, Last, Standing},
    form::{Fence, Form},
    message::Message,
    untaken::Untaken,
};
use crate::{
    broker::Broker,
    fleet::ShardId,
    gateway::inbox::Answers,
    subject::GAP_EVENT,
    telemetry::seldom::Seldom,
    wire::{self, event::Gap},
};

/// One shard's subjects, and where it hears answers.
pub struct Outlet {
    /// What its messages look like.
    pub form: Form,
    stream: Stream<()>,
    filter: Arc<str>,
    /// When the stream was made, in nanoseconds since the Unix epoch, by the server's clock.
    pub made: i128,
    /// What the lane's streams refuse.
    pub refusals: Seldom,
    /// How long nobody takes what it sends.
    pub untaken: Untaken,
    /// Answers to publishes; the last token of their subject is the attempt.
    pub answers: Answers,
}

impl Outlet {
    /// Opens the way of a shard to the stream called `stream`.
    ///
    /// # Errors
    /// Where the stream can have no such name.
    pub async fn open(
        broker: &Broker,
        shard: ShardId,
        stream: &str,
        answers: Answers,
        refusals: Seldom,
    ) -> Result<Self> {
        let stream = broker.jetstream.get_stream_no_info(stream).await?;
        let filter = broker.names.shard(shard).into();
        let broker = broker.clone();
        Ok(Self {
            form: Form { broker, shard },
            stream,
            filter,
            made: 0,
            refusals,
            untaken: Untaken::new(Untaken::lines()),
            answers,
        })
    }

    /// When the stream that is there now was made.
    ///
    /// # Errors
    /// Where there is none, or its leader does not answer.
    pub async fn made_now(&self) -> Result<i128> {
        let info = self.stream.get_info().await?;
        Ok(info.created.unix_timestamp_nanos())
    }

    /// The shard's last stored message, where some is known to have been: if there is none, whether the
    /// stream is still the one that had it.
    pub async fn last_or_loss(&mut self) -> Last {
        match self.last().await {
            Last::Nothing => match self.made_now().await {
                Ok(made) if made == self.made => Last::Nothing,
                Ok(made) => {
                    self.made = made;
                    Last::Lost
                }
                Err(_) => Last::Unknown,
            },
            found => found,
        }
    }

    /// The shard's last stored message, from the stream's leader.
    pub async fn last(&self) -> Last {
        self.last_and_gap().await.0
    }

    /// The shard's last message before a sequence of the stream, and what it says if it is a gap: for where the
    /// one that stands there is none of the fleet's. Looked for ever further back.
    pub async fn before(&self, sequence: u64) -> (Last, Option<Gap>) {
        let mut back = 1;
        loop {
            let from = sequence.saturating_sub(back).max(1);
            let mut found = None;
            let mut next = from;
            loop {
                match self.first_from(next).await {
                    Ok(Some(message)) if message.sequence < sequence => {
                        next = message.sequence + 1;
                        found = Some(message);
                    }
                    Ok(_) => break,
                    Err(_) => return (Last::Unknown, None),
                }
            }
            match found {
                Some(message) => return told(&message),
                None if from == 1 => return (Last::Nothing, None),
                None => back *= 4,
            }
        }
    }

    async fn first_from(&self, sequence: u64) -> Result<Option<StreamMessage>> {
        let found = self
            .stream
            .get_first_raw_message_by_subject(&self.filter, sequence);
        match found.await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whose message stands at a sequence of the stream, by its leader's word.
    pub async fn standing(&self, sequence: u64) -> Standing {
        match self.stream.get_raw_message(sequence).await {
            Ok(message) => {
                let all = self.filter.strip_suffix('*').unwrap_or(&self.filter);
                if message.subject.starts_with(all) {
                    Standing::Own
                } else {
                    Standing::Another
                }
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Standing::Gone,
            Err(_) => Standing::Unknown,
        }
    }

    /// The same, and what it says if it is a gap.
    pub async fn last_and_gap(&self) -> (Last, Option<Gap>) {
        match self
            .stream
            .get_last_raw_message_by_subject(&self.filter)
            .await
        {
            Ok(message) => told(&message),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                (Last::Nothing, None)
            }
            Err(_) => (Last::Unknown, None),
        }
    }

    /// Whose way it is.
    pub fn shard(&self) -> ShardId {
        self.form.shard
    }

    /// What the next message expects, if the shard's last one stands there.
    pub fn fence(&self, sequence: u64) -> Fence {
        let filter = Arc::clone(&self.filter);
        Fence { sequence, filter }
    }

    /// Sends a message by itself. Nothing is known of the outcome before its answer.
    pub async fn publish(&self, message: &Message, attempt: u64, expected: u64) {
        let out = self.form.fit(message);
        let headers = out.headers(message, Some(&self.fence(expected)));
        let (subject, payload) = (out.subject, out.payload);
        let reply = self.answers.reply(attempt);
        let client = &self.form.broker.client;
        let sent = client.publish_with_reply_and_headers(subject, reply, headers, payload);
        // What does not leave in time is tried again like what is not answered.
        if let Ok(Err(error)) = tokio::time::timeout(ANSWER_LIMIT, sent).await {
            let shard = self.shard();
            tracing::warn!(%shard, "a publish of shard {shard} failed: {error}");
        }
    }

    /// Said before the shard resumes from what the stream still has.
    pub fn tell_of_loss(&self) {
        tracing::error!(
            shard = %self.shard(),
            "the stream has lost messages of shard {} that it had acknowledged: did a NATS node lose its \
             power, or was the stream restored? The shard resumes from what is left. See sync_interval in \
             the operator's manual",
            self.shard()
        );
    }
}

fn told(message: &StreamMessage) -> (Last, Option<Gap>) {
    let id = message.headers.get(NATS_MESSAGE_ID);
    let id = id.map(ToString::to_string).unwrap_or_default();
    let is_gap = message.subject.ends_with(GAP_EVENT);
    let gap = is_gap.then(|| wire::decode(&message.payload).ok());
    (Last::Message(message.sequence, id), gap.flatten())
}

/// What the stream said to an attempt.
pub(super) enum Heard {
    /// What to do about it is plain.
    Answer(Answer),
    /// The id is known: a message was stored under it, at this sequence of the stream.
    Duplicate(u64),
    /// Not now, for this reason: it is full, say.
    Refusal(String),
}

/// The attempt and what the stream said to it.
pub(super) fn parse(message: &async_nats::Message) -> Option<(u64, Heard)> {
    let attempt = message.subject.rsplit('.').next()?.parse().ok()?;
    // A status without a body: nobody serves the stream just now.
    if message.status.is_some() || message.payload.is_empty() {
        return Some((attempt, Heard::Answer(Answer::Later)));
    }
    let heard = match serde_json::from_slice::<Response<PublishAck>>(&message.payload) {
        Ok(Response::Ok(ack)) if ack.duplicate => Heard::Duplicate(ack.sequence),
        Ok(Response::Ok(ack)) => Heard::Answer(Answer::Stored(ack.sequence)),
        Ok(Response::Err { error }) => match error.error_code() {
            ErrorCode::STREAM_WRONG_LAST_SEQUENCE => Heard::Answer(Answer::Fenced),
            _ => Heard::Refusal(error.to_string()),
        },
        Err(error) => Heard::Refusal(format!("its answer was not understood: {error}")),
    };
    Some((attempt, heard))
}
