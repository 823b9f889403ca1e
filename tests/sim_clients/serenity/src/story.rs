//! What happens to every library: events, REST, interruptions, an outage, every dispatch there is.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use serenity::all::{
    ChannelId, ChunkGuildFilter, CreateInteractionResponse, CreateInteractionResponseMessage,
    GuildId,
};

use crate::bot::Bot;
use crate::sim::{Failure, Sim, until};

/// What serenity 0.12.5 does not know, or does not read.
const NOT_SERENITY: &[&str] = &[
    "CHANNEL_INFO",
    // It wants `burst` and `type` in it, which Discord does not document there.
    "MESSAGE_REACTION_REMOVE_EMOJI",
    "RATE_LIMITED",
    "SUBSCRIPTION_CREATE",
    "SUBSCRIPTION_DELETE",
    "SUBSCRIPTION_UPDATE",
    "VOICE_CHANNEL_EFFECT_SEND",
    "VOICE_CHANNEL_START_TIME_UPDATE",
];

pub(crate) async fn story(sim: &Sim, bot: &Bot) -> Result<(), Failure> {
    let guild = sim.get("/api/v10/users/@me/guilds").await?[0]["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let channels = sim
        .get(&format!("/api/v10/guilds/{guild}/channels"))
        .await?;
    let text = channels
        .as_array()
        .and_then(|all| all.iter().find(|one| one["type"] == 0));
    let channel = text
        .and_then(|one| one["id"].as_str())
        .unwrap_or_default()
        .to_owned();
    events(sim, bot, &guild).await?;
    calls(bot, &guild, &channel).await?;
    interruptions(sim, bot, &channel).await?;
    again(sim, bot).await?;
    every_dispatch(sim, bot).await
}

async fn events(sim: &Sim, bot: &Bot, guild: &str) -> Result<(), Failure> {
    for name in [
        "MESSAGE_CREATE",
        "MESSAGE_REACTION_ADD",
        "VOICE_STATE_UPDATE",
        "PRESENCE_UPDATE",
        "INTERACTION_CREATE",
        "TYPING_START",
        "GUILD_MEMBER_ADD",
    ] {
        let before = bot.seen(|seen| seen.events.len());
        sim.post(
            "/sim/event",
            json!({ "event": name, "guild_id": guild, "count": 5 }),
        )
        .await?;
        until(name, async || {
            bot.seen(|seen| {
                let new = seen.events[before..].iter().filter(|event| event.0 == name);
                new.filter(|event| event.1 == guild && !event.2.is_empty())
                    .count()
                    >= 5
            })
        })
        .await?;
    }
    println!(
        "  message, reaction, voice, presence, interaction, typing and member events, each with guild and user"
    );
    Ok(())
}

async fn calls(bot: &Bot, guild: &str, channel: &str) -> Result<(), Failure> {
    let context = bot.seen(|seen| seen.context.clone()).ok_or("no context")?;
    ChannelId::new(channel.parse()?)
        .say(&context, "posted over REST")
        .await?;
    until("own message", async || {
        bot.seen(|seen| {
            seen.events
                .iter()
                .any(|event| event.3 == "posted over REST")
        })
    })
    .await?;
    println!("  a posted message came back as MESSAGE_CREATE");
    let interaction = bot
        .seen(|seen| seen.interaction.clone())
        .ok_or("no interaction")?;
    let reply = CreateInteractionResponseMessage::new().content("pong");
    let command = interaction.as_command().ok_or("no command")?;
    command
        .create_response(&context, CreateInteractionResponse::Message(reply))
        .await?;
    until("reply", async || {
        bot.seen(|seen| seen.events.iter().any(|event| event.3 == "pong"))
    })
    .await?;
    println!("  an interaction was answered");
    let id = GuildId::new(guild.parse()?);
    let shard = u32::try_from((id.get() >> 22) % 2)?;
    let runners = bot.shards.runners.lock().await;
    let runner = runners
        .get(&serenity::all::ShardId(shard))
        .ok_or("no runner")?;
    runner
        .runner_tx
        .chunk_guild(id, None, false, ChunkGuildFilter::None, None);
    drop(runners);
    until("members", async || bot.seen(|seen| seen.members) > 1).await?;
    println!("  members came in chunks");
    Ok(())
}

async fn interruptions(sim: &Sim, bot: &Bot, channel: &str) -> Result<(), Failure> {
    let mut number = 0;
    for (what, fault) in [
        ("told to reconnect", json!({ "fault": "reconnect" })),
        ("socket lost", json!({ "fault": "drop" })),
        (
            "closed with 4000",
            json!({ "fault": "close", "code": 4000 }),
        ),
        (
            "invalid session, resumable",
            json!({ "fault": "invalidate", "resumable": true }),
        ),
    ] {
        let resumes = sim.state("resumes").await?;
        sim.post("/sim/fault", fault).await?;
        for _ in 0..50 {
            let body = json!({ "content": format!("n-{number}") });
            sim.post(&format!("/api/v10/channels/{channel}/messages"), body)
                .await?;
            number += 1;
        }
        until(what, async || {
            sim.state("resumes")
                .await
                .is_ok_and(|now| now >= resumes + 2)
        })
        .await?;
        until(what, async || bot.numbers().len() >= number).await?;
        // serenity runs a task for every event: what handlers see is in no order.
        let mut numbers = bot.numbers();
        numbers.sort_unstable();
        if !numbers.into_iter().eq(0..number) {
            return Err(format!("{what}: {:?}", bot.numbers()).into());
        }
        println!("  {what}: resumed, 50 messages meanwhile, none lost, none twice");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

async fn again(sim: &Sim, bot: &Bot) -> Result<(), Failure> {
    let identifies = sim.state("identifies").await?;
    sim.post(
        "/sim/fault",
        json!({ "fault": "invalidate", "resumable": false }),
    )
    .await?;
    until("identified again", async || {
        sim.state("identifies")
            .await
            .is_ok_and(|now| now == identifies + 2)
    })
    .await?;
    until("ready again", async || {
        sim.state("ready").await.is_ok_and(|ready| ready == 2)
    })
    .await?;
    let before = bot.count("MESSAGE_CREATE");
    sim.post(
        "/sim/event",
        json!({ "event": "MESSAGE_CREATE", "count": 3 }),
    )
    .await?;
    until("alive", async || bot.count("MESSAGE_CREATE") > before).await?;
    println!("  session invalidated: identified again");

    sim.post("/sim/fault", json!({ "fault": "outage", "for_ms": 1500 }))
        .await?;
    until("outage", async || bot.seen(|seen| seen.guilds.is_empty())).await?;
    until("back", async || bot.seen(|seen| seen.guilds.len()) == 6).await?;
    println!("  guild outage: gone and back");
    Ok(())
}

async fn every_dispatch(sim: &Sim, bot: &Bot) -> Result<(), Failure> {
    let record = reqwest::get(format!("{}/sim/record", sim.base))
        .await?
        .text()
        .await?;
    drop(record);
    sim.post("/sim/traffic", json!({ "events_per_second": 0 }))
        .await?;
    sim.post("/sim/event", json!({ "event": "all", "shards": [0] }))
        .await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let record = reqwest::get(format!("{}/sim/record", sim.base))
        .await?
        .text()
        .await?;
    let sent: BTreeSet<String> = record
        .lines()
        .filter_map(|line| {
            serde_json::from_str::<Value>(line).ok()?["event"]
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    let read: BTreeSet<String> =
        bot.seen(|seen| seen.events.iter().map(|event| event.0.clone()).collect());
    let unread: Vec<&String> = sent.difference(&read).collect();
    println!(
        "  {} dispatches sent, {} read; not: {unread:?}",
        sent.len(),
        read.len()
    );
    if unread != NOT_SERENITY.iter().collect::<Vec<_>>() {
        return Err("other dispatches than expected were not read".into());
    }
    let verdict = sim.get("/sim/verdict").await?;
    if verdict["ok"] != true {
        return Err(format!("{}", verdict["violations"]).into());
    }
    println!(
        "  verdict ok: {} dispatches, {} resumes, {} identifies",
        verdict["sent"], verdict["resumes"], verdict["identifies"]
    );
    Ok(())
}
