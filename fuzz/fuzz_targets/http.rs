//! What comes over HTTP and WebSockets: the query of the gateway-queue, and every door of the simulator.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shardfleet::{coordinator::compat::call, sim};

fuzz_target!(|bytes: &[u8]| {
    _ = sim::doors::knock(bytes);
    if let Ok(query) = std::str::from_utf8(bytes)
        && let Ok(Some(shard)) = call::shard(Some(query))
    {
        let named = format!("shard={shard}");
        assert_eq!(call::shard(Some(&named)), Ok(Some(shard)));
    }
});
