//! What comes over HTTP and WebSockets: the query of the gateway-queue, and every door of the simulator.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shardfleet::{coordinator::compat, sim};

fuzz_target!(|bytes: &[u8]| {
    _ = sim::doors::knock(bytes);
    if let Ok(query) = std::str::from_utf8(bytes)
        && let Ok(shard) = compat::shard(Some(query))
        && query.contains("shard=")
    {
        let named = format!("shard={shard}");
        assert_eq!(compat::shard(Some(&named)), Ok(shard));
    }
});
