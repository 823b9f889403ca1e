//! The audit: what Discord sent beside what the stream holds. Pure, and told everything.
//!
//! Neither record is the fleet's own word: one is the sender's, the other is read back from the
//! stream. First every session and everything sent in it, then the stream in its own order; at the
//! end a [`Report`] says what is missing, doubled, disordered, changed or not said aloud. A row costs
//! 24 bytes, whatever the size of its event, so that a million of them are no burden.
//!
//! What the rules mean is written where they are applied: [`Audit::event`], [`Audit::gap`],
//! [`Audit::report`].

pub mod evidence;
pub mod report;
mod session;

use std::collections::{HashMap, HashSet};

pub use self::report::{Fault, Report};
use self::session::{Sent, Session};
use crate::{
    subject::{UNNAMED_EVENT, is_event},
    wire::event::GapReason,
};

/// The first 16 bytes of the SHA-256 of an event's bytes.
pub type Hash = [u8; 16];

/// An event as the stream holds it.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The shard in its subject.
    pub shard: u32,
    /// The session in its message id.
    pub session: &'a str,
    /// The sequence in its message id.
    pub seq: u64,
    /// It has no number of its own: it stands behind that one.
    pub unnumbered: bool,
    /// The event in its subject.
    pub event: &'a str,
    /// Of its body, decompressed.
    pub hash: Hash,
}

/// A loss as the stream announces it.
#[derive(Clone, Copy, Debug)]
pub struct Announced<'a> {
    /// The shard in its subject.
    pub shard: u32,
    /// The session that lost events.
    pub session: &'a str,
    /// Its last sequence that is stored.
    pub last_seq: u64,
    /// Why.
    pub reason: GapReason,
}

/// One comparison.
#[derive(Debug, Default)]
pub struct Audit {
    ids: HashMap<String, usize>,
    sessions: Vec<Session>,
    events: HashMap<String, u16>,
    /// Of each shard: the session whose events stand last in the stream.
    current: HashMap<u32, usize>,
    /// Gaps read so far.
    announced: HashSet<(usize, u64)>,
    report: Report,
}

impl Audit {
    /// A session of Discord's. Everything up to sequence `owed` must be in the stream: for one that
    /// lives, all that was sent; for one that Discord ended, what it had delivered until then.
    pub fn session(&mut self, id: &str, shard: u32, owed: u64) {
        self.ids.insert(id.to_owned(), self.sessions.len());
        self.sessions.push(Session::new(id, shard, owed));
    }

    /// An event that Discord sent; within a session in order of sequence.
    pub fn sent(&mut self, id: &str, seq: u64, event: &str, hash: Hash) {
        // A name that no subject can hold goes under one of the fleet's.
        let event = if is_event(event) {
            event
        } else {
            UNNAMED_EVENT
        };
        let event = self.name(event);
        self.report.sent += 1;
        match self.ids.get(id) {
            Some(&at) => self.sessions[at].sent.push(Sent::new(seq, event, hash)),
            None => self.report.fault(
                Fault::Unexpected,
                id,
                seq,
                "sent in a session that is not listed",
            ),
        }
    }

    /// The next message of the stream is an event.
    ///
    /// It must be one that was sent, under its own name, with its own bytes; not there already; later
    /// than what stands before it of its session; and its shard must not have gone on to another
    /// session. Where it begins a session, the shard's one before must have been closed by a gap.
    pub fn event(&mut self, stored: Stored<'_>) {
        let Stored { session, seq, .. } = stored;
        self.report.stored += 1;
        let event = self.name(stored.event);
        let Some(&at) = self.ids.get(session) else {
            let detail = "stored, of a session that Discord never began";
            return self.report.fault(Fault::Unexpected, session, seq, detail);
        };
        let began = self.turn(stored.shard, at, seq);
        let known = &mut self.sessions[at];
        if known.shard != stored.shard {
            let detail = format!(
                "stored under shard {}, sent to {}",
                stored.shard, known.shard
            );
            return self.report.fault(Fault::Unexpected, session, seq, detail);
        }
        let highest = known.highest;
        let found = if stored.unnumbered {
            // Its bytes alone tell which it is.
            known.find_bytes(stored.hash)
        } else {
            known.find(seq)
        };
        let Some(sent) = found else {
            let detail = "stored, but never sent";
            return self.report.fault(Fault::Unexpected, session, seq, detail);
        };
        if std::mem::replace(&mut sent.stored, true) {
            return self
                .report
                .fault(Fault::Duplicated, session, seq, "stored again");
        }
        if sent.hash != stored.hash {
            self.report
                .fault(Fault::Altered, session, seq, "its bytes differ");
        } else if sent.event != event {
            let detail = format!("stored as {}, which it is not", stored.event);
            self.report.fault(Fault::Altered, session, seq, detail);
        }
        if seq < highest {
            let detail = format!("stored after {highest}");
            self.report.fault(Fault::OutOfOrder, session, seq, detail);
        } else if !began {
            let detail = "stored after the shard's next session had begun";
            self.report.fault(Fault::OutOfOrder, session, seq, detail);
        }
        known.highest = highest.max(seq);
    }

    /// The next message of the stream announces a loss.
    ///
    /// It must close the session that stands last in the shard, at the sequence that stands last; or,
    /// for a hole or an event too large, speak of a session that lives on.
    pub fn gap(&mut self, gap: Announced<'_>) {
        let Announced {
            session, last_seq, ..
        } = gap;
        self.report.gaps += 1;
        // What came before a READY is of no session.
        if gap.reason == GapReason::BeforeReady {
            return;
        }
        let Some(&at) = self.ids.get(session) else {
            let detail = "a gap of a session that Discord never began";
            return self
                .report
                .fault(Fault::Unexpected, session, last_seq, detail);
        };
        let known = &mut self.sessions[at];
        if gap.reason == GapReason::Oversize {
            // It takes the event's own place: not stored, and said so.
            known.highest = known.highest.max(last_seq);
            if let Some(sent) = known.find(last_seq) {
                sent.stored = true;
                self.report.told += 1;
            }
            return;
        }
        if !self.announced.insert((at, last_seq)) {
            let detail = "the gap after it is announced again";
            return self
                .report
                .fault(Fault::Duplicated, session, last_seq, detail);
        }
        let current = self.current.get(&gap.shard) == Some(&at);
        if known.highest != last_seq || (known.highest > 0 && !current) {
            let detail = format!("a gap after it, but {} stands last", known.highest);
            self.report
                .fault(Fault::Unexpected, session, last_seq, detail);
        }
        if gap.reason != GapReason::Hole {
            known.closed = true;
        }
    }

    /// The stream is read to its end.
    ///
    /// Lost is what was sent and is not stored, up to what is owed, and up to the last that *is*
    /// stored: what is kept of a session is a prefix of it. What lies beyond a closed prefix was told.
    pub fn report(mut self) -> Report {
        for session in &self.sessions {
            let owed = session.owed.max(session.highest);
            for sent in session.sent.iter().filter(|sent| !sent.stored) {
                if u64::from(sent.seq) <= owed {
                    let detail = format!("not stored; {owed} were owed");
                    self.report
                        .fault(Fault::Lost, &session.id, sent.seq.into(), detail);
                } else {
                    self.report.told += 1;
                }
            }
        }
        self.report
    }

    /// Makes a session the shard's current one; false if it was already left behind.
    fn turn(&mut self, shard: u32, at: usize, seq: u64) -> bool {
        let before = match self.current.get(&shard) {
            Some(&current) if current == at => return true,
            before => before.copied(),
        };
        if std::mem::replace(&mut self.sessions[at].began, true) {
            return false;
        }
        self.current.insert(shard, at);
        if let Some(before) = before.map(|before| &self.sessions[before])
            && !before.closed
        {
            let detail = format!("nothing announces the end of {} before it", before.id);
            let id = self.sessions[at].id.clone();
            self.report.fault(Fault::MissingGap, &id, seq, detail);
        }
        true
    }

    fn name(&mut self, event: &str) -> u16 {
        if let Some(&number) = self.events.get(event) {
            return number;
        }
        // Discord has about eighty; past 65,535 names they would share the last number.
        let number = u16::try_from(self.events.len()).unwrap_or(u16::MAX);
        self.events.insert(event.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests;
