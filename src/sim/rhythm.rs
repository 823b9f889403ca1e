//! `--daily-rhythm`: more happens in the evening than at night.

use std::time::Duration;

/// Percent of the mean at the start of each hour, from midnight on; their mean is 100.
const HOURS: [u64; 24] = [
    68, 54, 46, 42, 42, 46, 54, 64, 76, 88, 98, 106, 114, 120, 126, 132, 138, 146, 154, 160, 158,
    146, 126, 96,
];

/// The rate when `passed` of days of length `day` is over, between the hours in a straight line. A day of no
/// length has no rhythm.
pub(super) fn rate(mean: u32, passed: Duration, day: Duration) -> u32 {
    let Some(part) = passed.as_nanos().checked_rem(day.as_nanos()) else {
        return mean;
    };
    // In thousandths of an hour.
    let at = part * 24_000 / day.as_nanos();
    let at = usize::try_from(at).unwrap_or(0);
    let percent = |hour: usize| HOURS.get(hour % 24).copied().unwrap_or(100);
    let (hour, into) = (at / 1000, at as u64 % 1000);
    let thousandths = percent(hour) * (1000 - into) + percent(hour + 1) * into;
    let rate = u64::from(mean) * thousandths / 100_000;
    u32::try_from(rate).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn a_day_has_its_night_and_evening_and_keeps_the_mean() {
        let at = |minutes: u64| rate(10_000, Duration::from_secs(minutes * 60), DAY);
        assert_eq!((at(0), at(3 * 60), at(19 * 60)), (6_800, 4_200, 16_000));
        assert_eq!((at(30), at(24 * 60 + 30)), (6_100, 6_100));
        let sum: u64 = (0..24 * 60).map(|minute| u64::from(at(minute))).sum();
        // Less than one is lost to rounding.
        assert_eq!(sum.div_ceil(24 * 60), 10_000);
    }

    #[test]
    fn without_a_day_the_rate_is_the_mean() {
        assert_eq!(rate(7, Duration::from_secs(5), Duration::ZERO), 7);
        assert_eq!(rate(u32::MAX, DAY * 19 / 24, DAY), u32::MAX);
    }
}
