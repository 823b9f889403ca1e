//! serenity, two shards, its default transport (payload compression), through the same story as the
//! other libraries; and which of the 79 dispatches its models read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serenity::all::{
    ChannelId, ChunkGuildFilter, Context, CreateInteractionResponse,
    CreateInteractionResponseMessage, Event, GatewayIntents, GuildId, HttpBuilder, Interaction,
    RawEventHandler, ShardManager, async_trait,
};

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

/// Fatal close codes at which serenity 0.12.5 stops; it connects again, or hangs, after 4010, 4011 and 4012.
const GIVES_UP: &[u16] = &[4004, 4013, 4014];

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Default)]
struct Seen {
    /// Name, guild, user, content.
    events: Vec<(String, String, String, String)>,
    guilds: BTreeSet<GuildId>,
    context: Option<Context>,
    interaction: Option<Interaction>,
    members: usize,
}

#[derive(Clone, Default)]
struct Handler(Arc<Mutex<Seen>>);

#[async_trait]
impl RawEventHandler for Handler {
    async fn raw_event(&self, context: Context, event: Event) {
        let mut seen = self.0.lock().unwrap();
        let known = !matches!(event, Event::Unknown(_));
        let name = event.name().unwrap_or_default();
        // As the gateway said it, through serenity's own models.
        let data = serde_json::to_value(&event).unwrap_or_default();
        let data = if data["d"].is_object() {
            &data["d"]
        } else {
            &data
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let user = [
            &data["user_id"],
            &data["author"]["id"],
            &data["user"]["id"],
            &data["member"]["user"]["id"],
        ];
        let user = user
            .into_iter()
            .map(text)
            .find(|id| !id.is_empty())
            .unwrap_or_default();
        if known {
            seen.events
                .push((name, text(&data["guild_id"]), user, text(&data["content"])));
        }
        match event {
            Event::GuildCreate(event) => drop(seen.guilds.insert(event.guild.id)),
            Event::GuildDelete(event) => drop(seen.guilds.remove(&event.guild.id)),
            Event::InteractionCreate(event) => seen.interaction = Some(event.interaction),
            Event::GuildMembersChunk(event) => seen.members += event.members.len(),
            _ => {}
        }
        seen.context = Some(context);
    }
}

struct Bot {
    handler: Handler,
    shards: Arc<ShardManager>,
    running: tokio::task::JoinHandle<Result<(), serenity::Error>>,
}

impl Bot {
    async fn start(base: &str, token: &str) -> Result<Self, Failure> {
        let http = HttpBuilder::new(token)
            .proxy(base)
            .ratelimiter_disabled(true)
            .build();
        let handler = Handler::default();
        let mut client =
            serenity::client::ClientBuilder::new_with_http(http, GatewayIntents::all())
                .raw_event_handler(handler.clone())
                .await?;
        let shards = Arc::clone(&client.shard_manager);
        let running = tokio::spawn(async move { client.start_shards(2).await });
        Ok(Self {
            handler,
            shards,
            running,
        })
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.handler.0.lock().unwrap())
    }

    fn count(&self, name: &str) -> usize {
        self.seen(|seen| seen.events.iter().filter(|event| event.0 == name).count())
    }

    fn numbers(&self) -> Vec<usize> {
        self.seen(|seen| {
            let mine = seen
                .events
                .iter()
                .filter(|event| event.0 == "MESSAGE_CREATE");
            mine.filter_map(|event| event.3.strip_prefix("n-")?.parse().ok())
                .collect()
        })
    }
}

struct Sim {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Sim {
    async fn get(&self, path: &str) -> Result<Value, Failure> {
        let request = self.http.get(format!("{}{path}", self.base));
        let answer = request
            .header("authorization", format!("Bot {}", self.token))
            .send()
            .await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        let request = self.http.post(format!("{}{path}", self.base)).json(&body);
        let answer = request
            .header("authorization", format!("Bot {}", self.token))
            .send()
            .await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn state(&self, key: &str) -> Result<u64, Failure> {
        Ok(self.get("/sim/state").await?[key].as_u64().unwrap_or(0))
    }
}

async fn until(what: &str, mut wanted: impl AsyncFnMut() -> bool) -> Result<(), Failure> {
    let start = Instant::now();
    while !wanted().await {
        if start.elapsed() > Duration::from_secs(60) {
            return Err(format!("never: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let token = std::env::var("SIM_TOKEN")?;
    let sim = |name: &str| -> Result<Sim, Failure> {
        let http = reqwest::Client::new();
        Ok(Sim {
            http,
            base: std::env::var(name)?,
            token: token.clone(),
        })
    };
    let (strict, lenient) = (sim("SIM_URL")?, sim("SIM_REFUSALS_URL")?);
    let bot = Bot::start(&strict.base, &token).await?;
    until("all guilds", async || {
        bot.seen(|seen| seen.guilds.len()) == 6
    })
    .await?;
    println!("  logged in, 2 shards ready, 6 guilds");
    story(&strict, &bot).await?;
    bot.shards.shutdown_all().await;
    refusals(&lenient, &token).await
}

async fn story(sim: &Sim, bot: &Bot) -> Result<(), Failure> {
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

async fn refusals(sim: &Sim, token: &str) -> Result<(), Failure> {
    for code in [4004, 4010, 4011, 4012, 4013, 4014] {
        let bot = Bot::start(&sim.base, token).await?;
        until("all guilds", async || {
            bot.seen(|seen| seen.guilds.len()) == 6
        })
        .await?;
        let before = sim.state("connections").await?;
        sim.post("/sim/fault", json!({ "fault": "close", "code": code }))
            .await?;
        let ended = tokio::time::timeout(Duration::from_secs(15), bot.running).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        let after = sim.state("connections").await?;
        let gave_up = ended.is_ok() && after == before;
        if gave_up != GIVES_UP.contains(&code) {
            let new = after - before;
            return Err(format!("{code}: ended {}, {new} new connections", ended.is_ok()).into());
        }
        bot.shards.shutdown_all().await;
    }
    println!("  fatal close codes {GIVES_UP:?}: gave up; not at the others, see docs/SIMULATOR.md");
    Ok(())
}
