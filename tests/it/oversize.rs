//! Events larger than NATS takes.

use serde_json::json;
use shardfleet::wire::event::{CONTENT_ENCODING, ZSTD};

use crate::support::fleet::{Fleet, wait::LIMIT};

/// A message may be no larger than this; less than most guilds.
const SMALL: u32 = 6 << 10;

/// They come compressed, and say so; what is too large even then leaves a gap in its place, and the
/// session lives on. The audit looks at the bytes of each.
#[tokio::test(flavor = "multi_thread")]
async fn come_compressed_or_leave_a_gap() {
    let start = Fleet::start().shards(2).events_per_second(50);
    let mut fleet = start.max_payload(SMALL).await;
    fleet
        .fault(json!({ "fault": "huge_event", "bytes": 2_000_000 }))
        .await;
    fleet.flow(100).await;
    fleet.audit().await;

    let messages = fleet.messages().await;
    let limit = usize::try_from(SMALL).unwrap();
    assert!(
        messages
            .iter()
            .all(|message| message.payload.len() <= limit)
    );
    let huge = messages.iter().filter(|message| {
        message.header(CONTENT_ENCODING) == Some(ZSTD)
            && zstd::decode_all(&message.payload[..]).unwrap().len() > 1_000_000
    });
    assert_eq!(huge.count(), 2);

    let before = fleet.discord.figures().await;
    fleet.kill_gateway(0);
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 2).await;
    fleet
        .wait_until("both shards resumed", LIMIT, |state| {
            state.discord.ready == 2
        })
        .await;
    fleet.audit().await;
}
