//! `POST /sim/event`: makes an event happen now. What it looks like is made up, or told word for word.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer;
use super::event::Event;
use super::fault::Shards;
use super::hub::Hub;
use super::session::Session;

/// What is to happen.
#[derive(Debug, PartialEq)]
pub(super) struct Wish {
    events: Vec<Event>,
    shards: Shards,
    guild: Option<u64>,
    data: Option<String>,
    count: u32,
}

/// Times that one request may ask for.
const MOST: u32 = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    event: String,
    #[serde(default)]
    guild_id: Option<String>,
    #[serde(default)]
    data: Option<Value>,
    #[serde(default)]
    direct: bool,
    #[serde(default = "once")]
    count: u32,
}

/// Reads the body; the error is for its sender.
pub(super) fn parse(body: &[u8]) -> Result<Wish, String> {
    let mut fields: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| format!("the body is no JSON object: {error}"))?;
    let shards = Shards::read(fields.remove("shards"))?;
    let body: Body =
        serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    let guild = match body.guild_id.as_deref().map(str::parse) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Err("guild_id: an id".to_owned()),
    };
    let events = match body.event.as_str() {
        "all" => Event::ALL
            .iter()
            .copied()
            .filter(|event| !matches!(event, Event::Ready | Event::Resumed))
            .collect(),
        name => {
            let event = Event::named(name)
                .ok_or_else(|| format!("event: `{name}` is none of Discord's, nor \"all\""))?;
            let direct = event.direct().filter(|_| body.direct);
            vec![direct.unwrap_or(event)]
        }
    };
    if body.count > MOST {
        return Err(format!("count: at most {MOST}"));
    }
    Ok(Wish {
        events,
        shards,
        guild,
        data: body.data.map(|data| data.to_string()),
        count: body.count,
    })
}

impl Hub {
    /// Makes it happen in every session that may hear of it; how many dispatches that were.
    pub(super) fn emit(&self, wish: &Wish) -> u64 {
        let mut sent = 0;
        self.each(&wish.shards, |session| {
            let mine = |id: &u64| session.identity.guilds.iter().any(|guild| guild.id == *id);
            if wish.guild.as_ref().is_some_and(|id| !mine(id)) {
                return false;
            }
            session.asked.focus(wish.guild);
            for _ in 0..wish.count {
                for event in &wish.events {
                    sent += u64::from(self.emit_to(session, *event, wish));
                }
            }
            session.asked.focus(None);
            true
        });
        sent
    }

    fn emit_to(&self, session: &mut Session, event: Event, wish: &Wish) -> bool {
        let identity = &session.identity;
        let hears = event.allowed(identity.intents)
            && if event.private() {
                identity.shard == 0
            } else {
                !identity.guilds.is_empty()
            };
        if !hears {
            return false;
        }
        let whole = match event {
            Event::GuildCreate => identity
                .guilds
                .iter()
                .find(|guild| wish.guild.is_none_or(|id| guild.id == id))
                .copied(),
            _ => None,
        };
        let mut scratch = String::new();
        self.dispatch(session, event, &mut scratch, |session, out| {
            match (&wish.data, whole) {
                (Some(data), _) => out.push_str(data),
                (None, Some(guild)) => answer::guild_create(session, &guild, out),
                (None, None) => session.asked.write(event, out),
            }
        });
        true
    }
}

fn once() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read() {
        let wish = parse(br#"{"event":"MESSAGE_CREATE","direct":true,"shards":[0]}"#).unwrap();
        assert_eq!(wish.events, [Event::DirectMessageCreate]);
        assert_eq!((wish.shards, wish.count), (Shards::These(vec![0]), 1));
        assert!(parse(br#"{"event":"all"}"#).unwrap().events.len() > 77);
        for wrong in [
            r#"{"event":"MESSAGE"}"#,
            r#"{"event":"all","guild_id":"x"}"#,
            r#"{"event":"all","times":2}"#,
            r#"{"event":"all","count":100001}"#,
        ] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
