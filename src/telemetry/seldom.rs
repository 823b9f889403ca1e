//! What happens several times a second, said seldom: a full stream refuses every shard, say.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::clock::Instant;

/// How seldom, unless it is said otherwise.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// One thing that is said seldom; clones count together.
#[derive(Clone, Debug)]
pub struct Seldom {
    state: Arc<Mutex<State>>,
    most: u64,
    every: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// When the first of the lines was said that count.
    since: Option<Instant>,
    said: u64,
    unsaid: u64,
}

impl Default for Seldom {
    fn default() -> Self {
        Self::up_to(1)
    }
}

impl Seldom {
    /// One that is said up to `most` times in five seconds.
    pub fn up_to(most: u64) -> Self {
        Self {
            state: Arc::default(),
            most,
            every: SAY_EVERY,
        }
    }

    /// One that is said once in this time.
    pub fn once_in(every: Duration) -> Self {
        Self {
            every,
            ..Self::default()
        }
    }

    /// One more. Some: it is time to say so, and so many were not said since the last time.
    pub fn one_more(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.is_none_or(|since| now >= since + self.every) {
            (state.since, state.said) = (Some(now), 0);
        }
        if state.said >= self.most {
            state.unsaid += 1;
            return None;
        }
        state.said += 1;
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn says_the_first_and_then_how_many_there_were() {
        let (seldom, now) = (Seldom::default(), crate::clock::now());
        let shared = seldom.clone();
        assert_eq!(seldom.one_more(now), Some(0));
        assert_eq!(shared.one_more(now), None);
        assert_eq!(seldom.one_more(now + SAY_EVERY / 2), None);
        assert_eq!(shared.one_more(now + SAY_EVERY), Some(2));
    }
}
