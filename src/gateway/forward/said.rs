//! What the stream says on the inbox of a fast-ingest batch, and the subjects on which it does.

use serde::Deserialize;

use super::ingest::{FLOW, Said};

/// The errors of a message whose batch is not there, and of a stream that takes none any more.
const NO_BATCH: [u64; 2] = [10208, 10205];
/// The operations of a batch, as they end a reply subject.
///
/// <https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md>
const START: &str = ".0.$FI";
const APPEND: &str = ".1.$FI";
const END_WITHOUT_MESSAGE: &str = ".3.$FI";
/// A number that no batch reaches: whatever the server has of it, there is a gap before this, and in
/// gap mode `fail` that closes it.
const BEYOND: u64 = 1 << 60;

/// The reply subjects of one batch.
#[derive(Clone, Debug)]
pub struct Replies(String);

impl Replies {
    /// Those of the batch `id`, below `inbox`.
    pub fn new(inbox: &str, id: &str) -> Self {
        Self(format!("{inbox}.{id}.{FLOW}.fail."))
    }

    /// Of the message with this number.
    pub fn message(&self, number: u64) -> String {
        let operation = if number == 1 { START } else { APPEND };
        self.subject(number, operation)
    }

    /// Of the word that it ends, behind all its messages.
    pub fn end(&self, number: u64) -> String {
        self.subject(number, END_WITHOUT_MESSAGE)
    }

    /// Of the word that it is over, whoever began it.
    pub fn close(&self) -> String {
        self.end(BEYOND)
    }

    fn subject(&self, number: u64, operation: &str) -> String {
        // One a message: `format!` costs six times as much.
        let mut buffer = itoa::Buffer::new();
        let number = buffer.format(number);
        let mut subject = String::with_capacity(self.0.len() + number.len() + operation.len());
        subject.push_str(&self.0);
        subject.push_str(number);
        subject.push_str(operation);
        subject
    }

    /// True for an answer to this batch.
    pub fn are_of(&self, subject: &str) -> bool {
        subject.starts_with(&self.0)
    }
}

/// What a message on a batch's inbox says.
pub fn said(message: &async_nats::Message) -> Said {
    // A status without a body: nobody serves the stream just now.
    if message.status.is_some() || message.payload.is_empty() {
        return Said::Away;
    }
    match serde_json::from_slice::<Word>(&message.payload) {
        Ok(word) => word.said(),
        Err(error) => Said::Refused(format!("its answer was not understood: {error}")),
    }
}

/// The four kinds of answers in one.
#[derive(Deserialize)]
struct Word {
    r#type: Option<String>,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    msgs: u64,
    count: Option<u64>,
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Error {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl Word {
    fn said(self) -> Said {
        let (upto, every) = (self.seq, self.msgs);
        match (self.r#type.as_deref(), self.error, self.count) {
            (_, Some(error), _) if NO_BATCH.contains(&error.err_code) => Said::Unknown,
            (
                _,
                Some(Error {
                    err_code,
                    description,
                }),
                _,
            ) => Said::Refused(format!("{description} ({err_code})")),
            (Some("ack"), None, _) => Said::Flow { upto, every },
            (Some(other), None, _) => Said::Refused(format!("a {other} at message {upto}")),
            (None, None, Some(count)) => Said::Ended { count },
            (None, None, None) => Said::Refused("an ack of no batch".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Said {
        serde_json::from_str::<Word>(text).unwrap().said()
    }

    /// As nats-server 2.15 writes them.
    #[test]
    fn every_kind_of_answer_is_understood() {
        let flow = word(r#"{"type":"ack","seq":10,"msgs":15}"#);
        assert_eq!(
            flow,
            Said::Flow {
                upto: 10,
                every: 15
            }
        );
        let ended = word(r#"{"stream":"DISCORD","seq":70,"batch":"b","count":9}"#);
        assert_eq!(ended, Said::Ended { count: 9 });
        let unknown = word(
            r#"{"error":{"code":400,"err_code":10208,"description":"batch publish ID is unknown"},"stream":"DISCORD","seq":0}"#,
        );
        assert_eq!(unknown, Said::Unknown);
        let disabled =
            word(r#"{"error":{"code":400,"err_code":10205},"stream":"DISCORD","seq":0}"#);
        assert_eq!(disabled, Said::Unknown);
        for refused in [
            r#"{"type":"gap","last_seq":10,"seq":15}"#,
            r#"{"type":"err","seq":10,"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 1"}}"#,
            r#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"DISCORD","seq":0}"#,
            r#"{"stream":"DISCORD","seq":70}"#,
            "{}",
        ] {
            let said = word(refused);
            assert!(matches!(said, Said::Refused(_)), "{refused}: {said:?}");
        }
    }

    #[test]
    fn a_reply_subject_names_batch_number_and_operation() {
        let replies = Replies::new("_INBOX.a", "id");
        assert_eq!(replies.message(1), "_INBOX.a.id.64.fail.1.0.$FI");
        assert_eq!(replies.message(2), "_INBOX.a.id.64.fail.2.1.$FI");
        assert_eq!(replies.end(3), "_INBOX.a.id.64.fail.3.3.$FI");
        assert!(replies.are_of(&replies.close()));
        assert!(!replies.are_of(&Replies::new("_INBOX.a", "id2").message(1)));
    }
}
