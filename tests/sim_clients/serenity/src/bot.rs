//! serenity, and what its handlers saw.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use serenity::all::{
    Context, Event, GatewayIntents, GuildId, HttpBuilder, Interaction, RawEventHandler,
    ShardManager, async_trait,
};

use crate::sim::Failure;

#[derive(Default)]
pub(crate) struct Seen {
    /// Name, guild, user, content.
    pub(crate) events: Vec<(String, String, String, String)>,
    pub(crate) guilds: BTreeSet<GuildId>,
    pub(crate) context: Option<Context>,
    pub(crate) interaction: Option<Interaction>,
    pub(crate) members: usize,
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

pub(crate) struct Bot {
    handler: Handler,
    pub(crate) shards: Arc<ShardManager>,
    pub(crate) running: tokio::task::JoinHandle<Result<(), serenity::Error>>,
}

impl Bot {
    pub(crate) async fn start(base: &str, token: &str) -> Result<Self, Failure> {
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

    pub(crate) fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.handler.0.lock().unwrap())
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.seen(|seen| seen.events.iter().filter(|event| event.0 == name).count())
    }

    pub(crate) fn numbers(&self) -> Vec<usize> {
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
