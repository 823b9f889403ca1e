//! Why shards wait for leave to identify, in the words that the log, the command line and the page share.
//! Pure.

use crate::wire::{
    identify::SPACING,
    status::{CoordinatorStatus, SlowdownStatus},
};

/// What keeps those that wait, and the way out; none where it is Discord's spacing alone.
pub fn why(status: &CoordinatorStatus, now_ms: u64) -> Option<String> {
    if status.at_reserve {
        let day = span(status.reset_at_ms.saturating_sub(now_ms));
        return Some(match status.remaining {
            0 => format!("none of the day's identifies is left: the new day in {day}"),
            left => format!(
                "held at the reserve: the last {left} identifies of the day are kept for an operator. \
                 `shardfleet spend-reserve N` lets N of them go, or the new day in {day}"
            ),
        });
    }
    status.slowdown.as_ref().map(slowed)
}

/// How long it takes until all that wait are granted, in milliseconds; none if that is not known.
pub fn all_granted_in(status: &CoordinatorStatus) -> Option<u64> {
    if status.at_reserve {
        return None;
    }
    let rounds = u64::from(status.queue.div_ceil(status.max_concurrency.max(1)));
    let each = u64::try_from(SPACING.as_millis()).unwrap_or_default();
    let slowed = status.slowdown.as_ref().map_or(0, |slow| slow.all_ms);
    Some(rounds.saturating_mul(each).max(slowed))
}

fn slowed(slow: &SlowdownStatus) -> String {
    let (identifies, ends) = (slow.identifies, span(slow.ends_ms));
    if slow.pause_ms > 0 {
        return format!(
            "slowed down: the fleet identified {identifies} times within the hour, so one shard in {} is \
             let go; at full pace again in {ends}, if nobody identifies meanwhile",
            span(slow.pause_ms)
        );
    }
    let shards: Vec<_> = slow.shards.iter().map(u32::to_string).collect();
    let plural = if shards.len() == 1 { "" } else { "s" };
    format!(
        "slowed down: shard{plural} {} identified again and again within the hour; the last of them is let \
         go in {ends}",
        shards.join(", ")
    )
}

/// A length of time for people: `42 s`, `3 min 5 s`, `2 h 10 min`.
pub fn span(ms: u64) -> String {
    let seconds = ms.div_ceil(1_000);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> CoordinatorStatus {
        CoordinatorStatus {
            queue: 14,
            max_concurrency: 4,
            remaining: 50,
            reset_at_ms: 7_200_000,
            ..CoordinatorStatus::default()
        }
    }

    #[test]
    fn at_the_reserve_the_way_out_is_named() {
        let mut status = waiting();
        assert_eq!(why(&status, 0), None);
        assert_eq!(all_granted_in(&status), Some(20_000));
        status.at_reserve = true;
        let told = why(&status, 0).unwrap();
        for part in [
            "at the reserve",
            "last 50",
            "spend-reserve N",
            "new day in 2 h 0 min",
        ] {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
        assert_eq!(all_granted_in(&status), None);
        // Nothing is left to be spent.
        status.remaining = 0;
        let told = why(&status, 0).unwrap();
        assert!(!told.contains("spend-reserve") && told.contains("new day"));
    }

    #[test]
    fn a_slowdown_says_why_and_until_when() {
        let mut status = waiting();
        let mut slow = SlowdownStatus {
            identifies: 118,
            pause_ms: 16_000,
            ends_ms: 1_860_000,
            all_ms: 350_000,
            shards: vec![3],
        };
        status.slowdown = Some(slow.clone());
        let told = why(&status, 0).unwrap();
        for part in [
            "118 times within the hour",
            "one shard in 16 s",
            "in 31 min",
        ] {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
        assert_eq!(all_granted_in(&status), Some(350_000));
        slow.pause_ms = 0;
        status.slowdown = Some(slow);
        assert!(
            why(&status, 0)
                .unwrap()
                .contains("shard 3 identified again")
        );
    }

    #[test]
    fn spans_are_for_people() {
        let spans = [0, 41_001, 185_000, 7_800_000].map(span);
        assert_eq!(spans, ["0 s", "42 s", "3 min 5 s", "2 h 10 min"]);
    }
}
