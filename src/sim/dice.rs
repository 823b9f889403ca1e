//! A seeded stream of numbers that means the same in every release: a seed is part of a test's name,
//! and the generators of the `rand` crate promise no stable output.

/// `SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator that depends on all of `parts`, and on their order.
    pub(super) fn of(parts: &[u64]) -> Self {
        let mut dice = Self(0);
        for part in parts {
            dice = Self(dice.next() ^ part);
        }
        dice
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number under `limit`; 0 when there is none.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// Whether something that happens in `percent` of cases happens.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `from`, which is never empty where this is called.
    pub(super) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let index = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        from.get(index).copied().unwrap_or_default()
    }

    /// A heavy-tailed size: at least `least`, twice as much half as often, at most `most`.
    pub(super) fn tail(&mut self, least: u64, most: u64) -> u64 {
        let share = self.below(1 << 20) + 1;
        (least.saturating_mul(1 << 20) / share).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let mut dice = Dice::new(1_234_567);
        assert_eq!(dice.next(), 6_457_827_717_110_365_317);
        assert_eq!(dice.next(), 3_203_168_211_198_807_973);
        assert_ne!(Dice::of(&[1, 2]).next(), Dice::of(&[2, 1]).next());
    }

    #[test]
    fn sizes_are_heavy_tailed_and_bounded() {
        let mut dice = Dice::new(7);
        let sizes: Vec<u64> = (0..10_000).map(|_| dice.tail(10, 500)).collect();
        assert!(sizes.iter().all(|size| (10..=500).contains(size)));
        let small = sizes.iter().filter(|size| **size < 20).count();
        assert!((4_500..5_500).contains(&small), "{small}");
        assert!(sizes.contains(&500));
    }
}
