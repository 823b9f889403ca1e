//! Pure: whether a stream, or that of a bucket, has lost what was in it, from one look at it to the next.

use std::time::Duration;

use crate::clock::Instant;

/// A stream that is not there is looked for a second time before it counts as missing: a server that has
/// just started may say so of one that it is about to find.
pub(super) const CONFIRM: Duration = Duration::from_secs(1);
/// What stays missing, or differs, is said again this often.
pub(super) const SAY_AGAIN: Duration = Duration::from_secs(60);
/// How soon a stream that could not be made is tried again.
const MAKE_AGAIN: Duration = Duration::from_secs(2);

/// So many keys may all be written over from one look to the next: those of a fleet that has just begun.
const FEW: u64 = 3;

/// What one look at a stream shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When it was made, in nanoseconds since the Unix epoch, by the server's clock.
    pub made: i128,
    /// The sequence of its first message.
    pub first: u64,
    /// The sequence of its last message.
    pub last: u64,
    /// Its messages; of a bucket the keys.
    pub count: u64,
    /// Neither age nor size will take all of it out soon.
    pub roomy: bool,
}

/// How a stream has lost what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It was made anew, and is empty or was.
    Anew,
    /// An older copy of it was put in its place.
    Older,
    /// Somebody purged it.
    Emptied,
}

impl Mark {
    /// True where the same stream ends before where it ended.
    pub fn is_cut_off(&self, now: &Self) -> bool {
        now.made == self.made && now.last < self.last
    }

    /// What was lost since this look, where another shows `now`.
    pub fn loss(&self, now: &Self) -> Option<Loss> {
        if now.made != self.made {
            // A copy keeps the time at which its original was made.
            let older = now.made < self.made;
            return Some(if older { Loss::Older } else { Loss::Anew });
        }
        if self.is_cut_off(now) {
            return Some(Loss::Older);
        }
        // Whoever wrote what was purged may have written as much again since. A few keys of a bucket may all
        // have been written over: then there are as many as before.
        let written_over = self.count <= FEW && now.count >= self.count;
        let gone = now.first > self.last && self.count > 0 && !written_over;
        (self.roomy && gone).then_some(Loss::Emptied)
    }
}

/// How long a stream that ends before where it ended is doubted.
pub const DOUBT: Duration = CONFIRM;

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The stream.
    There(Mark),
    /// No stream of that name.
    Missing,
    /// No answer: nothing is known.
    Unanswered,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Say, as an error, that it is missing.
    pub say_missing: bool,
    /// Make it.
    pub make: bool,
    /// It has lost what was in it: whoever wrote it writes it again.
    pub lost: Option<Loss>,
    /// … and nobody was told yet.
    pub say_lost: bool,
}

/// What is known of one stream.
#[derive(Debug, Default)]
pub struct Watched {
    mark: Option<Mark>,
    /// Since when it is missing.
    missing: Option<Instant>,
    /// Since when it ends before where it ended: a leader that has just been elected may say so too.
    shorter: Option<Instant>,
    said: Option<Instant>,
    made: Option<Instant>,
}

impl Watched {
    /// Takes in what a look at `now` found; `make`: a missing one may be made.
    pub fn saw(&mut self, found: Found, make: bool, now: Instant) -> Due {
        match found {
            Found::Unanswered => Due::default(),
            Found::Missing => self.is_missing(make, now),
            Found::There(mark) if self.is_shorter(&mark, now) => {
                self.missing = None;
                Due::default()
            }
            Found::There(mark) => {
                let before = self.mark.replace(mark);
                let lost = before.and_then(|before| before.loss(&mark));
                let said = self.said.take().is_some();
                (self.missing, self.shorter, self.made) = (None, None, None);
                Due {
                    lost,
                    say_lost: lost.is_some() && !said,
                    ..Due::default()
                }
            }
        }
    }

    /// True once two looks in a row have not found it.
    pub fn is_gone(&self, now: Instant) -> bool {
        self.missing.is_some_and(|since| now >= since + CONFIRM)
    }

    /// When to look again, if that is sooner than usual.
    pub fn look_at(&self) -> Option<Instant> {
        self.missing.or(self.shorter).map(|since| since + CONFIRM)
    }

    /// True for a stream that ends before where it ended, until a second look has found it so.
    fn is_shorter(&mut self, mark: &Mark, now: Instant) -> bool {
        if !self.mark.is_some_and(|known| known.is_cut_off(mark)) {
            return false;
        }
        now < *self.shorter.get_or_insert(now) + CONFIRM
    }

    fn is_missing(&mut self, make: bool, now: Instant) -> Due {
        self.missing.get_or_insert(now);
        if !self.is_gone(now) {
            return Due::default();
        }
        let due = |last: Option<Instant>, pause| last.is_none_or(|last| now >= last + pause);
        let say_missing = due(self.said, SAY_AGAIN);
        let make = make && due(self.made, MAKE_AGAIN);
        if say_missing {
            self.said = Some(now);
        }
        if make {
            self.made = Some(now);
        }
        Due {
            say_missing,
            make,
            ..Due::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark {
        made: 1_000,
        first: 5,
        last: 90,
        count: 86,
        roomy: true,
    };

    /// After a purge.
    const EMPTY: Mark = Mark {
        first: 91,
        count: 0,
        ..MARK
    };

    #[test]
    fn a_stream_that_goes_on_has_lost_nothing() {
        let more = Mark { last: 200, ..MARK };
        let evicted = Mark { first: 80, ..more };
        assert_eq!((MARK.loss(&more), MARK.loss(&evicted)), (None, None));
        // Age or size took the last of it: that is what they are for.
        let (full, gone) = (
            Mark {
                roomy: false,
                ..MARK
            },
            EMPTY,
        );
        assert_eq!(full.loss(&gone), None);
        assert_eq!(EMPTY.loss(&Mark { first: 95, ..more }), None);
        // A bucket of one key that is written again and again.
        let (one, again) = (
            Mark {
                first: 90,
                count: 1,
                ..MARK
            },
            Mark {
                first: 91,
                last: 91,
                count: 1,
                ..MARK
            },
        );
        assert_eq!(one.loss(&again), None);
    }

    /// Others were quicker, and have written as much again.
    #[test]
    fn a_purge_is_told_also_where_as_much_is_there_again() {
        let again = Mark {
            first: 91,
            last: 190,
            count: 100,
            ..MARK
        };
        assert_eq!(MARK.loss(&again), Some(Loss::Emptied));
    }

    #[test]
    fn every_loss_is_told_from_the_others() {
        let anew = Mark {
            made: 2_000,
            first: 1,
            last: 3,
            ..MARK
        };
        assert_eq!(MARK.loss(&anew), Some(Loss::Anew));
        assert_eq!(anew.loss(&MARK), Some(Loss::Older));
        assert_eq!(MARK.loss(&Mark { last: 60, ..MARK }), Some(Loss::Older));
        assert_eq!(MARK.loss(&EMPTY), Some(Loss::Emptied));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_missing_is_confirmed_said_once_and_made() {
        let now = crate::clock::now();
        let mut watched = Watched::default();
        assert_eq!(watched.saw(Found::There(MARK), true, now), Due::default());
        assert_eq!(watched.saw(Found::Missing, true, now), Due::default());
        assert_eq!(watched.look_at(), Some(now + CONFIRM));
        let later = now + CONFIRM;
        assert_eq!(watched.saw(Found::Unanswered, true, later), Due::default());
        let due = watched.saw(Found::Missing, true, later);
        assert!(due.say_missing && due.make && watched.is_gone(later));
        assert_eq!(watched.saw(Found::Missing, true, later), Due::default());
        let again = watched.saw(Found::Missing, true, later + MAKE_AGAIN);
        assert!(again.make && !again.say_missing);
        let anew = Mark {
            made: 2_000,
            first: 1,
            last: 0,
            ..MARK
        };
        let due = watched.saw(Found::There(anew), true, later + MAKE_AGAIN);
        assert_eq!((due.lost, due.say_lost), (Some(Loss::Anew), false));
        assert!(!watched.is_gone(later + MAKE_AGAIN * 9));
    }

    /// A leader that has just been elected may not know of the last ones yet.
    #[tokio::test(start_paused = true)]
    async fn an_older_copy_is_believed_at_the_second_look() {
        let now = crate::clock::now();
        let mut watched = Watched::default();
        let shorter = Found::There(Mark { last: 60, ..MARK });
        watched.saw(Found::There(MARK), true, now);
        assert_eq!(watched.saw(shorter, true, now), Due::default());
        watched.saw(Found::There(MARK), true, now);
        assert_eq!(watched.saw(shorter, true, now + CONFIRM), Due::default());
        let due = watched.saw(shorter, true, now + CONFIRM * 2);
        assert_eq!((due.lost, due.say_lost), (Some(Loss::Older), true));
        assert_eq!(
            watched.saw(shorter, true, now + CONFIRM * 3),
            Due::default()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_made_meanwhile_is_said_all_the_same() {
        let now = crate::clock::now();
        let mut watched = Watched::default();
        watched.saw(Found::There(MARK), true, now);
        watched.saw(Found::Missing, true, now);
        let anew = Mark {
            made: 2_000,
            ..MARK
        };
        let due = watched.saw(Found::There(anew), true, now + CONFIRM / 2);
        assert_eq!((due.lost, due.say_lost), (Some(Loss::Anew), true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_be_made_is_said_each_minute() {
        let now = crate::clock::now();
        let mut watched = Watched::default();
        let mut said = 0;
        for second in 0..=121 {
            let due = watched.saw(Found::Missing, false, now + Duration::from_secs(second));
            assert!(!due.make);
            said += u32::from(due.say_missing);
        }
        assert_eq!(said, 3);
    }
}
