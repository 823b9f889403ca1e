//! Events larger than NATS takes.

use serde_json::json;
use shardfleet::{
    subject::GAP_EVENT,
    wire::event::{CONTENT_ENCODING, ZSTD},
};

use crate::support::fleet::{Fleet, judge::Stored};

/// A message may be no larger than this, headers and all.
const LIMIT: u32 = 128 << 10;
/// Half of it is left by compression; so the first fits, and the second does not.
const SIZES: [usize; 2] = [200_000, 2_000_000];

/// What fits once it is compressed comes so, and says so; what does not leaves a gap in its place. The
/// session lives on in either case, also through a restart. The audit looks at the bytes.
#[tokio::test(flavor = "multi_thread")]
async fn come_compressed_or_leave_a_gap() {
    let start = Fleet::start().shards(2).events_per_second(50);
    let mut fleet = start.max_payload(LIMIT).await;
    for bytes in SIZES {
        let fault = json!({ "fault": "huge_event", "bytes": bytes });
        assert_eq!(fleet.fault(fault).await, 2);
    }
    fleet.flow(100).await;
    let report = fleet.audit().await;
    assert_eq!((report.gaps, report.told), (2, 2), "{report:?}");

    let messages = fleet.messages().await;
    let packed = |message: &&Stored| message.header(CONTENT_ENCODING) == Some(ZSTD);
    let sizes = messages
        .iter()
        .filter(packed)
        .map(|message| zstd::decode_all(&message.payload[..]).unwrap().len());
    assert!(sizes.clone().all(|size| size.abs_diff(SIZES[0]) < 1_000));
    assert_eq!(sizes.count(), 2);
    let gap = |message: &&Stored| message.event() == GAP_EVENT;
    for gap in messages.iter().filter(gap) {
        let gap: serde_json::Value = serde_json::from_slice(&gap.payload).unwrap();
        assert_eq!(
            (&gap["reason"], &gap["missing"]),
            (&json!("oversize"), &json!(1))
        );
    }

    let before = fleet.discord.figures().await;
    fleet.kill_gateway(0);
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 2).await;
    fleet.audit().await;
}

/// What `deploy/nats.conf` allows: a guild of seven megabytes goes as it came, in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_guild_of_seven_megabytes_is_stored_as_it_came() {
    const BYTES: usize = 7_000_000;
    let mut fleet = Fleet::start().events_per_second(200).await;
    for _ in 0..2 {
        let fault = json!({ "fault": "huge_event", "bytes": BYTES });
        assert_eq!(fleet.fault(fault).await, 4);
        fleet.flow(200).await;
    }
    let report = fleet.audit().await;
    assert_eq!((report.gaps, report.told), (0, 0), "{report:?}");
    let messages = fleet.messages().await;
    let large = messages
        .iter()
        .filter(|message| message.payload.len() > BYTES / 2);
    let plain = large.filter(|message| message.header(CONTENT_ENCODING).is_none());
    assert_eq!(plain.count(), 8);
}
