//! The simulator's own record of what it sent: the evidence that a fleet's stream is compared with.
//!
//! One row a dispatch, kept with its session so that recording needs no lock that sessions share. The
//! limit is shared: past it nothing more is recorded and the verdict says so.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::event::Event;

/// Rows of a session come in pieces of this many: growing never copies the whole record.
const PIECE: usize = 1024;

/// What is known of one dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) seq: u32,
    pub(super) bytes: u32,
    /// First 16 bytes of the SHA-256 of the payload before transport compression.
    pub(super) hash: [u8; 16],
    /// Milliseconds since the simulator started.
    pub(super) at: u32,
    /// None: a text of a script, whose name is kept apart.
    pub(super) event: Option<Event>,
}

/// The rows of one session, in order of sequence.
#[derive(Debug)]
pub(super) struct Rows {
    pieces: Vec<Vec<Row>>,
    /// Names that no [`Event`] has, by sequence.
    names: HashMap<u32, Arc<str>>,
    limit: Arc<Limit>,
}

impl Rows {
    pub(super) fn new(limit: Arc<Limit>) -> Self {
        Self {
            pieces: Vec::new(),
            names: HashMap::new(),
            limit,
        }
    }

    /// Keeps a dispatch of any name, unless the record is full.
    pub(super) fn push_named(&mut self, name: &str, seq: u64, payload: &[u8], at: u64) {
        let known = Event::named(name);
        if let (None, Ok(seq)) = (known, u32::try_from(seq)) {
            self.names.insert(seq, name.into());
        }
        self.push(known, seq, payload, at);
    }

    /// Keeps a dispatch, unless the record is full.
    pub(super) fn push(&mut self, event: Option<Event>, seq: u64, payload: &[u8], at: u64) {
        if !self.limit.take() {
            return;
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, payload);
        let mut hash = [0; 16];
        for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        let short = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let row = Row {
            seq: short(seq),
            bytes: short(payload.len() as u64),
            hash,
            at: short(at),
            event,
        };
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(row),
            // The first piece grows as needed: most sessions of a short test are small.
            None => self.pieces.push(vec![row]),
            Some(_) => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(row);
                self.pieces.push(piece);
            }
        }
    }

    /// The name of a dispatch that is no [`Event`].
    pub(super) fn odd_name(&self, row: &Row) -> Option<Arc<str>> {
        self.names
            .get(&row.seq)
            .filter(|_| row.event.is_none())
            .cloned()
    }

    /// A copy of one piece; none past the end.
    pub(super) fn piece(&self, index: usize) -> Option<Vec<Row>> {
        self.pieces.get(index).cloned()
    }
}

/// How many rows there may be in all.
#[derive(Debug)]
pub(super) struct Limit {
    left: AtomicU64,
    full: std::sync::atomic::AtomicBool,
}

impl Limit {
    pub(super) fn new(rows: u64) -> Self {
        Self {
            left: AtomicU64::new(rows),
            full: false.into(),
        }
    }

    /// Whether a row was refused.
    pub(super) fn full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn take(&self) -> bool {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok();
        if !taken {
            self.full.store(true, Ordering::Relaxed);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_in_order_until_the_limit_and_then_it_is_said() {
        let limit = Arc::new(Limit::new(3000));
        let mut rows = Rows::new(Arc::clone(&limit));
        (1..=3000).for_each(|seq| rows.push(Some(Event::TypingStart), seq, b"abc", seq));
        assert!(!limit.full());
        rows.push(Some(Event::TypingStart), 3001, b"abc", 0);
        assert!(limit.full());
        let all: Vec<Row> = (0..9).map_while(|n| rows.piece(n)).flatten().collect();
        assert!(all.iter().map(|row| row.seq).eq(1..=3000));
        // SHA-256 of "abc", FIPS 180-2.
        assert_eq!(all[0].hash[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
