//! Commands of workers: through NATS and the shard to Discord, and the answer back.

mod refused;

use std::time::{Duration, Instant};

use futures_util::{StreamExt, future::join_all};
use serde_json::{Value, json};
use shardfleet::{
    clock,
    fleet::ShardId,
    wire::{
        self,
        command::{Accepted, Reason, Refused, Reply, Spread},
    },
};

use crate::support::fleet::{
    Fleet,
    wait::{LIMIT, eventually},
};

const INTENTS: &str = r#"["GUILDS", "GUILD_MEMBERS", "GUILD_MESSAGES", "GUILD_VOICE_STATES"]"#;

impl Fleet {
    /// A guild of a shard, as its `GUILD_CREATE` tells it.
    async fn guild(&self, shard: u32) -> String {
        let subject = format!("discord.{shard}.GUILD_CREATE");
        eventually("a guild is loaded", LIMIT, async || {
            let messages = self.messages().await;
            let message = messages.iter().find(|message| message.subject == subject)?;
            let payload: Value = serde_json::from_slice(&message.payload).unwrap();
            Some(payload["d"]["id"].as_str().unwrap().to_owned())
        })
        .await
    }

    async fn command(&self, to: &str, payload: impl Into<String>) -> Reply {
        let client = &self.broker.client;
        let subject = format!("fleet.discord.command{to}");
        let answer = client.request(subject, payload.into().into()).await;
        wire::decode(&answer.unwrap().payload).unwrap()
    }

    async fn count(&self, subject: &str) -> usize {
        let messages = self.messages().await;
        let ours = messages.iter().filter(|message| message.subject == subject);
        ours.count()
    }
}

fn presence() -> String {
    json!({ "op": 3, "d": { "since": null, "activities": [], "status": "idle", "afk": false } })
        .to_string()
}

fn voice(guild: &str) -> String {
    json!({ "op": 4, "d": {
        "guild_id": guild, "channel_id": guild, "self_mute": false, "self_deaf": true,
    } })
    .to_string()
}

fn members(guild: &str, nonce: &str) -> String {
    json!({ "op": 8, "d": { "guild_id": guild, "query": "", "limit": 0, "nonce": nonce } })
        .to_string()
}

fn some_members(guild: &str) -> String {
    json!({ "op": 8, "d": { "guild_id": guild, "query": "a", "limit": 5 } }).to_string()
}

fn refused(reply: Reply) -> Refused {
    match reply {
        Reply::Refused(refused) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

#[track_caller]
fn accepted_by(reply: &Reply, shard: u32) {
    assert!(
        matches!(reply, Reply::Accepted(Accepted { shard: by, .. }) if *by == shard),
        "{reply:?}"
    );
}

/// Every opcode goes out by the shard of its guild, and what Discord answers comes as an event.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_out_by_the_shard_that_has_its_guild() {
    let start = Fleet::start().set("discord.intents", INTENTS).gateways(2);
    let mut fleet = start.await;
    let before = clock::unix_ms();
    for shard in 0..4 {
        let guild = fleet.guild(shard).await;
        let sounds = json!({ "op": 31, "d": { "guild_ids": [guild] } }).to_string();
        let info = json!({ "op": 43, "d": { "guild_id": guild, "fields": ["status"] } });
        accepted_by(&fleet.command("", voice(&guild)).await, shard);
        accepted_by(&fleet.command("", members(&guild, "n")).await, shard);
        let own = format!(".{shard}");
        accepted_by(&fleet.command(&own, sounds).await, shard);
        let reply = fleet.command(&own, info.to_string()).await;
        let Reply::Accepted(accepted) = reply else {
            panic!("{reply:?}");
        };
        assert!((before..=clock::unix_ms()).contains(&accepted.sent_at_ms));
    }
    accepted_by(&fleet.command(".2", presence()).await, 2);
    let all = Spread {
        v: 1,
        accepted: 4,
        refused: Vec::new(),
    };
    assert_eq!(fleet.command("", presence()).await, Reply::Spread(all));
    fleet.audit().await;
    for shard in 0..4 {
        for event in [
            "VOICE_SERVER_UPDATE",
            "GUILD_MEMBERS_CHUNK",
            "SOUNDBOARD_SOUNDS",
            "CHANNEL_INFO",
        ] {
            let count = fleet.count(&format!("discord.{shard}.{event}")).await;
            assert!(count >= 1, "no {event} of shard {shard}");
        }
    }
}

/// Each refusal by its name; none of them reaches Discord.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_go_out_is_refused_with_its_reason() {
    let mut fleet = Fleet::start().set("discord.intents", INTENTS).await;
    let guild = fleet.guild(1).await;
    let long = members(&guild, &"n".repeat(4096));
    for (to, payload, reason) in [
        ("", "{".to_owned(), Reason::Malformed),
        (".1", r#"{"op":4,"d":{}}"#.to_owned(), Reason::Malformed),
        (".1", long, Reason::TooLarge),
        (
            "",
            r#"{"op":2,"d":{"token":"x"}}"#.to_owned(),
            Reason::UnknownOp,
        ),
        (".2", voice(&guild), Reason::WrongShard),
    ] {
        let refused = refused(fleet.command(to, payload).await);
        assert_eq!(
            (refused.reason, refused.retry_after_ms),
            (reason, None),
            "{refused:?}"
        );
    }
    accepted_by(&fleet.command("", members(&guild, "n")).await, 1);
    let again = refused(fleet.command("", members(&guild, "n")).await);
    assert_eq!(again.reason, Reason::Limited);
    assert!(
        (25_000..=31_000).contains(&again.retry_after_ms.unwrap()),
        "{again:?}"
    );

    for _ in 0..5 {
        accepted_by(&fleet.command(".3", presence()).await, 3);
    }
    let sixth = refused(fleet.command(".3", presence()).await);
    assert_eq!(sixth.reason, Reason::Limited);
    assert!(sixth.retry_after_ms.unwrap() <= 21_000, "{sixth:?}");
    fleet.audit().await;

    fleet.kill_gateway(0);
    let gone = refused(fleet.start_and_ask_nobody(&guild).await);
    assert_eq!(gone.reason, Reason::NoSession);
}

/// Discord may close with 4014 for it, and that would halt the fleet.
#[tokio::test(flavor = "multi_thread")]
async fn all_members_are_not_asked_for_without_their_intent() {
    let mut fleet = Fleet::start().shards(1).await;
    let guild = fleet.guild(0).await;
    let refused = refused(fleet.command("", members(&guild, "n")).await);
    assert_eq!(refused.reason, Reason::Malformed);
    assert!(refused.detail.contains("GUILD_MEMBERS"), "{refused:?}");
    accepted_by(&fleet.command("", some_members(&guild)).await, 0);
    fleet.audit().await;
}

impl Fleet {
    /// A second gateway passes the command on while nobody holds the shard: the lease of the dead one
    /// has not ended.
    async fn start_and_ask_nobody(&mut self, guild: &str) -> Reply {
        self.start_gateway().await;
        eventually("somebody passes commands on", LIMIT, async || {
            let subject = "fleet.discord.command";
            let client = &self.broker.client;
            let answer = client.request(subject, voice(guild).into()).await.ok()?;
            wire::decode(&answer.payload).ok()
        })
        .await
    }
}

/// Discord never sees a frame too many, and a voice state passes a flood of requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_does_not_delay_voice_and_never_ends_a_connection() {
    let start = Fleet::start().set("discord.intents", INTENTS);
    // Short, so that heartbeats are in danger within the test.
    let mut fleet = start.discord("--heartbeat-interval-ms=2000").await;
    let guild = fleet.guild(0).await;
    let before = fleet.discord.figures().await;
    let flood = join_all((0..400).map(|_| fleet.command(".0", some_members(&guild))));
    let urgent = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..15 {
            let asked = now();
            accepted_by(&fleet.command(".0", voice(&guild)).await, 0);
            slowest = slowest.max(asked.elapsed());
        }
        slowest
    };
    let (flood, slowest) = tokio::join!(flood, urgent);
    assert!(slowest < Duration::from_secs(1), "voice waited {slowest:?}");
    let went = flood
        .iter()
        .filter(|reply| matches!(reply, Reply::Accepted(_)));
    let went = went.count();
    assert!((1..=85).contains(&went), "{went} went out");
    for reply in flood {
        if let Reply::Refused(refused) = reply {
            assert_eq!(refused.reason, Reason::Limited);
            assert!(refused.retry_after_ms.is_some());
        }
    }
    // Heartbeats go on where commands have used up their share.
    fleet.flow(1_000).await;
    fleet.audit().await;
    let after = fleet.discord.figures().await;
    assert_eq!(after.connections, before.connections, "a connection ended");
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test measures how long it waited"
)]
fn now() -> Instant {
    Instant::now()
}

/// While connections come and go, every command that was accepted went out once, and no other did but
/// those whose fate nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_twice_after_a_reconnect() {
    let start = Fleet::start().shards(1).set("discord.intents", INTENTS);
    let mut fleet = start.await;
    let guild = fleet.guild(0).await;
    let before = fleet.discord.figures().await;
    let (mut accepted, mut unknown, mut away, mut resumes) = (0, 0, 0, 0);
    for round in 0..60 {
        if round % 12 == 5 {
            fleet.fault(json!({ "fault": "reconnect" })).await;
        }
        if round % 12 == 11 {
            resumes += 1;
            fleet.resumed_since(&before, resumes).await;
        }
        match fleet.command(".0", voice(&guild)).await {
            Reply::Accepted(_) => accepted += 1,
            Reply::Refused(refused) if refused.detail.contains("may or may not") => unknown += 1,
            Reply::Refused(refused) => {
                assert_eq!(refused.reason, Reason::NoSession, "{refused:?}");
                away += 1;
            }
            Reply::Spread(spread) => panic!("{spread:?}"),
        }
    }
    fleet.audit().await;
    let went = fleet.count("discord.0.VOICE_SERVER_UPDATE").await;
    assert!(
        (accepted..=accepted + unknown).contains(&went),
        "{went} went out; {accepted} accepted, {unknown} unknown, {away} without a session"
    );
    assert!(accepted > 10, "{accepted}");
}

/// A new owner of a shard does not know what the last one sent. Discord does, and says so; the asker
/// hears it.
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limited_comes_back_to_the_asker() {
    let mut fleet = Fleet::start().set("discord.intents", INTENTS).await;
    let guild = fleet.guild(1).await;
    accepted_by(&fleet.command("", members(&guild, "first")).await, 1);
    fleet.stop_gateway(0).await;
    fleet.restart_gateway(0);
    fleet.ready().await;

    let client = fleet.broker.client.clone();
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    let payload = members(&guild, "second").into();
    let subject = "fleet.discord.command";
    client
        .publish_with_reply(subject, inbox, payload)
        .await
        .unwrap();
    let mut replies = Vec::new();
    while replies.len() < 2 {
        let answer = tokio::time::timeout(LIMIT, answers.next()).await.unwrap();
        replies.push(wire::decode::<Reply>(&answer.unwrap().payload).unwrap());
    }
    // The first went straight to the asker's inbox, the other by way of the gateway that passed it on.
    replies.sort_by_key(|reply| matches!(reply, Reply::Refused(_)));
    accepted_by(&replies[0], ShardId(1).0);
    let limited = refused(replies.remove(1));
    assert_eq!(limited.reason, Reason::Limited);
    assert!(limited.retry_after_ms.unwrap() <= 30_000);
    let third = refused(fleet.command("", members(&guild, "third")).await);
    assert_eq!(third.reason, Reason::Limited);
    // The first owner is to be stopped for the rule to be broken at all.
    fleet.audit_but_for("members_rate").await;
}
