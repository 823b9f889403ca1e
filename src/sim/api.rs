//! Discord's REST as far as a library needs it to log in, look around and post: pure. A request comes in
//! as data, what goes out is an answer and the news that gateway sessions hear.
//! <https://discord.com/developers/docs/reference>

use serde_json::{Value, json};

use super::event::Event;
use super::world::{BOT_ID, Guild, World};

mod channels;
mod commands;
mod desk;
mod guilds;
mod interactions;
mod me;
mod messages;
mod reactions;

pub(super) use desk::Desk;

/// A request that carried the right token.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    /// Whose token it was.
    pub(super) bot: u64,
    pub(super) method: &'a str,
    /// What follows `/api/v10/`, in segments, percent-decoded.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
    /// Unix milliseconds.
    pub(super) now_ms: u64,
}

/// What is answered, and what the sessions hear of it.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Null: no body.
    pub(super) body: Value,
    pub(super) news: Vec<News>,
}

/// Something that happened through REST.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct News {
    pub(super) event: Event,
    /// None: it happened in direct messages, of which shard 0 hears.
    pub(super) guild: Option<u64>,
    pub(super) data: Value,
}

/// The guilds that can be asked for.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) world: World,
    /// Shard counts in use: which guilds exist follows from them.
    pub(super) counts: Vec<u32>,
}

impl Scope {
    /// The guild of an id: of itself, or of a channel, role or thread in it.
    pub(super) fn find(&self, id: u64) -> Option<Guild> {
        self.counts
            .iter()
            .find_map(|count| self.world.find(id, *count))
    }

    /// The guilds of the bot, by id.
    pub(super) fn all(&self) -> Vec<Guild> {
        let count = self.counts.last().copied().unwrap_or(1);
        let mut all: Vec<_> = (0..count)
            .flat_map(|shard| self.world.guilds(shard, count))
            .collect();
        all.sort_unstable_by_key(|guild| guild.id);
        all
    }
}

/// Answers a request.
pub(super) fn answer(desk: &mut Desk, scope: &Scope, ask: &Ask) -> Answer {
    let path: Vec<&str> = ask.path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["users", rest @ ..] => me::users(desk, scope, ask, rest),
        ["oauth2", "applications", "@me"] | ["applications", "@me"] => {
            Answer::ok(me::application(ask.bot))
        }
        ["applications", _, "guilds", guild, "commands", rest @ ..] => {
            commands::answer(desk, ask, Some(guild), rest)
        }
        ["applications", _, "commands", rest @ ..] => commands::answer(desk, ask, None, rest),
        ["applications", _, "emojis"] => Answer::ok(json!({ "items": [] })),
        ["guilds", guild, rest @ ..] => guilds::answer(scope, ask, guild, rest),
        ["channels", channel, rest @ ..] => channels::answer(desk, scope, ask, channel, rest),
        ["interactions", _, token, "callback"] => interactions::callback(desk, scope, ask, token),
        ["webhooks", _, token, rest @ ..] => interactions::webhook(desk, scope, ask, token, rest),
        ["voice", "regions"]
        | [
            "applications",
            _,
            "skus" | "entitlements" | "role-connections",
            ..,
        ] => Answer::ok(json!([])),
        ["sticker-packs"] => Answer::ok(json!({ "sticker_packs": [] })),
        _ => Answer::missing(0, "404: Not Found"),
    }
}

impl Ask<'_> {
    fn query(&self, key: &str) -> Option<&str> {
        let found = self.query.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// `limit` of the query, within what a route allows.
    fn limit(&self, usual: usize, most: usize) -> usize {
        let asked = self.query("limit").and_then(|limit| limit.parse().ok());
        asked.unwrap_or(usual).clamp(1, most)
    }
}

impl Answer {
    fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    fn empty() -> Self {
        Self::new(204, Value::Null)
    }

    fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            body,
            news: Vec::new(),
        }
    }

    /// 404 with one of Discord's codes,
    /// <https://discord.com/developers/docs/topics/opcodes-and-status-codes#json-json-error-codes>.
    fn missing(code: u32, message: &str) -> Self {
        Self::new(404, json!({ "message": message, "code": code }))
    }

    fn bad(code: u32, message: &str) -> Self {
        Self::new(400, json!({ "message": message, "code": code }))
    }

    fn not_allowed() -> Self {
        Self::new(
            405,
            json!({ "message": "405: Method Not Allowed", "code": 0 }),
        )
    }

    fn with(mut self, event: Event, guild: Option<u64>, data: Value) -> Self {
        self.news.push(News { event, guild, data });
        self
    }
}

fn bot() -> Value {
    super::sample::value(super::object::bot)
}

fn bot_id() -> String {
    BOT_ID.to_string()
}

#[cfg(test)]
mod tests;
