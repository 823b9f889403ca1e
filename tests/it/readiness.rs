//! `/ready`: a rollout goes on where it says 200, so it says so of a process that can do its work alone.

use serde_json::json;

use crate::support::{
    fleet::{
        Fleet,
        wait::{LIMIT, eventually},
    },
    http::get,
};

/// Waits until `/ready` answers so, with `why` in it.
async fn answers(page: &str, code: u16, why: &str) {
    let url = format!("{page}/ready");
    let what = format!("{url} answers {code}, {why}");
    eventually(&what, LIMIT, async || {
        let (status, text) = get(&url).await;
        (status == code && text.contains(why)).then_some(())
    })
    .await;
}

/// A spare is ready, one whose shards do not reach Discord is not, and where JetStream is silent nobody is.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_ready_while_it_can_do_its_work() {
    let mut fleet = Fleet::start().group_size(4).await;
    let first = fleet.page("gateway-0").await;
    let coordinator = fleet.page("coordinator-0").await;
    answers(&first, 200, "ready").await;
    answers(&coordinator, 200, "ready").await;
    let spare = fleet.start_gateway().await;
    let page = fleet.page(&format!("gateway-{spare}")).await;
    answers(&page, 200, "ready").await;

    let refused = |for_ms: u64| json!({ "fault": "interrupt", "moment": "connect", "then": "close", "for_ms": for_ms });
    assert_eq!(fleet.fault(refused(600_000)).await, 1);
    fleet.kill_gateway(0);
    answers(&page, 503, "none of its 4 shards has been live").await;
    assert_eq!(fleet.fault(refused(1)).await, 1);
    answers(&page, 200, "ready").await;

    fleet.nats.node(0).pause();
    for page in [&page, &coordinator] {
        answers(page, 503, "JetStream has not answered").await;
    }
    fleet.nats.node(0).resume();
    for page in [&page, &coordinator] {
        answers(page, 200, "ready").await;
    }
}
