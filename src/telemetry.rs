//! What a process shows of itself: its log and its metrics.

pub mod log;
pub mod manual;
pub mod metrics;
pub mod seldom;

/// The release, as in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
