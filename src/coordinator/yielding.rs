//! pure. Whether a coordinator whose token Discord's REST refuses (401) gives the lead up.
//!
//! It cannot read Discord's limits, so that shards identify one at a time; and where the token was
//! reset, it does not even see that the fleet runs under another one. Whoever has a good token leads
//! better. Where nobody else is there it takes the lead back: REST may be wrong about the token. Then
//! it keeps the lead for a while, so that two refused tokens do not pass it to and fro.

use std::time::Duration;

use crate::clock::Boottime;

/// Told what REST says of this process's token.
#[derive(Debug, Default)]
pub(super) struct Yielding {
    refused: bool,
    last: Option<Boottime>,
}

impl Yielding {
    /// REST answered a question: whether it refused the token.
    pub(super) fn answered(&mut self, refused: bool) {
        self.refused = refused;
    }

    /// True if the lead, should this process have it, is to be given up now.
    pub(super) fn due(&self, now: Boottime) -> bool {
        self.refused && self.last.is_none_or(|last| now.since(last) >= APART)
    }

    /// It is given up.
    pub(super) fn begun(&mut self, now: Boottime) {
        self.last = Some(now);
    }
}

/// How long others have the lead to themselves: longer than a campaign takes.
pub(super) const ASIDE: Duration = Duration::from_secs(10);
/// The lead is not given up again so soon.
const APART: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lead_is_given_up_once_in_a_while() {
        let at = |secs| Boottime(Duration::from_secs(secs));
        let mut yielding = Yielding::default();
        assert!(!yielding.due(at(1)));
        yielding.answered(true);
        assert!(yielding.due(at(1)));
        yielding.begun(at(1));
        // Nobody else was there.
        assert!(!yielding.due(at(12)) && !yielding.due(at(600)));
        assert!(yielding.due(at(601)));
        yielding.answered(false);
        assert!(!yielding.due(at(601)));
    }
}
