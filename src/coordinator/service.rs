//! The door: requests in from NATS, answers out. Open only while this process leads.

use async_nats::{Client, Subject};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};

use super::leader::Input;
use crate::{
    broker::Broker,
    clock, supervise,
    telemetry::seldom::Seldom,
    wire::{
        self,
        identify::{Reply, Request},
    },
};

/// Where an answer goes; none where the asker left no reply subject.
pub(super) type ReplyTo = Option<Subject>;

/// Hears requests while `open` says so, until the loop has ended.
pub(super) async fn hear(
    broker: Broker,
    mut open: watch::Receiver<bool>,
    requests: mpsc::Sender<Input<ReplyTo>>,
    answers: Answers,
) {
    let seldom = Seldom::default();
    while open.wait_for(|open| *open).await.is_ok() {
        let mut messages = match broker.client.subscribe(broker.names.identify()).await {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!("cannot hear requests to identify: {error}");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                continue;
            }
        };
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                shut = open.wait_for(|open| !*open) => {
                    if shut.is_err() { return }
                    break;
                }
            };
            let Some(message) = message else { break };
            match decode(&message.payload) {
                Ok(request) => {
                    let input = Input::Request(request, message.reply);
                    if requests.send(input).await.is_err() {
                        return;
                    }
                }
                Err(reason) => {
                    // Whoever sends such things may send many.
                    if let Some(unsaid) = seldom.one_more(clock::now()) {
                        tracing::warn!(unsaid, "refused a request to identify: {reason}");
                    }
                    answers.send(message.reply, &Reply::refused("", reason));
                }
            }
        }
    }
}

fn decode(payload: &[u8]) -> Result<Request, String> {
    if payload.len() > LONGEST_REQUEST {
        return Err(format!("longer than {LONGEST_REQUEST} bytes"));
    }
    wire::decode(payload).map_err(|error| error.to_string())
}

/// Sends answers without ever waiting: a broker that is away must not stop the loop. An answer that
/// finds no room is lost like one that the network loses; its asker asks again.
#[derive(Clone)]
pub(super) struct Answers(mpsc::Sender<(Subject, Bytes)>);

impl Answers {
    pub(super) fn new(client: Client) -> Self {
        let (sender, mut waiting) = mpsc::channel::<(Subject, Bytes)>(MOST_ANSWERS);
        supervise::helper("answers", async move {
            while let Some((subject, answer)) = waiting.recv().await {
                if let Err(error) = client.publish(subject, answer).await {
                    tracing::debug!("an answer was not sent: {error}");
                }
            }
        });
        Self(sender)
    }

    pub(super) fn send(&self, to: ReplyTo, reply: &Reply) {
        if let Some(to) = to {
            self.publish(to, wire::encode(reply));
        }
    }

    pub(super) fn publish(&self, subject: Subject, payload: Bytes) {
        if self.0.try_send((subject, payload)).is_err() {
            tracing::debug!("an answer found no room");
        }
    }
}

/// A request is a few names and numbers.
const LONGEST_REQUEST: usize = 4_096;
/// Answers that wait for the connection.
const MOST_ANSWERS: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_request_are_named() {
        let shards =
            r#"{"kind":"ask","v":1,"shard":-1,"shards":2,"nonce":"n","counter":1,"process":"p"}"#;
        for (bytes, word) in [
            (&b"\xff\xfe"[..], "malformed"),
            (b"{}", "malformed"),
            (br#"{"kind":"ask","v":1}"#, "shard"),
            (br#"{"kind":"ask","v":9}"#, "version 9"),
            (shards.as_bytes(), "-1"),
            (br#"{"kind":"steal","v":1}"#, "steal"),
            (&[b'x'; 5_000], "4096"),
        ] {
            let error = decode(bytes).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
