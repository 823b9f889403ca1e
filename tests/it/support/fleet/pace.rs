//! How long and how hard: a cut of each fault in `make test`, all of it in `make chaos`.

/// Set by `make chaos`.
const CHAOS: &str = "SHARDFLEET_CHAOS";
/// Events a second that every fault meets in `make chaos`, unless the test sends few on purpose.
const RATE: u32 = 2_000;
/// By this, faults last longer there.
const LONGER: u64 = 4;
/// Tests with fewer events a second than this send few on purpose.
const FEW: u32 = 100;

/// True in `make chaos`.
pub(crate) fn chaos() -> bool {
    std::env::var_os(CHAOS).is_some()
}

/// One in `make test`, the other in `make chaos`.
pub(crate) fn cut<T>(short: T, long: T) -> T {
    if chaos() { long } else { short }
}

/// The rate of a test.
pub(super) fn rate(of_test: u32) -> u32 {
    if of_test < FEW {
        return of_test;
    }
    cut(of_test, of_test.max(RATE))
}

/// By how much more events a test waits for, so that each wait is [`LONGER`].
pub(super) fn longer(of_test: u32) -> u64 {
    let faster = rate(of_test).div_ceil(of_test.max(1));
    cut(1, LONGER * u64::from(faster))
}

/// What Discord keeps for replay there: minutes of it, which is more than the default of few events.
pub(super) fn flags() -> Vec<String> {
    let long = ["--replay-buffer=200000", "--replay-bytes=1073741824"];
    let long = long.map(str::to_owned).to_vec();
    cut(Vec::new(), long)
}
