//! Knobs of what Discord does not say, and what guilds carry.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{ALL_INTENTS, Client, Heard, identify};
use crate::support::Sim;

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_identify_window_ends_by_the_clock() {
    const WINDOW: Duration = Duration::from_secs(3);
    let flags = "--identify-window 3s --identify-window-kind fixed --max-concurrency 1";
    let sim = Sim::start(flags).await;
    // Late in the first window: a sliding one would last until well into the second.
    tokio::time::sleep(WINDOW * 6 / 10).await;
    let _first = Client::ready(sim.address, "", (0, 2)).await;
    let granted = shardfleet::clock::now();
    let mut second = Client::hello(sim.address, "").await;
    let mut refused = 0;
    loop {
        second.identify((1, 2)).await;
        let answer = second.payload().await;
        if answer["t"] == "READY" {
            break;
        }
        assert_eq!(answer["op"], 9);
        refused += 1;
        tokio::time::sleep(WINDOW / 60).await;
    }
    assert!(refused > 0);
    assert!(
        granted.elapsed() < WINDOW,
        "after {refused} refused, {:?}",
        granted.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn op_7_comes_every_so_often() {
    let sim = Sim::start("--reconnect-every 300ms").await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    for _ in 0..2 {
        let began = shardfleet::clock::now();
        assert_eq!(client.op().await["op"], 7);
        assert!(began.elapsed() > Duration::from_millis(200));
        client.close(4000).await;
        client = client.resume(sim.address, "").await;
        client.until("RESUMED").await;
    }
    assert_eq!(sim.verdict().await["ok"], true);
}

/// The rules broken by six presence updates, and whether the connection lives on.
async fn six_presences(flags: &str) -> (Vec<String>, Heard) {
    let sim = Sim::start(&format!("--events-per-second 0 {flags}")).await;
    let mut client = Client::ready(sim.address, "", (0, 1)).await;
    client.read(2).await;
    let presence = json!({ "op": 3, "d": { "since": null, "activities": [], "status": "idle", "afk": false } });
    for _ in 0..5 {
        client.send(&presence).await;
    }
    client.send(&json!({ "op": 1, "d": null })).await;
    assert_eq!(client.op().await["op"], 11);
    assert!(sim.broken().await.is_empty());
    client.send(&presence).await;
    client.send(&json!({ "op": 1, "d": null })).await;
    let heard = client.hear().await;
    (sim.broken().await, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixth_presence_is_ignored_or_closes() {
    let (rules, heard) = six_presences("").await;
    assert!(matches!(heard, Heard::Payload(ack) if ack["op"] == 11));
    assert_eq!(rules, ["presence_rate"]);
    let (rules, heard) = six_presences("--presence-over-limit close").await;
    assert_eq!(heard, Heard::Closed(Some(4008)));
    assert_eq!(rules, ["presence_rate"]);
}

/// The rules broken by asking for all members without the intent, and what is heard next.
async fn members_without_intent(flags: &str) -> (Vec<String>, Heard) {
    let sim = Sim::start(&format!("--events-per-second 0 {flags}")).await;
    let mut client = Client::hello(sim.address, "").await;
    let intents = json!(ALL_INTENTS & !(1 << 1));
    client
        .send(&identify("simulated", &json!([0, 1]), &intents))
        .await;
    let guild = client.until("GUILD_CREATE").await["d"]["id"].clone();
    client.until("GUILD_CREATE").await;
    // By id it is allowed, and answered.
    let one = json!({ "guild_id": guild, "user_ids": ["5"], "limit": 0 });
    client.send(&json!({ "op": 8, "d": one })).await;
    client.until("GUILD_MEMBERS_CHUNK").await;
    let all = json!({ "guild_id": guild, "query": "", "limit": 0 });
    client.send(&json!({ "op": 8, "d": all })).await;
    client.send(&json!({ "op": 1, "d": null })).await;
    let heard = client.hear().await;
    (sim.broken().await, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_without_the_intent_is_ignored_or_closes() {
    let (rules, heard) = members_without_intent("").await;
    assert!(matches!(heard, Heard::Payload(ack) if ack["op"] == 11));
    assert_eq!(rules, ["members_intent"]);
    let (rules, heard) = members_without_intent("--members-without-intent close").await;
    assert_eq!(heard, Heard::Closed(Some(4014)));
    assert_eq!(rules, ["members_intent"]);
}

/// Every guild of a shard as `GUILD_CREATE` carries it.
async fn guilds(sim: &Sim, count: usize, change: impl FnOnce(&mut Value)) -> Vec<Value> {
    let mut client = Client::hello(sim.address, "&compress=zstd-stream").await;
    let mut ask = identify("simulated", &json!([0, 1]), &json!(ALL_INTENTS));
    change(&mut ask["d"]);
    client.send(&ask).await;
    let mut guilds = Vec::new();
    for _ in 0..count {
        guilds.push(client.until("GUILD_CREATE").await["d"].clone());
    }
    guilds
}

fn count(guild: &Value, key: &str) -> u64 {
    guild[key].as_array().unwrap().len() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn large_threshold_decides_which_guilds_list_every_member() {
    let sim = Sim::start("--guilds-per-shard 60 --events-per-second 0").await;
    for threshold in [50, 250] {
        let guilds = guilds(&sim, 60, |ask| ask["large_threshold"] = json!(threshold)).await;
        let (mut small, mut large) = (0, 0);
        for guild in &guilds {
            // The bot is one of them, and is not counted.
            let members = guild["member_count"].as_u64().unwrap() - 1;
            assert_eq!(guild["large"], members > threshold);
            if members > threshold {
                large += 1;
                assert!(count(guild, "members") <= members);
            } else {
                small += 1;
                assert_eq!(count(guild, "members"), members + 1);
            }
        }
        assert!(small > 5 && large > 5, "{small} {large}");
    }
}

/// <https://discord.com/developers/docs/events/gateway-events#guild-create>
#[tokio::test(flavor = "multi_thread")]
async fn above_75_000_members_only_who_is_in_voice_is_listed() {
    let sim = Sim::start("--guilds-per-shard 300 --events-per-second 0").await;
    let guilds = guilds(&sim, 300, |_| ()).await;
    let members = |guild: &Value| guild["member_count"].as_u64().unwrap() - 1;
    let huge: Vec<&Value> = guilds.iter().filter(|one| members(one) > 75_000).collect();
    assert!(!huge.is_empty());
    for guild in huge {
        assert_eq!(count(guild, "members"), count(guild, "voice_states") + 1);
        assert!(count(guild, "voice_states") > 0);
        assert_eq!(count(guild, "presences"), 0);
    }
    let usual = guilds
        .iter()
        .filter(|one| (5_000..75_000).contains(&members(one)));
    for guild in usual {
        assert!(count(guild, "members") > 100 && count(guild, "presences") > 100);
        for voice in guild["voice_states"].as_array().unwrap() {
            let listed = guild["members"].as_array().unwrap();
            assert!(
                listed
                    .iter()
                    .any(|one| one["user"]["id"] == voice["user_id"])
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn voice_states_need_their_intent() {
    let sim = Sim::start("--guilds-per-shard 20 --events-per-second 0").await;
    let talking = |guilds: &[Value]| -> u64 {
        let counts = guilds.iter().map(|guild| count(guild, "voice_states"));
        counts.sum()
    };
    assert!(talking(&guilds(&sim, 20, |_| ()).await) > 0);
    let without = guilds(&sim, 20, |ask| {
        ask["intents"] = json!(ALL_INTENTS & !(1 << 7));
    })
    .await;
    assert_eq!(talking(&without), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_has_its_night_and_evening() {
    const DAY_MS: u64 = 3000;
    let started = shardfleet::clock::unix_ms();
    let sim = Sim::start("--events-per-second 1000 --daily-rhythm 3s").await;
    let _client = Client::ready(sim.address, "", (0, 1)).await;
    let record = loop {
        let record = sim.record().await;
        let last = record
            .values()
            .filter_map(|row| row["at_ms"].as_u64())
            .max();
        if last.is_some_and(|last| last > started + 2 * DAY_MS) {
            break record;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let between = |from: u64, to: u64| {
        let hour = |row: &&Value| {
            let passed = row["at_ms"].as_u64().unwrap().saturating_sub(started);
            (from..to).contains(&(passed % DAY_MS * 24 / DAY_MS))
        };
        record.values().filter(hour).count()
    };
    let (night, evening) = (between(2, 7), between(17, 22));
    assert!(
        night > 0 && evening > 2 * night,
        "{night} at night, {evening} in the evening"
    );
}
