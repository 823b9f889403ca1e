//! Pure: is there room for what would be made: in the account, and on the disk of a server of our own.

use async_nats::jetstream::account::Account;

use super::Finding;
use crate::config::{Config, Storage};

/// What is still to be made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Missing {
    /// Streams of events, each of `stream.max_bytes`.
    pub(super) streams: u64,
    /// Buckets.
    pub(super) buckets: u64,
}

/// Do the account's limits allow what is missing.
pub(super) fn account(config: &Config, account: &Account, missing: Missing) -> Vec<Finding> {
    let mut found = Vec::new();
    let limits = &account.limits;
    let copies = u64::from(config.stream.replicas.0);
    let (most, taken, key) = match config.stream.storage {
        Storage::File => (limits.max_storage, account.reserved_storage, "max_file"),
        Storage::Memory => (limits.max_memory, account.reserved_memory, "max_memory"),
    };
    let each = config.stream.max_bytes.0;
    let wanted = each.saturating_mul(copies).saturating_mul(missing.streams);
    // 0 is what an account with limits by tier says.
    if let Some(most) = limit(most).filter(|most| taken.saturating_add(wanted) > *most) {
        let told = format!(
            "the account may store {}, of which {} are taken; stream.max_bytes × partitions × replicas wants {}",
            size(most),
            size(taken),
            size(wanted)
        );
        let hint = format!("a larger `{key}` of the account, or a smaller stream.max_bytes");
        found.push(Finding::wrong("account", told, &hint));
    }
    let more = missing.streams + missing.buckets;
    let streams = account.streams as u64;
    if let Some(most) = limit(limits.max_streams).filter(|most| streams + more > *most) {
        let told = format!(
            "the account may have {most} streams and has {streams}; the fleet needs {more} more"
        );
        let hint = "raise its `max_streams`, delete one, or set fewer stream.partitions";
        found.push(Finding::wrong("account", told, hint));
    }
    found
}

/// Has the disk of a server that `up` starts room for the streams, of so many bytes free: nats-server takes three
/// quarters of them where nobody says how much.
///
/// <https://docs.nats.io/running-a-nats-service/configuration#jetstream>
pub(super) fn disk(config: &Config, free: u64) -> Finding {
    let wanted = config.stream.max_bytes.0 * u64::from(config.stream.partitions.0);
    let usable = free / 4 * 3;
    let told = format!(
        "{} are free here; a nats-server of `up` takes three quarters of that, stream.max_bytes wants {}",
        size(free),
        size(wanted)
    );
    if config.stream.storage == Storage::File && wanted > usable {
        let hint = format!(
            "a larger disk (--data DIR), or stream.max_bytes of {} or less",
            size(usable / u64::from(config.stream.partitions.0))
        );
        return Finding::wrong("disk", told, &hint);
    }
    Finding::fine("disk", told)
}

fn limit(given: Option<i64>) -> Option<u64> {
    given
        .and_then(|most| u64::try_from(most).ok())
        .filter(|most| *most > 0)
}

fn size(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    fn config(gib: u64, partitions: u32) -> Config {
        let mut config = Config::default();
        config.stream.max_bytes.0 = gib << 30;
        config.stream.partitions.0 = partitions;
        config
    }

    #[test]
    fn an_account_is_held_against_what_is_missing() {
        let mut given = Account::default();
        let missing = Missing {
            streams: 2,
            buckets: 2,
        };
        let of = |account: &Account| super::account(&config(8, 2), account, missing).len();
        assert_eq!(of(&given), 0, "no limits");
        given.limits.max_storage = Some(16 << 30);
        given.limits.max_streams = Some(4);
        assert_eq!(of(&given), 0);
        given.reserved_storage = 1;
        assert_eq!(of(&given), 1);
        given.streams = 1;
        assert_eq!(of(&given), 2);
        let there = super::account(&config(8, 2), &given, Missing::default());
        assert!(there.is_empty(), "what is there needs no more");
    }

    #[test]
    fn a_disk_is_held_against_the_streams() {
        let outcome = |free: u64| disk(&config(3, 2), free << 30).outcome;
        assert_eq!(outcome(8), Outcome::Fine);
        assert_eq!(outcome(7), Outcome::Wrong);
    }
}
