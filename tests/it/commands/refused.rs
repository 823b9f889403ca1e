//! Whoever refuses a command, and on whichever subject it came: it is counted, once, with its reason.

use async_nats::RequestErrorKind;
use serde_json::json;
use shardfleet::wire::command::{Reason, Reply};

use super::{INTENTS, presence, refused, voice};
use crate::support::fleet::{
    Fleet,
    wait::{LIMIT, eventually},
};

impl Fleet {
    /// What `shardfleet_commands_total` of a process says of one pair of labels.
    async fn commands_counted(&self, process: &str, op: &str, result: &str) -> u64 {
        let lines = self.metric(process, "shardfleet_commands_total{").await;
        let labels = [format!("op=\"{op}\""), format!("result=\"{result}\"")];
        let named = |line: &&String| labels.iter().all(|label| line.contains(label));
        let figures = lines.iter().filter(named);
        figures
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

/// On `fleet.<name>.command` as on `fleet.<name>.command.<shard>`.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_counted_on_the_fleets_own_subject_too() {
    let mut fleet = Fleet::start().set("discord.intents", INTENTS).await;
    let sounds = json!({ "op": 31, "d": { "guild_ids": ["0", (1_u64 << 22).to_string()] } });
    for (payload, op, result) in [
        ("{".to_owned(), "other", "malformed"),
        (
            r#"{"op":2,"d":{"token":"x"}}"#.to_owned(),
            "other",
            "unknown_op",
        ),
        ("x".repeat(5_000), "other", "too_large"),
        (sounds.to_string(), "soundboard", "wrong_shard"),
    ] {
        for (to, times) in [("", 1), (".1", 2)] {
            let refused = refused(fleet.command(to, payload.clone()).await);
            assert_eq!(refused.reason.as_str(), result, "{refused:?}");
            let counted = fleet.commands_counted("gateway-0", op, result).await;
            assert_eq!(counted, times, "{op} {result} on command{to}");
        }
    }
    fleet.audit().await;
}

/// What Discord would answer without what was asked for needs an intent, and says which.
#[tokio::test(flavor = "multi_thread")]
async fn presences_are_not_asked_for_without_their_intent() {
    let mut fleet = Fleet::start()
        .shards(1)
        .set("discord.intents", INTENTS)
        .await;
    let guild = fleet.guild(0).await;
    let ask = |presences: bool| json!({ "op": 8, "d": { "guild_id": guild, "user_ids": ["1"], "presences": presences } });
    let refused = refused(fleet.command("", ask(true).to_string()).await);
    assert_eq!(refused.reason, Reason::Malformed);
    assert!(refused.detail.contains("GUILD_PRESENCES"), "{refused:?}");
    super::accepted_by(&fleet.command("", ask(false).to_string()).await, 0);
    fleet.audit().await;
}

/// A shard's own subject is its holder's alone: where there is none NATS says so at once. The fleet's
/// subject says `no_session`, and counts it.
#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_nobody_holds_is_told_by_nats_or_by_the_fleet() {
    let mut fleet = Fleet::start().shards(2).await;
    let guild = fleet.guild(1).await;
    fleet.nobody_answers(99).await;
    fleet.kill_gateway(0);
    fleet.start_gateway().await;
    // The lease of the dead one has not ended.
    let gone = eventually("somebody passes commands on", LIMIT, async || {
        let client = &fleet.broker.client;
        let asked = client.request("fleet.discord.command", voice(&guild).into());
        shardfleet::wire::decode(&asked.await.ok()?.payload).ok()
    });
    assert_eq!(refused(gone.await).reason, Reason::NoSession);
    fleet.nobody_answers(1).await;
    let before = fleet.commands_counted("gateway-1", "voice", "no_session");
    assert_eq!(before.await, 1);
    let Reply::Spread(spread) = fleet.command("", presence()).await else {
        panic!("a presence to the fleet is spread");
    };
    assert_eq!((spread.accepted, spread.refused), (0, vec![0, 1]));
    let counted = fleet.commands_counted("gateway-1", "presence", "no_session");
    assert_eq!(counted.await, 2);
}

impl Fleet {
    async fn nobody_answers(&self, shard: u32) {
        let subject = format!("fleet.discord.command.{shard}");
        let asked = self.broker.client.request(subject, presence().into());
        let error = asked.await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::NoResponders, "{error}");
    }
}
