//! docs/verdict.schema.json says what a verdict is: every verdict that a test asks for is held against it.
//! As much of JSON Schema as that file uses; another keyword in it is a failure, not a hole.

use serde_json::{Value, json};

use crate::client::Client;
use crate::support::Sim;

const SCHEMA: &str = include_str!("../../docs/verdict.schema.json");

/// What is wrong with a verdict, each fault with its place. Also what the schema does not describe: it allows
/// more fields, so that some can be added, but this program's own are all in it.
pub(crate) fn faults(verdict: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut faults = Vec::new();
    check(&schema, &schema, verdict, "", &mut faults);
    faults
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                check(root, root.pointer(pointer).unwrap(), value, at, faults);
                true
            }
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "type" => match rule {
                Value::Array(kinds) => kinds.iter().any(|kind| is(value, kind)),
                kind => is(value, kind),
            },
            "minimum" => value.as_u64() >= rule.as_u64() || !value.is_number(),
            "required" => {
                let mut names = rule.as_array().unwrap().iter();
                names.all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "properties" => {
                for (name, one) in value.as_object().into_iter().flatten() {
                    let place = format!("{at}/{name}");
                    match rule.get(name) {
                        Some(rule) => check(root, rule, one, &place, faults),
                        None => faults.push(format!("{place}: not described")),
                    }
                }
                true
            }
            "items" => {
                for (index, one) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, one, &format!("{at}/{index}"), faults);
                }
                true
            }
            other => panic!("{other}: a keyword that is not checked here"),
        };
        if !holds {
            faults.push(format!("{at}: {keyword} {rule} does not hold"));
        }
    }
}

fn is(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("{other}: a type that is not checked here"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_describes_a_verdict_and_refuses_what_is_none() {
    let sim = Sim::start("").await;
    let mut client = Client::ready(sim.address, "", (0, 2)).await;
    client.close(4000).await;
    let mut again = client.resume(sim.address, "").await;
    again.until("RESUMED").await;
    again.identify((0, 2)).await;
    again.end().await;
    let mut other = Client::ready(sim.address, "", (1, 2)).await;
    other.close(1000).await;
    let whole = sim
        .until("ended", |verdict| {
            verdict["sessions"][1]["end_reason"] == "closed_by_client"
        })
        .await;
    for list in ["violations", "sessions", "ready", "resumed"] {
        assert!(!whole[list].as_array().unwrap().is_empty(), "{list}");
    }
    assert!(faults(&whole).is_empty(), "{:?}", faults(&whole));

    let places = ["", "/violations/0", "/sessions/0", "/ready/0", "/resumed/0"];
    for place in places {
        let names = whole.pointer(place).unwrap().as_object().unwrap().keys();
        for name in names {
            let mut less = whole.clone();
            object(&mut less, place).remove(name);
            assert_eq!(faults(&less).len(), 1, "without {place}/{name}");
            let mut odd = whole.clone();
            object(&mut odd, place).insert(name.clone(), json!({ "odd": 1.5 }));
            assert!(!faults(&odd).is_empty(), "odd {place}/{name}");
        }
        let mut more = whole.clone();
        object(&mut more, place).insert("more".to_owned(), json!(1));
        assert_eq!(faults(&more), [format!("{place}/more: not described")]);
    }
    for (place, wrong) in [
        ("/v", json!(2)),
        ("/sent", json!(-1)),
        ("/sessions/0/state", json!("dead")),
        ("/sessions/0/shards", json!(0)),
    ] {
        let mut odd = whole.clone();
        *odd.pointer_mut(place).unwrap() = wrong;
        assert_eq!(faults(&odd).len(), 1, "{place}");
    }
}

fn object<'a>(value: &'a mut Value, place: &str) -> &'a mut serde_json::Map<String, Value> {
    value.pointer_mut(place).unwrap().as_object_mut().unwrap()
}
