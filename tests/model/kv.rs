//! A bucket with revisions, whose keys may expire: what the leader of a stream knows.

use std::time::Duration;

/// One key and every value it ever had.
#[derive(Debug)]
pub(crate) struct Key<V> {
    max_age: Option<Duration>,
    revision: u64,
    /// When written, under which revision.
    history: Vec<(Duration, u64, V)>,
}

/// What may be done to a key.
#[derive(Clone, Debug)]
pub(crate) enum Op<V> {
    Read,
    /// Over this revision; none creates.
    Write(V, Option<u64>),
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) enum Answer<V> {
    Found(Option<(V, u64)>),
    Applied(u64),
    Conflict,
}

impl<V: Clone> Key<V> {
    pub(crate) fn new(max_age: Option<Duration>) -> Self {
        Self {
            max_age,
            revision: 0,
            history: Vec::new(),
        }
    }

    pub(crate) fn apply(&mut self, op: Op<V>, now: Duration) -> Answer<V> {
        let standing = self.at(now).map(|(_, revision)| revision);
        match op {
            Op::Read => Answer::Found(self.at(now)),
            Op::Write(value, over) if over == standing => {
                self.push(value, now);
                Answer::Applied(self.revision)
            }
            Op::Write(..) => Answer::Conflict,
        }
    }

    /// The value that stood at a moment.
    pub(crate) fn at(&self, moment: Duration) -> Option<(V, u64)> {
        let (written, revision, value) = self
            .history
            .iter()
            .rev()
            .find(|(written, ..)| *written <= moment)?;
        let expired = self
            .max_age
            .is_some_and(|age| moment.saturating_sub(*written) >= age);
        (!expired).then(|| (value.clone(), *revision))
    }

    fn push(&mut self, value: V, now: Duration) {
        self.revision += 1;
        if self.history.len() > 256 {
            self.history.drain(..128);
        }
        self.history.push((now, self.revision, value));
    }
}
