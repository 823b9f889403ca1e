//! How many files a process may have open: each shard's connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a process has open beside its shards' connections: NATS, its listeners, its log, its store.
pub const BESIDE: u64 = 64;

/// Raises the soft limit to the hard one, which a process may do itself: many systems start it with 1,024.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!("the limit of open files stays {limit:?}: {error}");
    }
}

/// The most that it may have open; none: there is no limit.
pub fn most() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}
