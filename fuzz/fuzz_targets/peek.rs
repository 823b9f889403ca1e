//! The envelope of a payload: what is borrowed from its head is what a whole parser finds in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, de::IgnoredAny};
use shardfleet::{
    gateway::{peek, session},
    wire::command::rate_limited,
};

/// The payload as a whole parser reads it; a field that stands twice is no payload of Discord's.
#[derive(Deserialize)]
struct Whole {
    op: u8,
    #[serde(default)]
    s: Option<u64>,
    #[serde(default)]
    t: Option<String>,
    #[serde(default, rename = "d")]
    _d: IgnoredAny,
}

fuzz_target!(|payload: &str| {
    let head = peek::peek(payload);
    if let Ok(whole) = serde_json::from_str::<Whole>(payload) {
        let head = head.expect("a payload that is one");
        assert_eq!((head.op, head.s), (whole.op, whole.s));
        assert_eq!(head.t.as_deref(), whole.t.as_deref());
    }
    _ = peek::resumable(payload);
    _ = session::ready(payload.as_bytes());
    _ = rate_limited(payload);
});
