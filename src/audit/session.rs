//! One session of Discord's: what was sent in it, and how far the stream has come.

use super::Hash;

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) shard: u32,
    /// The sequence up to which everything must be stored.
    pub(super) owed: u64,
    /// In order of sequence.
    pub(super) sent: Vec<Sent>,
    /// The highest sequence read from the stream; 0: none yet.
    pub(super) highest: u64,
    /// True once an event of it was read from the stream.
    pub(super) began: bool,
    /// True once a gap said that it ended.
    pub(super) closed: bool,
    /// Where the next event of the stream is expected.
    cursor: usize,
}

/// An event sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) seq: u32,
    pub(super) event: u16,
    pub(super) stored: bool,
    pub(super) hash: Hash,
}

impl Sent {
    pub(super) fn new(seq: u64, event: u16, hash: Hash) -> Self {
        Self {
            seq: u32::try_from(seq).unwrap_or(u32::MAX),
            event,
            stored: false,
            hash,
        }
    }
}

impl Session {
    pub(super) fn new(id: &str, shard: u32, owed: u64) -> Self {
        Self {
            id: id.to_owned(),
            shard,
            owed,
            sent: Vec::new(),
            highest: 0,
            began: false,
            closed: false,
            cursor: 0,
        }
    }

    /// The event with this sequence. A stream in order costs one look at each.
    pub(super) fn find(&mut self, seq: u64) -> Option<&mut Sent> {
        let seq = u32::try_from(seq).ok()?;
        let at = match self.sent.get(self.cursor) {
            Some(sent) if sent.seq == seq => self.cursor,
            _ => {
                let found = self.sent.binary_search_by_key(&seq, |sent| sent.seq);
                // One that was sent with an absurd number stands where it was sent.
                let by_look = || self.sent.iter().position(|sent| sent.seq == seq);
                found.ok().or_else(by_look)?
            }
        };
        self.cursor = at + 1;
        self.sent.get_mut(at)
    }

    /// The event with these bytes: the first that is not stored, if there is one.
    pub(super) fn find_bytes(&mut self, hash: Hash) -> Option<&mut Sent> {
        let same = |sent: &&Sent| sent.hash == hash;
        let unstored = self
            .sent
            .iter()
            .position(|sent| same(&sent) && !sent.stored);
        let at = unstored.or_else(|| self.sent.iter().position(|sent| same(&sent)))?;
        self.sent.get_mut(at)
    }
}
