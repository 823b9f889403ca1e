//! Requests as libraries make them.

use serde_json::{Value, json};

use super::super::event::Event;
use super::super::world::{World, interaction_token};
use super::*;

struct Bench {
    desk: Desk,
    scope: Scope,
    guild: Guild,
}

impl Bench {
    fn new() -> Self {
        let world = World {
            seed: 1,
            guilds_per_shard: 3,
        };
        Self {
            desk: Desk::default(),
            scope: Scope {
                world,
                counts: vec![4],
            },
            guild: world.guilds(2, 4)[1],
        }
    }

    fn ask(&mut self, method: &str, path: &str, body: Value) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let ask = Ask {
            bot: BOT_ID,
            method,
            path: path.split('/').map(str::to_owned).collect(),
            query: pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            body,
            now_ms: 1_800_000_000_000,
        };
        answer(&mut self.desk, &self.scope, &ask)
    }

    fn get(&mut self, path: &str) -> Value {
        let answer = self.ask("GET", path, Value::Null);
        assert_eq!((answer.status, &answer.news[..]), (200, &[][..]), "{path}");
        answer.body
    }

    fn channel(&self) -> String {
        format!("channels/{}", self.guild.text_channel(0))
    }
}

#[test]
fn a_bot_looks_around() {
    let mut bench = Bench::new();
    assert_eq!(bench.get("users/@me")["bot"], true);
    assert_eq!(
        bench.get("oauth2/applications/@me"),
        bench.get("applications/@me")
    );
    let all = bench.get("users/@me/guilds");
    assert_eq!(all.as_array().unwrap().len(), 12);
    let second = all[1]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        bench.get(&format!("users/@me/guilds?limit=1&after={second}"))[0],
        all[2]
    );
    let guild = format!("guilds/{}", bench.guild.id);
    assert_eq!(bench.get(&guild)["id"], bench.guild.id.to_string());
    let channels = bench.get(&format!("{guild}/channels"));
    let first = channels[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(bench.get(&format!("channels/{first}")), channels[0]);
    assert!(
        !bench
            .get(&format!("{guild}/members?limit=5"))
            .as_array()
            .unwrap()
            .is_empty()
    );
    let roles = bench.get(&format!("{guild}/roles"));
    assert_eq!(roles[0]["id"], bench.guild.id.to_string());
    for (path, code) in [("guilds/5", 10004), ("channels/5", 10003), ("what", 0)] {
        let answer = bench.ask("GET", path, Value::Null);
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (404, &code.into()),
            "{path}"
        );
    }
}

#[test]
fn a_message_lives_and_everyone_hears_of_it() {
    let mut bench = Bench::new();
    let channel = bench.channel();
    let guild = Some(bench.guild.id);
    let posted = bench.ask(
        "POST",
        &format!("{channel}/messages"),
        json!({ "content": "hi", "nonce": "7" }),
    );
    assert_eq!(
        (posted.news[0].event, posted.news[0].guild),
        (Event::MessageCreate, guild)
    );
    assert_eq!(posted.news[0].data["guild_id"], bench.guild.id.to_string());
    assert_eq!(posted.body["nonce"], "7");
    let one = format!("{channel}/messages/{}", posted.body["id"].as_str().unwrap());
    let edited = bench.ask("PATCH", &one, json!({ "content": "ho" }));
    assert_eq!(edited.news[0].event, Event::MessageUpdate);
    assert_eq!(bench.get(&one)["content"], "ho");
    let liked = bench.ask("PUT", &format!("{one}/reactions/🎉/@me"), Value::Null);
    assert_eq!(
        (liked.status, liked.news[0].event),
        (204, Event::ReactionAdd)
    );
    assert_eq!(bench.get(&one)["reactions"][0]["me"], true);
    let pinned = bench.ask(
        "PUT",
        &format!("{channel}/pins/{}", posted.body["id"].as_str().unwrap()),
        Value::Null,
    );
    assert_eq!(pinned.news.len(), 2);
    assert_eq!(
        bench
            .get(&format!("{channel}/pins"))
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let gone = bench.ask("DELETE", &one, Value::Null);
    assert_eq!(
        (gone.status, gone.news[0].event),
        (204, Event::MessageDelete)
    );
    assert_eq!(bench.ask("GET", &one, Value::Null).body["code"], 10008);
    for (body, code) in [
        (json!({}), 50006),
        (json!({ "content": "x".repeat(2001) }), 50035),
    ] {
        let answer = bench.ask("POST", &format!("{channel}/messages"), body);
        assert_eq!((answer.status, &answer.body["code"]), (400, &code.into()));
    }
}

#[test]
fn a_direct_message_belongs_to_no_guild() {
    let mut bench = Bench::new();
    let opened = bench.ask(
        "POST",
        "users/@me/channels",
        json!({ "recipient_id": 600_000_000_000_009_999_u64 }),
    );
    let path = format!("channels/{}/messages", opened.body["id"].as_str().unwrap());
    let posted = bench.ask("POST", &path, json!({ "content": "psst" }));
    let news = &posted.news[0];
    assert_eq!((news.event, news.guild), (Event::DirectMessageCreate, None));
    assert!(news.data["guild_id"].is_null());
}

#[test]
fn commands_are_kept_by_place() {
    let mut bench = Bench::new();
    let put = bench.ask(
        "PUT",
        "applications/1/commands",
        json!([{ "name": "ping" }, { "name": "pong" }]),
    );
    assert_eq!(put.body.as_array().unwrap().len(), 2);
    let again = bench.ask("POST", "applications/1/commands", json!({ "name": "ping" }));
    assert_eq!(again.status, 201);
    assert_eq!(
        bench
            .get("applications/1/commands")
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(bench.get("applications/1/guilds/5/commands"), json!([]));
    let id = again.body["id"].as_str().unwrap();
    let path = format!("applications/1/commands/{id}");
    assert_eq!(bench.ask("DELETE", &path, Value::Null).status, 204);
    assert_eq!(bench.ask("DELETE", &path, Value::Null).body["code"], 10063);
}

#[test]
fn an_interaction_is_answered_where_it_happened() {
    let mut bench = Bench::new();
    let token = interaction_token(bench.guild.text_channel(0), 99, 5);
    let path = format!("interactions/99/{token}/callback");
    let reply = json!({ "type": 4, "data": { "content": "pong" } });
    let answer = bench.ask("POST", &path, reply);
    assert_eq!(
        (answer.status, answer.news[0].event),
        (204, Event::MessageCreate)
    );
    let original = format!("webhooks/1/{token}/messages/@original");
    assert_eq!(bench.get(&original)["content"], "pong");
    let edited = bench.ask("PATCH", &original, json!({ "content": "pung" }));
    assert_eq!(edited.news[0].event, Event::MessageUpdate);
    let more = bench.ask(
        "POST",
        &format!("webhooks/1/{token}"),
        json!({ "content": "more" }),
    );
    assert_eq!(more.news.len(), 1);
    let deferred = bench.ask(
        "POST",
        &format!("{path}?with_response=true"),
        json!({ "type": 5 }),
    );
    assert_eq!(
        deferred.body["interaction"]["response_message_loading"],
        true
    );
    assert_eq!(
        bench
            .ask("POST", "interactions/1/nonsense/callback", Value::Null)
            .body["code"],
        10062
    );
}
