//! What happens several times a second, said seldom: a full stream refuses every shard, say.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::clock::Instant;

/// How seldom.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// One thing that is said seldom; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Seldom(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    said: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// One more. Some: it is time to say so, and so many were not said since the last time.
    pub fn one_more(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.said.is_some_and(|said| now < said + SAY_EVERY) {
            state.unsaid += 1;
            return None;
        }
        state.said = Some(now);
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
