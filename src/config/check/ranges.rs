//! Lengths of time and numbers of bytes: what parses can still be absurd for its key.

use super::{Reader, fault};
use crate::config::{Config, Size, Span};

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Every key that is one, with the least and the most that make sense.
pub(super) fn check(config: &Config, reader: &mut Reader<'_>) {
    let Config {
        stream,
        lease,
        gateway,
        coordinator,
        process,
        ..
    } = config;
    // In milliseconds.
    for (key, span, least, most) in [
        (
            "stream.max_age",
            stream.max_age,
            60 * SECOND,
            365 * 24 * HOUR,
        ),
        // NATS takes none below a tenth of a second.
        (
            "stream.duplicate_window",
            stream.duplicate_window,
            100,
            HOUR,
        ),
        ("lease.ttl", lease.ttl, 6 * SECOND, 300 * SECOND),
        ("gateway.gather", gateway.gather, 0, 50),
        ("coordinator.margin", coordinator.margin, 0, 10 * SECOND),
        ("process.start", process.start, SECOND, HOUR),
        ("process.drain", process.drain, SECOND, 600 * SECOND),
    ] {
        let (least, most) = (Span::millis(least), Span::millis(most));
        if !(least..=most).contains(&span) {
            let hint = format!("from {least} to {most}");
            fault(reader, key, "out of range", &hint);
        }
    }
    // A stream smaller than one large event stores none of those; NATS counts in 63 bits.
    for (key, Size(size), least, most) in [
        ("stream.max_bytes", stream.max_bytes, MIB, 1024 * TIB),
        ("gateway.buffer", gateway.buffer, MIB, 256 * GIB),
    ] {
        if !(least..=most).contains(&size) {
            let told = format!("{size} bytes are out of range");
            let hint = format!("from {}MiB to {}GiB", least / MIB, most / GIB);
            fault(reader, key, &told, &hint);
        }
    }
}
