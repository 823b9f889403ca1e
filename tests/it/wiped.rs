//! NATS comes back otherwise than it went: without its store, without its stream, without a bucket, with an
//! old copy of one. Living shards go on from what they hold in memory, and not one IDENTIFY is spent.

use std::{collections::BTreeMap, time::Duration};

use shardfleet::{
    clock,
    subject::{GAP_EVENT, LEDGER, TOPOLOGY},
    wire::{
        self,
        event::{Gap, GapReason, parse_message_id},
    },
};

use super::operator::run;
use crate::support::{
    fleet::{
        Fleet,
        discord::{Figures, Session, Verdict},
        judge::{Stored, living},
        plan::Plan,
        wait::{LIMIT, SOON, eventually},
    },
    until,
};

/// Every shard's gaps.
const GAPS: &str = "discord.*.FLEET_GAP";
/// Events a second in these tests.
const RATE: u32 = 400;

/// Two gateways and two coordinators with the lease time that an operator has.
fn two_and_two() -> Plan {
    let start = Fleet::start().gateways(2).coordinators(2);
    start.set("lease.ttl", "\"15s\"").at_exactly(RATE)
}

/// Every shard has said that the stream was lost, in the one that is there now.
async fn gaps_said(fleet: &Fleet) {
    gaps_said_within(fleet, SOON).await;
}

async fn gaps_said_within(fleet: &Fleet, limit: Duration) {
    let shards = fleet.plan.shards as usize;
    let what = "each shard says that the stream was lost";
    eventually(what, limit, async || {
        let said = fleet.subjects_of("DISCORD", GAPS).await?;
        (said.len() == shards).then_some(())
    })
    .await;
}

/// Not one IDENTIFY, and no connection to Discord, was made since.
async fn untouched_since(fleet: &Fleet, before: &Figures) {
    let now = fleet.discord.figures().await;
    assert_eq!(now.identifies, before.identifies, "an IDENTIFY was spent");
    assert_eq!(now.connections, before.connections, "a shard left Discord");
}

/// Everything that Discord sends comes to its end, and [`audit_behind_gaps`].
async fn complete_behind_gaps(fleet: &mut Fleet) {
    fleet.quiet().await;
    audit_behind_gaps(&fleet.messages().await, &fleet.sim_verdict().await);
}

/// What the stream holds is all that Discord sent since each shard's gap, once, in order; the gap says what
/// had been stored before.
fn audit_behind_gaps(messages: &[Stored], verdict: &Verdict) {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for message in messages {
        let id = message.header("Nats-Msg-Id").unwrap();
        let (session, seq) = parse_message_id(id).unwrap();
        if message.event() == GAP_EVENT {
            let gap: Gap = wire::decode(&message.payload).unwrap();
            assert_eq!(gap.reason, GapReason::StreamLost);
            assert_eq!((gap.session.as_str(), gap.last_seq), (session, seq));
            assert!(
                seen.insert(session.to_owned(), seq).is_none(),
                "a second gap: {id}"
            );
            continue;
        }
        let before = seen.insert(session.to_owned(), seq);
        assert_eq!(before, Some(seq - 1), "{id} stands behind {before:?}");
    }
    for Session { id, last_seq, .. } in living(verdict) {
        assert_eq!(seen.get(id), Some(last_seq), "the last events of {id}");
    }
}

/// The log of every process names what was lost in one ERROR line each, not more.
fn said_once(fleet: &Fleet, names: &[&str], stream: &str) {
    for name in names {
        let log = fleet.log(name);
        let told = format!("stream {stream} ");
        let lines: Vec<_> = log
            .lines()
            .filter(|line| line.contains("ERROR") && line.contains(&told))
            .collect();
        assert_eq!(lines.len(), 1, "{name} says of {stream}: {lines:#?}");
        assert!(lines[0].contains("OPERATIONS"), "no way out: {}", lines[0]);
    }
}

/// A gateway's metric says one of the kind `stream`.
async fn stream_counts_one(fleet: &Fleet, metric: &str) {
    let one = |line: &String| line.contains("stream") && line.ends_with(" 1");
    // Each process looks for itself: another one may have noticed first.
    until(&format!("{metric} is 1 for the stream"), async || {
        let lines = fleet.metric("gateway-0", metric).await;
        lines.iter().any(one).then_some(())
    })
    .await;
}

const ALL: [&str; 4] = ["gateway-0", "gateway-1", "coordinator-0", "coordinator-1"];
const GATEWAYS: [&str; 2] = ["gateway-0", "gateway-1"];

/// Memory streams, a lost volume: stream, leases, ledger, topology and sessions are gone at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_its_store_is_filled_again_and_no_session_ends() {
    let mut fleet = two_and_two().await;
    fleet.shards_of(0, 2).await;
    fleet.flow(500).await;
    let before = fleet.discord.figures().await;
    let topology = fleet.state().await.fleet.topology;
    fleet.nats.wipe();
    fleet.nats.restart().await;
    let back = clock::now();
    gaps_said(&fleet).await;
    let took = clock::now() - back;
    assert!(took < Duration::from_secs(10), "{took:?}");
    fleet.flow(500).await;
    fleet.ready().await;
    fleet.shards_of(0, 2).await;
    fleet.leader().await;
    assert_eq!(fleet.state().await.fleet.topology, topology);
    complete_behind_gaps(&mut fleet).await;
    untouched_since(&fleet, &before).await;
    said_once(&fleet, &ALL, "KV_discord_lease");
    said_once(&fleet, &ALL, "KV_discord_state");
    said_once(&fleet, &GATEWAYS, "DISCORD");
}

/// The same of three nodes at once: a data centre that comes back with empty disks.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_lost_its_stores_is_filled_again_and_no_session_ends() {
    let mut fleet = two_and_two().nodes(3).set("lease.ttl", "\"60s\"").await;
    fleet.shards_of(0, 2).await;
    fleet.flow(500).await;
    let before = fleet.discord.figures().await;
    fleet.nats.wipe();
    for node in 0..3 {
        fleet.nats.node(node).restart().await;
    }
    gaps_said_within(&fleet, LIMIT).await;
    fleet.flow(500).await;
    complete_behind_gaps(&mut fleet).await;
    untouched_since(&fleet, &before).await;
    said_once(&fleet, &GATEWAYS, "DISCORD");
}

/// A stream that somebody made by hand may be purged: it takes what comes as if nothing had been. Every shard
/// says it all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_purged_stream_is_told() {
    let mut fleet = two_and_two().await;
    fleet.flow(300).await;
    let mut config = fleet.stream().await.cached_info().config.clone();
    delete(&fleet, "DISCORD").await;
    config.deny_purge = false;
    fleet.broker.jetstream.create_stream(config).await.unwrap();
    gaps_said(&fleet).await;
    fleet.flow(1_000).await;
    // Long enough that each process has seen the stream as it is now.
    fleet.flow_for(3).await;
    let before = fleet.discord.figures().await;
    fleet.stream().await.purge().await.unwrap();
    gaps_said(&fleet).await;
    fleet.flow(300).await;
    fleet.quiet().await;
    untouched_since(&fleet, &before).await;
    for message in fleet.messages().await {
        if message.event() == GAP_EVENT {
            let gap: Gap = wire::decode(&message.payload).unwrap();
            assert_eq!(gap.reason, GapReason::StreamLost);
        }
    }
}

/// What was written again serves: the survivor resumes every shard of a gateway that is killed afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_loss_of_everything_a_takeover_is_as_before() {
    let mut fleet = two_and_two().await;
    fleet.shards_of(0, 2).await;
    fleet.flow(300).await;
    fleet.nats.wipe();
    fleet.nats.restart().await;
    gaps_said(&fleet).await;
    fleet.flow(300).await;
    let before = fleet.discord.figures().await;
    fleet.kill_gateway(0);
    fleet.resumed_since(&before, 2).await;
    fleet.flow(300).await;
    complete_behind_gaps(&mut fleet).await;
}

/// Killed behind the word that the stream was lost, before anything follows it: the session lives on.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_behind_the_word_of_a_lost_stream_resumes() {
    let mut fleet = Fleet::start().at_exactly(RATE).await;
    fleet.flow(300).await;
    fleet.quiet().await;
    delete(&fleet, "DISCORD").await;
    // Nothing comes from Discord: a quiet shard says it too.
    gaps_said(&fleet).await;
    let before = fleet.discord.figures().await;
    fleet.kill_gateway(0);
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 4).await;
    fleet.discord.traffic(RATE).await;
    fleet.flow(300).await;
    complete_behind_gaps(&mut fleet).await;
}

/// Away for longer than the leases last, and then without its store: each gateway takes what it had again, and
/// resumes from what it remembers.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_empty_after_the_leases_have_ended_costs_no_identify() {
    let start = Fleet::start().gateways(2).coordinators(2);
    let mut fleet = start
        .discord("--replay-buffer=20000")
        .at_exactly(RATE)
        .await;
    let shards = [fleet.shards_of(0, 2).await, fleet.shards_of(1, 2).await];
    fleet.flow(500).await;
    let before = fleet.discord.figures().await;
    fleet.nats.wipe();
    fleet
        .discord_sees("the shards were left", |figures| figures.connected == 0)
        .await;
    fleet.flow(300).await;
    fleet.nats.restart().await;
    fleet.resumed_since(&before, 4).await;
    gaps_said(&fleet).await;
    assert_eq!(
        [fleet.shards_of(0, 2).await, fleet.shards_of(1, 2).await],
        shards
    );
    fleet.flow(300).await;
    complete_behind_gaps(&mut fleet).await;
}

/// Nobody was there to see it: whoever starts finds a key that is older than the stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_lost_while_no_gateway_ran_is_told_by_the_next_one() {
    let mut fleet = Fleet::start().at_exactly(RATE).await;
    fleet.flow(300).await;
    let before = fleet.discord.figures().await;
    assert_eq!(fleet.stop_gateway(0).await, Some(0));
    delete(&fleet, "DISCORD").await;
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 4).await;
    gaps_said(&fleet).await;
    fleet.flow(300).await;
    complete_behind_gaps(&mut fleet).await;
}

/// Another process made the stream anew, and whoever had the shards wrote their keys again; then it had to go,
/// before it could say that they were lost. Its successor says so, though the keys are newer than the stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_written_again_hides_no_loss() {
    let mut fleet = Fleet::start().at_exactly(RATE).await;
    fleet.flow(300).await;
    let before = fleet.discord.figures().await;
    assert_eq!(fleet.stop_gateway(0).await, Some(0));
    let config = fleet.stream().await.cached_info().config.clone();
    delete(&fleet, "DISCORD").await;
    fleet.broker.jetstream.create_stream(config).await.unwrap();
    let written = fleet.write_again("discord_state", "session.").await;
    assert_eq!(written, 4);
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 4).await;
    gaps_said(&fleet).await;
    fleet.flow(300).await;
    complete_behind_gaps(&mut fleet).await;
}

/// `nats kv purge`, or somebody who empties the bucket's stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_purged_state_bucket_is_written_again() {
    let mut fleet = two_and_two().await;
    fleet.shards_of(0, 2).await;
    fleet.flow(300).await;
    let before = fleet.discord.figures().await;
    let keys = fleet.keys_of("discord_state").await.unwrap();
    let stream = fleet
        .broker
        .jetstream
        .get_stream("KV_discord_state")
        .await
        .unwrap();
    stream.purge().await.unwrap();
    eventually("the state is written again", SOON, async || {
        let now = fleet.keys_of("discord_state").await?;
        let kept =
            |key: &&String| key.starts_with("session.") || *key == TOPOLOGY || *key == LEDGER;
        keys.iter()
            .filter(kept)
            .all(|key| now.contains(key))
            .then_some(())
    })
    .await;
    untouched_since(&fleet, &before).await;
    fleet.flow(300).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

/// The stream alone is restored from an old copy while no gateway runs: its end counts, not what a session's key
/// says was stored. Discord replays what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_older_than_its_keys_is_filled_up_by_a_replay() {
    let start = Fleet::start().discord("--replay-buffer=20000");
    let mut fleet = start.at_exactly(RATE).await;
    fleet.flow(300).await;
    let copy = fleet.copy_of("DISCORD").await;
    fleet.flow(500).await;
    assert_eq!(fleet.stop_gateway(0).await, Some(0));
    let before = fleet.discord.figures().await;
    fleet.restore("DISCORD", &copy).await;
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 4).await;
    fleet.flow(300).await;
    assert_eq!(fleet.audit().await.gaps, 0);
    let log = fleet.log("gateway-0");
    assert!(log.contains("had acknowledged"), "{log}");
}

/// `nats stream rm DISCORD`, under load.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_stream_is_made_anew_behind_gaps() {
    let mut fleet = two_and_two().await;
    fleet.shards_of(0, 2).await;
    fleet.flow(500).await;
    let before = fleet.discord.figures().await;
    delete(&fleet, "DISCORD").await;
    gaps_said(&fleet).await;
    fleet.flow(500).await;
    complete_behind_gaps(&mut fleet).await;
    untouched_since(&fleet, &before).await;
    said_once(&fleet, &GATEWAYS, "DISCORD");
    stream_counts_one(&fleet, "shardfleet_nats_lost_total").await;
}

/// Everybody holds on to what it holds: nothing stops, nothing moves.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_lease_bucket_moves_nothing() {
    let mut fleet = two_and_two().gateways(3).shards(12).await;
    let shards = shards_by_gateway(&mut fleet, 4).await;
    let before = fleet.discord.figures().await;
    delete(&fleet, "KV_discord_lease").await;
    eventually("every lease is taken again", SOON, async || {
        let leases = fleet.keys_of("discord_lease").await?;
        (leases.len() == 7).then_some(())
    })
    .await;
    // Longer than a lease lasts.
    fleet.flow_for(20).await;
    assert_eq!(shards_by_gateway(&mut fleet, 4).await, shards);
    untouched_since(&fleet, &before).await;
    assert_eq!(fleet.audit().await.gaps, 0);
    said_once(&fleet, &ALL, "KV_discord_lease");
}

/// The ledger starts from Discord's answer; topology and sessions are written again.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_state_bucket_is_written_again() {
    let mut fleet = two_and_two().await;
    fleet.shards_of(0, 2).await;
    fleet.flow(500).await;
    let before = fleet.discord.figures().await;
    let keys = fleet.keys_of("discord_state").await.unwrap();
    let sessions = |keys: &[String]| {
        keys.iter()
            .filter(|key| key.starts_with("session."))
            .count()
    };
    assert_eq!(sessions(&keys), 4);
    let topology = fleet.state().await.fleet.topology;
    delete(&fleet, "KV_discord_state").await;
    eventually("the state is written again", SOON, async || {
        let keys = fleet.keys_of("discord_state").await?;
        let all = [TOPOLOGY, LEDGER]
            .iter()
            .all(|key| keys.iter().any(|known| known == key));
        (all && sessions(&keys) == 4).then_some(())
    })
    .await;
    assert_eq!(fleet.state().await.fleet.topology, topology);
    untouched_since(&fleet, &before).await;
    fleet.kill_gateway(0);
    fleet.resumed_since(&before, 2).await;
    fleet.flow(300).await;
    assert_eq!(fleet.audit().await.gaps, 0);
    said_once(
        &fleet,
        &["gateway-1", "coordinator-0", "coordinator-1"],
        "KV_discord_state",
    );
}

/// An old copy of the state: an older topology, ledger and sessions. What living processes know stands.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_state_gives_way_to_what_living_processes_know() {
    let mut fleet = two_and_two().await;
    fleet.shards_of(0, 2).await;
    let copy = fleet.copy_of("KV_discord_state").await;
    fleet.flow(500).await;
    let (code, text) = run(&fleet, &["set", "deny", "TYPING_START"]);
    assert_eq!(code, 0, "{text}");
    let topology = fleet.state().await.fleet.topology;
    let before = fleet.discord.figures().await;
    fleet.restore("KV_discord_state", &copy).await;
    eventually("the topology is the fleet's again", SOON, async || {
        (fleet.state().await.fleet.topology == topology).then_some(())
    })
    .await;
    fleet.flow(300).await;
    untouched_since(&fleet, &before).await;
    fleet.kill_gateway(0);
    fleet.resumed_since(&before, 2).await;
}

/// Nothing is made where an operator forbade it: it is said, and shown, until somebody makes it.
#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_may_be_made_it_is_said_until_somebody_makes_it() {
    let mut fleet = two_and_two().await;
    fleet.flow(300).await;
    let config = fleet.stream().await.cached_info().config.clone();
    fleet.forbid_creating().await;
    let before = fleet.discord.figures().await;
    delete(&fleet, "DISCORD").await;
    fleet
        .wait_until("the status says what is missing", LIMIT, |state| {
            state.fleet.missing.contains("DISCORD")
        })
        .await;
    assert!(fleet.broker.jetstream.get_stream("DISCORD").await.is_err());
    stream_counts_one(&fleet, "shardfleet_nats_missing").await;
    let told = fleet.log("gateway-0");
    assert!(told.contains("stream.create is false"), "{told}");
    fleet.broker.jetstream.create_stream(config).await.unwrap();
    gaps_said(&fleet).await;
    fleet.flow(300).await;
    complete_behind_gaps(&mut fleet).await;
    untouched_since(&fleet, &before).await;
}

async fn delete(fleet: &Fleet, stream: &str) {
    fleet.broker.jetstream.delete_stream(stream).await.unwrap();
}

async fn shards_by_gateway(fleet: &mut Fleet, each: usize) -> Vec<Vec<u32>> {
    let mut shards = Vec::new();
    for gateway in 0..3 {
        shards.push(fleet.shards_of(gateway, each).await);
    }
    shards
}
