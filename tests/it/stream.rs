//! The stream equals what Discord sent.

use crate::support::Fleet;

/// Two gateways, two coordinators: the whole path, with nothing going wrong.
#[tokio::test(flavor = "multi_thread")]
async fn holds_what_discord_sent_byte_for_byte_in_order_once() {
    let start = Fleet::start().shards(8).group_size(2).gateways(2);
    let mut fleet = start.coordinators(2).events_per_second(400).await;
    fleet
        .wait_until(
            "two thousand events sent",
            super::support::wait::LIMIT,
            |state| state.discord.sent > 2_000,
        )
        .await;
    let report = fleet.audit().await;
    assert!(report.stored > 2_000 && report.gaps == 0, "{report:?}");
    assert_eq!(fleet.sim_verdict().await.identifies, 8);
}
