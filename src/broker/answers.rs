//! When JetStream has answered last: a connection alone does not tell.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::clock::{self, Instant};

/// The last answer of whoever looks after streams and buckets; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Answers(Arc<Mutex<Option<Instant>>>);

impl Answers {
    /// It answers.
    pub fn heard(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock::now());
    }

    /// How long it has been silent; none: it never has answered.
    pub fn silent(&self) -> Option<Duration> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|last| clock::now().saturating_duration_since(last))
    }
}
