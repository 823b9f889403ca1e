//! What an audit found.

use std::fmt;

use serde::Serialize;

/// How many of each fault are told one by one; the others are counted.
const EXAMPLES: u64 = 5;

/// How the two records can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Sent and owed, not stored.
    Lost,
    /// Stored again.
    Duplicated,
    /// Stored after what came later.
    OutOfOrder,
    /// Stored with other bytes, or under another event's name.
    Altered,
    /// A session ended, and nothing said so before the next.
    MissingGap,
    /// In the stream, with nothing in the sender's record to account for it.
    Unexpected,
}

/// The counts, and the first of each fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Events in the sender's record.
    pub sent: u64,
    /// Events in the stream.
    pub stored: u64,
    /// [`Fault::Lost`]
    pub lost: u64,
    /// [`Fault::Duplicated`]
    pub duplicated: u64,
    /// [`Fault::OutOfOrder`]
    pub out_of_order: u64,
    /// [`Fault::Altered`]
    pub altered: u64,
    /// Gaps in the stream.
    pub gaps: u64,
    /// [`Fault::MissingGap`]
    pub missing_gaps: u64,
    /// [`Fault::Unexpected`]
    pub unexpected: u64,
    /// Events that Discord never handed over, and that are not owed: the gap after them says so.
    pub told: u64,
    /// The first few of each fault, for people.
    pub examples: Vec<Example>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Which.
    pub fault: Fault,
    /// Of which session.
    pub session: String,
    /// Of which of its events.
    pub seq: u64,
    /// In words.
    pub detail: String,
}

impl Report {
    /// Promise 1: what is stored is byte for byte what was sent.
    pub fn raw(&self) -> bool {
        self.altered == 0
    }

    /// Promise 2: stream order is Discord's order.
    pub fn in_order(&self) -> bool {
        self.out_of_order == 0
    }

    /// Promise 3: nothing lost, nothing twice, nothing from nowhere.
    pub fn once(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.unexpected == 0
    }

    /// Promise 4: every end of a session is said before the next begins.
    pub fn gaps_said(&self) -> bool {
        self.missing_gaps == 0
    }

    /// True if nothing differs.
    pub fn clean(&self) -> bool {
        self.raw() && self.in_order() && self.once() && self.gaps_said()
    }

    pub(super) fn fault(
        &mut self,
        fault: Fault,
        session: &str,
        seq: u64,
        detail: impl fmt::Display,
    ) {
        let count = match fault {
            Fault::Lost => &mut self.lost,
            Fault::Duplicated => &mut self.duplicated,
            Fault::OutOfOrder => &mut self.out_of_order,
            Fault::Altered => &mut self.altered,
            Fault::MissingGap => &mut self.missing_gaps,
            Fault::Unexpected => &mut self.unexpected,
        };
        *count += 1;
        if *count <= EXAMPLES {
            self.examples.push(Example {
                fault,
                session: session.to_owned(),
                seq,
                detail: detail.to_string(),
            });
        }
    }
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = match self.fault {
            Fault::Lost => "lost",
            Fault::Duplicated => "duplicated",
            Fault::OutOfOrder => "out of order",
            Fault::Altered => "altered",
            Fault::MissingGap => "no gap",
            Fault::Unexpected => "unexpected",
        };
        write!(f, "{fault}: {}:{} {}", self.session, self.seq, self.detail)
    }
}
