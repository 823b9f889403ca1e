//! What a seed means: who takes part, and what goes wrong.

use std::{ops::Range, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};

/// One run. Everything in it follows from its seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) coordinators: usize,
    pub(crate) askers: usize,
    /// How many of the askers are HTTP clients behind a front.
    pub(crate) http: usize,
    pub(crate) max_concurrency: u32,
    /// Moments at which Discord changes it, and to what.
    pub(crate) recuts: Vec<(Duration, u32)>,
    /// How long after a change an IDENTIFY may go by the value before: a leader trusts an answer for
    /// ten seconds, an asker a grant for two, an HTTP client has two more, and the path takes some.
    pub(crate) patience: Duration,
    /// While it lasts Discord answers no question about its limits (429).
    pub(crate) barred: Range<Duration>,
    /// When every session ends, so that everybody asks at once.
    pub(crate) invalidated: Option<Duration>,
    /// Within this time every asker begins to ask.
    pub(crate) rush: Duration,
    /// How long things go wrong; afterwards everybody must be served.
    pub(crate) chaos: Duration,
    pub(crate) drop: f64,
    pub(crate) duplicate: f64,
    /// Of the messages, those held up: up to a second, and up to ten.
    pub(crate) slow: f64,
    pub(crate) stuck: f64,
    /// After any step of anybody, a pause of up to twenty seconds.
    pub(crate) pause: f64,
    /// A coordinator or an asker ends without a word and begins anew, in each second.
    pub(crate) crash: f64,
    /// A read of the ledger that tells what was.
    pub(crate) stale: f64,
    /// Leases that are believed in for this long after they ended: two leaders at once.
    pub(crate) lying_lease: Duration,
    /// Clocks run apart by up to this much of themselves.
    pub(crate) drift: f64,
    /// Identifies of the day, and when the next day opens.
    pub(crate) total: u32,
    pub(crate) day_opens: Duration,
    pub(crate) margin: Duration,
    /// An asker that has identified does so again, later.
    pub(crate) again: f64,
}

pub(crate) const RESERVE: u32 = 10;

impl Plan {
    /// Anything may go wrong; each run has some of it.
    pub(crate) fn wild(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let askers = dice.random_range(4..=64);
        let max_concurrency = [1, 2, 4, 16][dice.random_range(0..4)];
        let chaos = Duration::from_secs(dice.random_range(40..120));
        let tight = dice.random_bool(0.2);
        let recuts = if dice.random_bool(0.3) {
            let second = chaos.mul_f64(0.5);
            let falls_to = [1, max_concurrency][dice.random_range(0..2)];
            vec![
                (second.mul_f64(0.6), max_concurrency * 2),
                (second.mul_f64(1.6), falls_to),
            ]
        } else {
            Vec::new()
        };
        let mut some = |most: f64| {
            if dice.random_bool(0.5) {
                dice.random_range(0.0..most)
            } else {
                0.0
            }
        };
        let (drop, duplicate, slow, stuck) = (some(0.2), some(0.2), some(0.4), some(0.05));
        let (pause, crash, stale, again) = (some(0.01), some(0.02), some(0.3), some(0.8));
        let drift = some(0.000_5);
        let lying_lease = Duration::from_secs_f64(some(60.0));
        let http = if dice.random_bool(0.4) {
            dice.random_range(0..askers / 2)
        } else {
            0
        };
        let askers_u32 = u32::try_from(askers).unwrap();
        let coordinators = dice.random_range(3..=5);
        let rush = Duration::from_secs(dice.random_range(0..20));
        let day_opens = Duration::from_secs(dice.random_range(60..240));
        let barred = if dice.random_bool(0.2) {
            let from = chaos.mul_f64(dice.random_range(0.1..0.9));
            from..from + Duration::from_secs(dice.random_range(5..90))
        } else {
            Duration::ZERO..Duration::ZERO
        };
        Self {
            seed,
            coordinators,
            askers,
            http,
            max_concurrency,
            recuts,
            patience: Duration::from_secs(15),
            barred,
            invalidated: None,
            rush,
            chaos,
            drop,
            duplicate,
            slow,
            stuck,
            pause,
            crash,
            stale,
            lying_lease,
            drift,
            total: if tight {
                RESERVE + askers_u32 / 2 + 1
            } else {
                10_000
            },
            day_opens,
            margin: Duration::from_millis(250),
            again,
        }
    }

    /// Nothing goes wrong: how fast is a cold start?
    pub(crate) fn calm(askers: usize, max_concurrency: u32) -> Self {
        Self {
            seed: 1,
            coordinators: 3,
            askers,
            http: 0,
            max_concurrency,
            recuts: Vec::new(),
            patience: Duration::ZERO,
            barred: Duration::ZERO..Duration::ZERO,
            invalidated: None,
            rush: Duration::from_secs(10),
            chaos: Duration::ZERO,
            drop: 0.0,
            duplicate: 0.0,
            slow: 0.0,
            stuck: 0.0,
            pause: 0.0,
            crash: 0.0,
            stale: 0.0,
            lying_lease: Duration::ZERO,
            drift: 0.0,
            total: 100_000,
            day_opens: Duration::from_secs(80_000),
            margin: Duration::from_millis(250),
            again: 0.0,
        }
    }
}
