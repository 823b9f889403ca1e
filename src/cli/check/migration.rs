//! Pure: what moving a bot to the fleet costs, from what Discord says of it.

use std::time::Duration;

use super::Finding;

/// The bot, and how it would be run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) shards: u32,
    pub(super) max_concurrency: u32,
    /// Identifies left of the day.
    pub(super) remaining: u32,
    /// Until the next day's.
    pub(super) reset_after: Duration,
    /// Of these, kept back.
    pub(super) reserve: u32,
    /// Between two IDENTIFYs of a bucket.
    pub(super) spacing: Duration,
    pub(super) group_size: u32,
    pub(super) max_groups: u32,
}

/// The bill, then what it takes to run it.
pub(super) fn forecast(it: Move) -> [Finding; 2] {
    let rounds = it.shards.div_ceil(it.max_concurrency.max(1));
    let lasts = it.spacing * rounds.saturating_sub(1);
    let grantable = it.remaining.saturating_sub(it.reserve);
    let starts = grantable / it.shards.max(1);
    let told = format!(
        "{} shards: {} identifies, {} from the first to the last ({rounds} rounds of at most {}, {:.2} s apart). \
         {} of {} left are the fleet's: {starts} such starts before the new day in {}",
        it.shards,
        it.shards,
        span(lasts),
        it.max_concurrency,
        it.spacing.as_secs_f64(),
        grantable,
        it.remaining,
        span(it.reset_after)
    );
    let bill = match starts {
        0 => Finding::wrong(
            "move",
            told,
            "wait for the new day: the fleet would stop half way, and so would the bot it replaces",
        ),
        1 => Finding::odd(
            "move",
            format!("{told}. The way back costs as many, and is not covered"),
            "wait for the new day, or move without a way back until then",
        ),
        _ => Finding::fine("move", told),
    };
    let groups = it.shards.div_ceil(it.group_size.max(1));
    let gateways = groups.div_ceil(it.max_groups.max(1)) + 1;
    let told = format!(
        "{groups} group{} of {}: {gateways} gateways with room for {} each, one of which may be lost",
        if groups == 1 { "" } else { "s" },
        it.group_size,
        it.max_groups
    );
    [bill, Finding::fine("move", told)]
}

fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 90.0 {
        format!("{seconds:.0} s")
    } else if seconds < 5_400.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3_600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    fn bot() -> Move {
        Move {
            shards: 64,
            max_concurrency: 16,
            remaining: 1_000,
            reset_after: Duration::from_secs(7_200),
            reserve: 50,
            spacing: Duration::from_millis(5_250),
            group_size: 16,
            max_groups: 8,
        }
    }

    #[test]
    fn a_move_has_its_price() {
        let [bill, room] = forecast(bot());
        assert_eq!(bill.outcome, Outcome::Fine);
        for part in [
            "64 identifies, 16 s",
            "4 rounds",
            "950 of 1000",
            "14 such",
            "2.0 h",
        ] {
            assert!(bill.text.contains(part), "{part} is not in {}", bill.text);
        }
        assert!(
            room.text.contains("4 groups of 16: 2 gateways"),
            "{}",
            room.text
        );
        let large = Move {
            shards: 1_024,
            max_concurrency: 1,
            ..bot()
        };
        let [bill, room] = forecast(large);
        assert_eq!(bill.outcome, Outcome::Wrong);
        assert!(
            bill.text.contains("90 min") || bill.text.contains("1.5 h"),
            "{}",
            bill.text
        );
        assert!(room.text.contains("9 gateways"), "{}", room.text);
        let [bill, _] = forecast(Move {
            remaining: 120,
            ..bot()
        });
        assert_eq!(bill.outcome, Outcome::Odd);
        assert!(bill.text.contains("way back"), "{}", bill.text);
    }
}
