//! The envelope of a payload: what is borrowed from its head is what a whole parser finds in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use shardfleet::{
    gateway::{
        peek, session,
        track::{Dispatch, Track},
    },
    subject,
    wire::{command::rate_limited, event},
};

/// The payload as a whole parser reads it; a field that stands twice is no payload of Discord's.
#[derive(Deserialize)]
struct Whole {
    op: u8,
    #[serde(default)]
    s: Value,
    #[serde(default)]
    t: Value,
    #[serde(default, rename = "d")]
    _d: IgnoredAny,
}

fuzz_target!(|payload: &str| {
    let head = peek::peek(payload);
    if let Ok(whole) = serde_json::from_str::<Whole>(payload) {
        let head = head.as_ref().expect("a payload that is one");
        assert_eq!((head.op, head.t.as_deref()), (whole.op, whole.t.as_str()));
        // A float that is whole is a number, too.
        if whole.s.is_u64() || !whole.s.is_f64() {
            assert_eq!(head.s, whole.s.as_u64());
        }
    }
    if let Some(head) = head {
        // Whatever came, the next number goes on, and every word of it fits a header.
        let mut track = Track::default();
        track.ready("a", "", Some(1));
        track.dispatch(head.s.filter(|seq| *seq > 4_097), payload.as_bytes());
        assert_eq!(track.dispatch(Some(2), b""), Dispatch::Next);
        let name = head.t.as_deref().unwrap_or_default();
        let written = event::event_name(name);
        let most = if subject::is_event(name) { 64 } else { 257 };
        assert!(written.len() <= most && written.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    _ = peek::resumable(payload.as_bytes());
    if let Some(ready) = session::ready(payload.as_bytes()) {
        let name = event::session_name(&ready.session_id);
        assert!(name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!ready.resume_gateway_url.contains(['\r', '\n', ' ', '?', '#']));
    }
    _ = rate_limited(payload);
});
