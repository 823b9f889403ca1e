//! What the stream refuses, said seldom: a full stream refuses every shard several times a second.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::clock::Instant;

/// How seldom.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// The refusals of one lane.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    said: Option<Instant>,
    unsaid: u64,
}

impl Refusals {
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
        let (refusals, now) = (Refusals::default(), crate::clock::now());
        let shared = refusals.clone();
        assert_eq!(refusals.one_more(now), Some(0));
        assert_eq!(shared.one_more(now), None);
        assert_eq!(refusals.one_more(now + SAY_EVERY / 2), None);
        assert_eq!(shared.one_more(now + SAY_EVERY), Some(2));
    }
}
