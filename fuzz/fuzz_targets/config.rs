//! The text of a configuration: it is read, or every fault in it is named.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shardfleet::config::load;

fuzz_target!(|text: &str| {
    // Figures read as files would make the fuzzer wander through the machine's.
    if text.contains("token_file") {
        return;
    }
    if let Err(faults) = load::parse(text) {
        assert!(!faults.0.is_empty());
        _ = faults.to_string();
    }
});
