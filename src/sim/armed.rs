//! A list of things that wait for their moment: each for some shards, for a number of times or for a while.

use std::time::Duration;

use tokio::time::Instant;

use super::fault::Shards;

/// Entries of one list; the oldest gives way.
const MOST: usize = 64;

/// The list. Of several entries for one shard the newest holds.
#[derive(Debug)]
pub(super) struct Armed<T>(Vec<Entry<T>>);

#[derive(Debug)]
struct Entry<T> {
    shards: Shards,
    /// How often it still holds; none: without a limit.
    left: Option<u32>,
    until: Option<Instant>,
    value: T,
}

/// How often, and for how long. Neither: until the opposite is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Term {
    pub(super) count: Option<u32>,
    pub(super) span: Option<Duration>,
}

impl<T> Default for Armed<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> Armed<T> {
    /// Adds an entry. One for all shards replaces what was there.
    pub(super) fn set(&mut self, shards: Shards, term: Term, value: T, now: Instant) {
        if shards == Shards::All {
            self.0.clear();
        }
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(Entry {
            shards,
            left: term.count,
            until: term.span.map(|span| now + span),
            value,
        });
    }

    /// What holds for this shard now, which counts as one time. A shard that is not known is only met by
    /// what is for all of them.
    pub(super) fn take(&mut self, shard: Option<u32>, now: Instant) -> Option<T> {
        self.0
            .retain(|entry| entry.left != Some(0) && entry.until.is_none_or(|until| now < until));
        let entry = self.0.iter_mut().rev().find(|entry| match shard {
            Some(shard) => entry.shards.has(shard),
            None => entry.shards == Shards::All,
        })?;
        if let Some(left) = &mut entry.left {
            *left -= 1;
        }
        Some(entry.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_holds_for_its_shards_its_number_and_its_time() {
        let now = crate::clock::now();
        let later = now + Duration::from_secs(1);
        let mut armed = Armed::default();
        let once = Term {
            count: Some(1),
            span: None,
        };
        let while_ = Term {
            count: None,
            span: Some(Duration::from_secs(1)),
        };
        armed.set(Shards::All, while_, 'a', now);
        armed.set(Shards::These(vec![3]), once, 'b', now);
        assert_eq!(armed.take(None, now), Some('a'));
        assert_eq!(armed.take(Some(2), now), Some('a'));
        assert_eq!(armed.take(Some(3), now), Some('b'));
        assert_eq!(armed.take(Some(3), now), Some('a'));
        assert_eq!(armed.take(Some(3), later), None);
    }

    #[test]
    fn one_for_all_shards_replaces_the_others() {
        let now = crate::clock::now();
        let mut armed = Armed::default();
        armed.set(Shards::These(vec![3]), Term::default(), 'a', now);
        armed.set(Shards::All, Term::default(), 'b', now);
        assert_eq!(armed.take(Some(3), now), Some('b'));
        let never = Term {
            count: Some(0),
            span: None,
        };
        armed.set(Shards::All, never, 'c', now);
        assert_eq!(armed.take(Some(3), now), None);
    }
}
