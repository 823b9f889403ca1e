//! Both records as lines of JSON: what `demo --evidence` writes, `audit` reads, and anybody else can.
//!
//! `sessions.json` is the simulator's verdict, `sent.ndjson` its record of each event sent,
//! `stored.ndjson` the stream in its own order. Hashes are the first 16 bytes of SHA-256, in hex.

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::{Announced, Audit, Hash, Stored};
use crate::{
    subject::GAP_EVENT,
    wire::{
        self,
        event::{Gap, Part, ZSTD, parse_id, session_name},
    },
};

/// No event is larger than this once decompressed: what is, is not Discord's.
const LARGEST: u64 = 256 << 20;

/// What the simulator says of the run; only what the audit asks for.
#[derive(Debug, Deserialize)]
pub struct Sessions {
    /// Every session, oldest first.
    pub sessions: Vec<SessionLine>,
}

/// A session, by the simulator's record.
#[derive(Debug, Deserialize)]
pub struct SessionLine {
    /// Its id.
    pub id: String,
    /// Its shard.
    pub shard: u32,
    /// The last sequence it was given.
    pub last_seq: u64,
    /// The last sequence that was written to a socket.
    pub delivered_seq: u64,
    /// Why it ended; none: it lives.
    #[serde(default)]
    pub end_reason: Option<String>,
}

/// An event sent, by the simulator's record.
#[derive(Debug, Deserialize)]
pub struct SentLine<'a> {
    /// Its session.
    #[serde(borrow)]
    pub session: Cow<'a, str>,
    /// Its sequence.
    pub seq: u64,
    /// Its name.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// Of its bytes.
    #[serde(borrow)]
    pub hash: Cow<'a, str>,
}

/// A message of the stream.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoredLine {
    /// Its sequence in the stream.
    pub seq: u64,
    /// Its subject.
    pub subject: String,
    /// Its `Nats-Msg-Id`.
    pub id: String,
    /// Its `Content-Encoding`, if it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub encoding: Option<String>,
    /// Of its body, decompressed.
    pub hash: String,
    /// Length of its body, decompressed.
    pub bytes: u64,
    /// The body of a gap.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gap: Option<Gap>,
}

impl SessionLine {
    /// The sequence up to which the stream owes everything.
    ///
    /// A session that lives is replayed, so all of it. One that Discord ended over its socket had
    /// delivered what stood before the end. One that ended without a socket delivered to nobody; so
    /// did one whose replay Discord refused, whatever it had handed to a process that is gone.
    pub fn owed(&self) -> u64 {
        match self.end_reason.as_deref() {
            None => self.last_seq,
            Some("invalidated") => self.delivered_seq,
            Some(_) => 0,
        }
    }
}

impl StoredLine {
    /// A message as it was read from the stream.
    ///
    /// # Errors
    /// Where a body is not what its `Content-Encoding` says.
    pub fn new(
        seq: u64,
        subject: &str,
        id: &str,
        encoding: Option<&str>,
        body: &[u8],
    ) -> Result<Self> {
        let body = match encoding {
            None => Cow::Borrowed(body),
            Some(ZSTD) => Cow::Owned(
                inflate(body).with_context(|| format!("message {seq} is not what zstd writes"))?,
            ),
            Some(other) => bail!("message {seq} has the unknown encoding {other}"),
        };
        Ok(Self {
            seq,
            subject: subject.to_owned(),
            id: id.to_owned(),
            encoding: encoding.map(str::to_owned),
            hash: hex(hash(&body)),
            bytes: body.len() as u64,
            gap: if is_gap(subject) {
                Some(wire::decode(&body).with_context(|| format!("message {seq} is no gap"))?)
            } else {
                None
            },
        })
    }
}

impl Audit {
    /// Takes the simulator's sessions.
    pub fn read_sessions(&mut self, sessions: &Sessions) {
        for line in &sessions.sessions {
            self.session(&session_name(&line.id), line.shard, line.owed());
        }
    }

    /// Takes a line of the simulator's record.
    ///
    /// # Errors
    /// Says what is wrong with a line that is none.
    pub fn read_sent(&mut self, line: &str) -> Result<()> {
        let sent: SentLine<'_> = serde_json::from_str(line)?;
        let session = session_name(&sent.session);
        self.sent(&session, sent.seq, &sent.event, unhex(&sent.hash)?);
        Ok(())
    }

    /// Takes a message of the stream; they come in the stream's order.
    ///
    /// # Errors
    /// Says what is wrong with a message that nobody of this fleet wrote.
    pub fn read_stored(&mut self, line: &StoredLine) -> Result<()> {
        let (shard, event) = placed(&line.subject)
            .with_context(|| format!("{} is no subject of an event", line.subject))?;
        if let Some(gap) = &line.gap {
            self.gap(Announced {
                shard,
                session: &gap.session,
                last_seq: gap.last_seq,
                reason: gap.reason,
            });
            return Ok(());
        }
        let (session, seq, part) = parse_id(&line.id)
            .filter(|(_, _, part)| !part.is_gap())
            .with_context(|| format!("{:?} is no id of an event", line.id))?;
        let hash = unhex(&line.hash)?;
        self.event(Stored {
            shard,
            session,
            seq,
            unnumbered: part != Part::Event,
            event,
            hash,
        });
        Ok(())
    }
}

/// The first 16 bytes of SHA-256.
pub fn hash(body: &[u8]) -> Hash {
    let mut first = Hash::default();
    for (to, from) in first.iter_mut().zip(digest(&SHA256, body).as_ref()) {
        *to = *from;
    }
    first
}

/// As hex.
pub fn hex(hash: Hash) -> String {
    format!("{:032x}", u128::from_be_bytes(hash))
}

fn unhex(text: &str) -> Result<Hash> {
    match u128::from_str_radix(text, 16) {
        Ok(number) if text.len() == 32 => Ok(number.to_be_bytes()),
        _ => bail!("{text:?} is no hash of 16 bytes"),
    }
}

fn inflate(body: &[u8]) -> Result<Vec<u8>> {
    use std::io::Read;

    let mut out = Vec::new();
    let reader = zstd::stream::read::Decoder::new(body)?;
    reader.take(LARGEST).read_to_end(&mut out)?;
    Ok(out)
}

fn is_gap(subject: &str) -> bool {
    placed(subject).is_some_and(|(_, event)| event == GAP_EVENT)
}

/// Shard and event of `<fleet>.<shard>.<EVENT>`.
fn placed(subject: &str) -> Option<(u32, &str)> {
    let (rest, event) = subject.rsplit_once('.')?;
    let (_, shard) = rest.rsplit_once('.')?;
    Some((shard.parse().ok()?, event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_hashed_as_discord_sent_it() {
        let body = br#"{"t":"READY","s":1,"op":0,"d":{}}"#;
        let plain = StoredLine::new(7, "discord.3.READY", "abc:1", None, body).unwrap();
        let packed = zstd::encode_all(&body[..], 1).unwrap();
        let packed = StoredLine::new(8, "discord.3.READY", "abc:1", Some(ZSTD), &packed).unwrap();
        assert_eq!(
            (plain.hash.as_str(), plain.bytes),
            (packed.hash.as_str(), 33)
        );
        assert_eq!(unhex(&plain.hash).unwrap(), hash(body));
        assert!(StoredLine::new(9, "discord.3.READY", "abc:1", Some("br"), body).is_err());
        assert!(StoredLine::new(9, "discord.3.READY", "abc:1", Some(ZSTD), body).is_err());
        assert!(StoredLine::new(9, "discord.3.FLEET_GAP", "abc:1:gap", None, body).is_err());
    }

    #[test]
    fn lines_of_others_are_refused_with_a_reason() {
        let mut audit = Audit::default();
        assert!(audit.read_sent("{").is_err());
        assert!(
            audit
                .read_sent(r#"{"session":"a","seq":1,"event":"X","hash":"12"}"#)
                .is_err()
        );
        let mut line = StoredLine::new(1, "discord.3.READY", "abc:1", None, b"{}").unwrap();
        line.subject = "elsewhere".to_owned();
        assert!(audit.read_stored(&line).is_err());
    }
}
