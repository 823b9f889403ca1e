//! What holds for any request, whoever wrote it: held against a second reading, of `serde_json`'s own
//! values.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use super::*;

/// What Discord takes, read once more, from its documentation.
/// <https://discord.com/developers/docs/events/gateway-events#send-events>
fn takes(ask: &Value) -> bool {
    let d = &ask["d"];
    let id = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok()
    };
    let ids = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(id));
    let or_null = |value: &Value, good: bool| value.is_null() || good;
    let list = |value: &Value, of: fn(&Value) -> bool| {
        value.as_array().is_some_and(|list| list.iter().all(of))
    };
    let status = ["online", "dnd", "idle", "invisible", "offline"];
    let small = |value: &Value| value.as_u64().is_some_and(|it| u32::try_from(it).is_ok());
    d.is_object()
        && match ask["op"].as_u64() {
            Some(3) => {
                or_null(&d["since"], d["since"].is_u64())
                    && list(&d["activities"], activity)
                    && status.iter().any(|status| d["status"] == *status)
                    && d["afk"].is_boolean()
            }
            Some(4) => {
                id(&d["guild_id"])
                    && or_null(&d["channel_id"], id(&d["channel_id"]))
                    && d["self_mute"].is_boolean()
                    && d["self_deaf"].is_boolean()
            }
            Some(8) => {
                let users = &d["user_ids"];
                let hundred = |list: &Vec<Value>| (1..=100).contains(&list.len());
                let by_name = d["query"].as_str().is_some_and(|query| !query.is_empty());
                let who = match (users.is_null(), d["query"].is_null()) {
                    (true, true) => false,
                    (true, false) => d.get("limit").is_some(),
                    (false, _) => !by_name && users.as_array().is_none_or(hundred),
                };
                id(&d["guild_id"])
                    && who
                    && or_null(&d["query"], d["query"].is_string())
                    && (d.get("limit").is_none() || small(&d["limit"]))
                    && or_null(users, id(users) || ids(users))
                    && or_null(&d["presences"], d["presences"].is_boolean())
                    && or_null(
                        &d["nonce"],
                        d["nonce"].as_str().is_some_and(|it| it.len() <= 32),
                    )
            }
            Some(31) => ids(&d["guild_ids"]) && d["guild_ids"] != json!([]),
            Some(43) => {
                let known = |it: &Value| *it == "status" || *it == "voice_start_time";
                id(&d["guild_id"]) && list(&d["fields"], known) && d["fields"] != json!([])
            }
            _ => false,
        }
}

/// <https://discord.com/developers/docs/events/gateway-events#activity-object>
fn activity(it: &Value) -> bool {
    let text = |key: &str| it[key].as_str().is_some_and(|text| !text.is_empty());
    let kind = it["type"].as_u64().unwrap_or(u64::MAX);
    it.is_object() && text("name") && kind <= 5 && (kind != 4 || text("state"))
}

/// The law: nothing panics, what is taken is what Discord takes, and goes out as it came.
fn holds(bytes: &[u8]) -> Result<(), TestCaseError> {
    let whole = serde_json::from_slice::<Value>(bytes).ok();
    let good = bytes.len() <= MAX_BYTES && whole.as_ref().is_some_and(takes);
    match Command::parse(bytes) {
        Ok(command) => {
            prop_assert!(good, "taken: {command:?}");
            prop_assert_eq!(command.json.as_bytes(), bytes);
            let d = &whole.unwrap_or_default()["d"];
            let named = d["guild_ids"].as_array().cloned();
            let named = named.unwrap_or_else(|| vec![d["guild_id"].clone()]);
            let named: Vec<u64> = named
                .iter()
                .filter_map(|id| id.as_str()?.parse().ok())
                .collect();
            let expected = if command.op == Op::Presence {
                vec![]
            } else if command.op == Op::Soundboard {
                named
            } else {
                vec![d["guild_id"].as_str().unwrap_or_default().parse().unwrap()]
            };
            prop_assert_eq!(&command.guilds, &expected);
            prop_assert_eq!(Command::parse(command.json.as_bytes()), Ok(command));
        }
        Err(refused) => {
            prop_assert!(!good, "refused: {refused:?}");
            let large = bytes.len() > MAX_BYTES;
            prop_assert_eq!(refused.reason == Reason::TooLarge, large);
            // Whoever asked for an op that is not a worker's hears just that.
            let op = whole.filter(|whole| whole.is_object() && whole.get("d").is_some());
            let foreign = op.and_then(|whole| whole["op"].as_u64());
            if let (false, Some(op)) = (large, foreign) {
                let unknown = Op::of(op).is_none();
                prop_assert_eq!(refused.reason == Reason::UnknownOp, unknown);
            }
        }
    }
    Ok(())
}

/// A value of some kind that stands in commands, or does not.
fn value() -> impl Strategy<Value = Value> {
    let words = vec![
        "online",
        "idle",
        "",
        "7",
        "+7",
        "-1",
        " 7",
        "18446744073709551616",
    ];
    let leaf = prop_oneof![
        4 => (0..u64::MAX).prop_map(|id| json!(id.to_string())),
        2 => select(words).prop_map(|word| json!(word)),
        1 => any::<String>().prop_map(|text| json!(text)),
        2 => any::<bool>().prop_map(|it| json!(it)),
        2 => Just(Value::Null),
        1 => any::<i64>().prop_map(|it| json!(it)),
        1 => (0_u64..9).prop_map(|it| json!(it)),
        1 => any::<f64>().prop_map(|it| json!(it)),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((key(), inner), 0..4).prop_map(|of| Value::Object(of.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let known = vec![
        "since",
        "activities",
        "status",
        "afk",
        "guild_id",
        "guild_ids",
        "channel_id",
        "self_mute",
        "self_deaf",
        "query",
        "limit",
        "user_ids",
        "presences",
        "nonce",
        "fields",
        "online",
        "op",
        "d",
    ];
    prop_oneof![8 => select(known).prop_map(str::to_owned), 1 => any::<String>()]
}

/// One that is good, with some of its fields gone or become something else.
fn nearly() -> impl Strategy<Value = Value> {
    let good = [
        json!({ "op": 3, "d": { "since": null, "activities": [{ "type": 0, "name": "chess" }], "status": "dnd", "afk": true } }),
        json!({ "op": 4, "d": { "guild_id": "7", "channel_id": "8", "self_mute": true, "self_deaf": false } }),
        json!({ "op": 8, "d": { "guild_id": "7", "query": "", "limit": 0, "nonce": "n" } }),
        json!({ "op": 8, "d": { "guild_id": "7", "user_ids": ["1", "2"], "presences": true } }),
        json!({ "op": 31, "d": { "guild_ids": ["7", "8"] } }),
        json!({ "op": 43, "d": { "guild_id": "7", "fields": ["status"] } }),
    ];
    let changes = vec(
        (any::<prop::sample::Index>(), prop::option::of(value())),
        0..3,
    );
    (select(good.to_vec()), changes, vec((key(), value()), 0..2)).prop_map(
        |(mut ask, changes, more)| {
            let d = ask["d"].as_object_mut().unwrap();
            for (at, change) in changes {
                let Some(key) = d.keys().nth(at.index(d.len().max(1))).cloned() else {
                    continue;
                };
                match change {
                    Some(value) => _ = d.insert(key, value),
                    None => _ = d.remove(&key),
                }
            }
            d.extend(more);
            ask
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..2 * MAX_BYTES)) {
        holds(&bytes)?;
    }

    #[test]
    fn any_json(ask in value()) {
        holds(ask.to_string().as_bytes())?;
    }

    #[test]
    fn any_op(op in 0_u64..64, d in value()) {
        holds(json!({ "op": op, "d": d }).to_string().as_bytes())?;
    }

    #[test]
    fn nearly_good(ask in nearly()) {
        holds(ask.to_string().as_bytes())?;
    }

    /// serde reads a struct from a list, and an enum from an object: Discord does not.
    #[test]
    fn lists_for_objects(ask in nearly()) {
        let values = |value: &Value| {
            let fields = value.as_object().unwrap_or(&Map::new()).clone();
            Value::Array(fields.into_iter().map(|(_, value)| value).collect())
        };
        holds(json!([ask["op"], ask["d"]]).to_string().as_bytes())?;
        holds(json!({ "op": ask["op"], "d": values(&ask["d"]) }).to_string().as_bytes())?;
        holds(json!({ "op": 3, "d": { "activities": [], "status": { "idle": null }, "afk": true } }).to_string().as_bytes())?;
    }

    #[test]
    fn a_byte_gone_wrong(ask in nearly(), at in any::<prop::sample::Index>(), byte in any::<u8>(), how in 0..3) {
        let mut bytes = ask.to_string().into_bytes();
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => _ = bytes.remove(at),
        }
        holds(&bytes)?;
    }

    #[test]
    fn as_long_as_discord_takes(spare in 0_usize..64) {
        let head = r#"{"op":8,"d":{"guild_id":"7","limit":0,"query":""#;
        let fill = MAX_BYTES + 32 - spare - head.len() - 3;
        holds(format!(r#"{head}{}"}}}}"#, "n".repeat(fill)).as_bytes())?;
    }
}
