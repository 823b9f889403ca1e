//! A stream that somebody edited, or made by hand with other subjects: what it refuses or forgets is said while
//! the fleet runs, and nothing is lost once it is mended. Nobody's stream is changed.

use std::{collections::BTreeMap, time::Duration};

use async_nats::jetstream::stream::Config;
use shardfleet::{
    fleet::ShardId,
    subject::GAP_EVENT,
    wire::{
        self,
        event::{Gap, GapReason, parse_message_id},
    },
};

use crate::support::fleet::{
    Fleet, TOKEN,
    discord::Session,
    judge::living,
    plan::Plan,
    wait::{LIMIT, SOON, eventually},
};
use crate::support::process::{command, output};

/// Events a second in these tests.
const RATE: u32 = 200;
/// What an ERROR of a difference says.
const DIFFERS: &str = "differs from what this configuration wants";
/// … and the INFO at its end.
const MENDED: &str = "is again as this configuration wants it";
/// What the WARN says of a shard whose messages no stream takes.
const UNTAKEN: &str = "nobody has taken what shard";

/// An edit of a stream, and the word for it.
type Edit = (&'static str, fn(&mut Config));

fn one_and_one() -> Plan {
    Fleet::start().set("lease.ttl", "\"15s\"").at_exactly(RATE)
}

/// `nats stream edit`, one field after another: each is named by `check`, the log, the status and the metric;
/// each end is said; and nothing is, before or after.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_edited_while_the_fleet_runs_is_told_and_left_alone() {
    let mut fleet = one_and_one().await;
    fleet.flow(200).await;
    let edits: [Edit; 5] = [
        ("max_msgs_per_subject is 1 and should be -1", |config| {
            config.max_messages_per_subject = 1;
        }),
        ("max_msgs is 10 and should be -1", |config| {
            config.max_messages = 10;
        }),
        ("max_msg_size is 300 and should be -1", |config| {
            config.max_message_size = 300;
        }),
        ("no_ack is true and should be false", |config| {
            config.no_ack = true;
        }),
        ("stream.max_age", |config| {
            config.max_age = Duration::from_secs(150);
        }),
    ];
    for (word, edit) in edits {
        is_told_until_mended(&mut fleet, "DISCORD", word, edit).await;
    }
    let log = fleet.log("gateway-0");
    assert_eq!(lines(&log, DIFFERS).len(), 5, "{log}");
    fleet.flow(200).await;
    fleet.quiet().await;
}

/// Of the buckets the same, by every process.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_edited_while_the_fleet_runs_is_told_and_left_alone() {
    let mut fleet = one_and_one().await;
    let edits: [Edit; 2] = [
        ("max_bytes is 100000 and should be -1", |config| {
            config.max_bytes = 100_000;
        }),
        ("discard_new_per_subject is true", |config| {
            config.discard_new_per_subject = true;
        }),
    ];
    for (word, edit) in edits {
        is_told_until_mended(&mut fleet, "KV_discord_state", word, edit).await;
    }
    let size = |config: &mut Config| config.max_message_size = 4_000;
    let word = "max_msg_size is 4000 and should be -1";
    is_told_until_mended(&mut fleet, "KV_discord_lease", word, size).await;
    for process in ["gateway-0", "coordinator-0"] {
        assert_eq!(lines(&fleet.log(process), DIFFERS).len(), 3, "{process}");
    }
    fleet.flow(200).await;
    assert_eq!(fleet.audit().await.gaps, 0);
}

async fn is_told_until_mended(
    fleet: &mut Fleet,
    name: &str,
    word: &str,
    edit: impl Fn(&mut Config),
) {
    let jetstream = fleet.broker.jetstream.clone();
    let stream = jetstream.get_stream(name).await.unwrap();
    let as_made = stream.cached_info().config.clone();
    let mut edited = as_made.clone();
    edit(&mut edited);
    let (errors, infos) = (said(fleet, DIFFERS), said(fleet, MENDED));
    jetstream.update_stream(&edited).await.unwrap();
    let told = format!("{word} is told");
    eventually(&told, SOON, async || {
        (said(fleet, DIFFERS) > errors).then_some(())
    })
    .await;
    let log = fleet.log("gateway-0");
    let line = *lines(&log, DIFFERS).last().unwrap();
    for part in ["ERROR", name, word, "nats stream edit", "OPERATIONS"] {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
    fleet
        .wait_until("the status names it", LIMIT, |state| {
            state.fleet.differing.contains(name)
        })
        .await;
    assert_eq!(counted(fleet).await, 1);
    let (code, text) = check(fleet);
    assert!(code != 0 && text.contains(word), "{code}: {text}");
    let now = jetstream.get_stream(name).await.unwrap();
    assert_eq!(now.cached_info().config, edited, "it was changed silently");

    jetstream.update_stream(&as_made).await.unwrap();
    eventually("its end is told", SOON, async || {
        (said(fleet, MENDED) > infos).then_some(())
    })
    .await;
    fleet
        .wait_until("the status names nothing", LIMIT, |state| {
            state.fleet.differing.is_empty()
        })
        .await;
    assert_eq!(counted(fleet).await, 0);
}

/// Deleted, and made by hand with subjects of something else: nothing is stored, and all of it is said. With
/// the right subjects every shard goes on behind the word of the loss, and Discord noticed nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_by_hand_with_other_subjects_takes_all_once_it_is_mended() {
    let mut fleet = one_and_one().await;
    fleet.flow(200).await;
    let before = fleet.discord.figures().await;
    let right = fleet.stream().await.cached_info().config.clone();
    let mut wrong = right.clone();
    wrong.subjects = vec!["other.>".to_owned()];
    let jetstream = fleet.broker.jetstream.clone();
    jetstream.delete_stream("DISCORD").await.unwrap();
    jetstream.create_stream(wrong).await.unwrap();
    eventually("a WARN says that nobody takes it", LIMIT, async || {
        (said(&fleet, UNTAKEN) > 0).then_some(())
    })
    .await;
    let log = fleet.log("gateway-0");
    let differs = lines(&log, DIFFERS);
    assert_eq!(differs.len(), 1, "{differs:#?}");
    let word = "subjects should also have discord.> and should not have other.>";
    assert!(differs[0].contains(word), "{}", differs[0]);
    for line in lines(&log, "behind a FLEET_GAP") {
        let true_then = "as soon as the stream takes its messages";
        assert!(line.contains(true_then), "not so yet: {line}");
    }
    jetstream.update_stream(&right).await.unwrap();
    fleet.flow(200).await;
    fleet.quiet().await;
    assert_eq!(fleet.discord.figures().await.identifies, before.identifies);
    eventually("its end is told", SOON, async || {
        (said(&fleet, MENDED) == 1).then_some(())
    })
    .await;
    let gaps = nothing_lost_unsaid(&fleet, &["DISCORD"]).await;
    assert_eq!(gaps, 4);
}

/// One of two streams lacks one shard's subject: only that shard waits, and the log names it. Then all of it
/// is stored, and there is no gap.
#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_subject_was_removed_is_named_and_loses_nothing() {
    let partitions = ["DISCORD_0", "DISCORD_1"];
    let mut fleet = one_and_one().set("stream.partitions", "2").await;
    fleet.flow(200).await;
    let jetstream = fleet.broker.jetstream.clone();
    let stream = jetstream.get_stream(partitions[1]).await.unwrap();
    let right = stream.cached_info().config.clone();
    assert_eq!(right.subjects, ["discord.2.*", "discord.3.*"]);
    let mut wrong = right.clone();
    wrong.subjects = vec!["discord.2.*".to_owned()];
    jetstream.update_stream(&wrong).await.unwrap();
    eventually("a WARN names the shard", LIMIT, async || {
        (said(&fleet, UNTAKEN) > 0).then_some(())
    })
    .await;
    let log = fleet.log("gateway-0");
    for line in lines(&log, UNTAKEN) {
        assert!(line.contains("shard 3 publishes to discord.3.*"), "{line}");
    }
    let differs = lines(&log, DIFFERS);
    assert_eq!(differs.len(), 1, "{differs:#?}");
    let word = "DISCORD_1 differs";
    let lacks = "subjects should also have discord.3.*";
    assert!(differs[0].contains(word) && differs[0].contains(lacks));
    jetstream.update_stream(&right).await.unwrap();
    fleet.flow(200).await;
    fleet.discord.traffic(0).await;
    eventually("every shard's last event is stored", LIMIT, async || {
        let verdict = fleet.sim_verdict().await;
        for Session {
            id,
            last_seq,
            shard,
            ..
        } in living(&verdict)
        {
            let partition = partitions[usize::from(*shard >= 2)];
            let stream = jetstream.get_stream(partition).await.ok()?;
            let subject = fleet.broker.names.shard(ShardId(*shard));
            let last = stream.get_last_raw_message_by_subject(&subject).await;
            let message = last.ok()?;
            let stored = message.headers.get("Nats-Msg-Id")?.as_str();
            if parse_message_id(stored)? != (id.as_str(), *last_seq) {
                return None;
            }
        }
        Some(())
    })
    .await;
    assert_eq!(nothing_lost_unsaid(&fleet, &partitions).await, 0);
}

/// Streams and buckets that the fleet made itself: of every storage, of one replica and of three, with every key
/// of the stream changed. Not a word, for a minute.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_fleet_made_itself_never_differs() {
    let plans = [
        one_and_one().set("stream.storage", "\"memory\""),
        one_and_one().set("stream.partitions", "3").nodes(3),
        one_and_one()
            .set("stream.max_age", "\"5m\"")
            .set("stream.max_bytes", "\"64MiB\"")
            .set("stream.duplicate_window", "\"30s\""),
    ];
    for plan in plans {
        let mut fleet = plan.await;
        fleet.flow_for(8).await;
        for process in ["gateway-0", "coordinator-0"] {
            let log = fleet.log(process);
            assert_eq!(lines(&log, DIFFERS), [""; 0], "{process}");
        }
        assert_eq!(counted(&fleet).await, 0);
        let (code, text) = check(&fleet);
        assert_eq!(code, 0, "{text}");
    }
}

/// Of every session all that the streams hold, in order: each event stands behind the one before it, or behind
/// a gap. Returns how many gaps there are.
async fn nothing_lost_unsaid(fleet: &Fleet, streams: &[&str]) -> usize {
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut gaps = 0;
    for stream in streams {
        for message in fleet.messages_of(stream).await {
            let id = message.header("Nats-Msg-Id").unwrap();
            let (session, seq) = parse_message_id(id).unwrap();
            if message.event() == GAP_EVENT {
                let gap: Gap = wire::decode(&message.payload).unwrap();
                assert_eq!(gap.reason, GapReason::StreamLost);
                seen.insert(session.to_owned(), seq);
                gaps += 1;
                continue;
            }
            let before = seen.insert(session.to_owned(), seq);
            assert_eq!(
                before.unwrap_or(0),
                seq - 1,
                "{id} stands behind {before:?}"
            );
        }
    }
    for Session { id, last_seq, .. } in living(&fleet.sim_verdict().await) {
        assert_eq!(seen.get(id), Some(last_seq), "the last events of {id}");
    }
    gaps
}

/// `shardfleet check` with the fleet's own configuration.
fn check(fleet: &Fleet) -> (i32, String) {
    let mut check = command(&tempfile::tempdir().unwrap());
    output(
        check
            .current_dir(fleet.folder.path())
            .env("NATS_URL", fleet.nats.url())
            .env("SHARDFLEET_DISCORD__API", fleet.discord.api(None))
            .env("DISCORD_TOKEN", TOKEN)
            .arg("check"),
    )
}

/// How often the gateway has said so.
fn said(fleet: &Fleet, word: &str) -> usize {
    lines(&fleet.log("gateway-0"), word).len()
}

fn lines<'a>(log: &'a str, word: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(word)).collect()
}

/// How many kinds differ, by the gateway's metric.
async fn counted(fleet: &Fleet) -> usize {
    let lines = fleet.metric("gateway-0", "shardfleet_nats_differs").await;
    assert_eq!(lines.len(), 3, "{lines:#?}");
    lines.iter().filter(|line| line.ends_with(" 1")).count()
}
