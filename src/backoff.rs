//! A jittered exponential delay; the generator is passed in, so that a test can replay it.

use std::time::Duration;

use rand::Rng;

/// Doubles from `min` to `max`; each delay is drawn from the upper half of its step.
#[derive(Clone, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    attempt: u32,
}

impl Backoff {
    /// A delay that starts at `min` and never exceeds `max`; a `min` above `max` counts as `max`.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self {
            min: min.min(max),
            max,
            attempt: 0,
        }
    }

    /// The next delay, jittered so that a fleet does not return in step.
    pub fn next(&mut self, rng: &mut impl Rng) -> Duration {
        let step = self
            .min
            .saturating_mul(1 << self.attempt.min(16))
            .min(self.max);
        self.attempt = self.attempt.saturating_add(1);
        step.mul_f64(rng.random_range(0.5..=1.0))
    }

    /// Starts over: the thing worked.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// How many delays were drawn since the last reset.
    pub fn attempts(&self) -> u32 {
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn doubles_up_to_the_maximum_with_jitter() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        for attempt in 0..40 {
            let step = Duration::from_millis(100).saturating_mul(1 << attempt.min(16));
            let step = step.min(Duration::from_secs(5));
            let delay = backoff.next(&mut rng);
            assert!(
                delay <= step && delay >= step / 2,
                "{attempt}: {delay:?} of {step:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next(&mut rng) <= Duration::from_millis(100));
    }
}
