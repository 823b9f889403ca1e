//! pure. What `GET /gateway/bot` answered, or why it makes no sense.
//!
//! A complaint names the key and never quotes the answer: it may be anybody's page, of any length, and
//! may repeat what it was sent.
//!
//! <https://discord.com/developers/docs/events/gateway#get-gateway-bot>

use std::{ops::RangeInclusive, time::Duration};

use serde_json::Value;

/// What Discord says, but for when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bot {
    pub(super) shards: u32,
    pub(super) total: u32,
    pub(super) remaining: u32,
    pub(super) reset_after: Duration,
    pub(super) max_concurrency: u32,
}

/// Reads a body.
///
/// # Errors
/// Says which key is missing or out of its range.
pub(super) fn read(body: &[u8]) -> Result<Bot, String> {
    if body.is_empty() {
        return Err("it is empty".to_owned());
    }
    let Ok(bot) = serde_json::from_slice::<Value>(body) else {
        return Err("it is no JSON, or only a part of it".to_owned());
    };
    let limit = |key: &str| format!("/session_start_limit/{key}");
    let total = number(&bot, &limit("total"), 0..=MANY)?;
    let remaining = number(&bot, &limit("remaining"), 0..=MANY)?;
    let reset_after = number(&bot, &limit("reset_after"), 0..=LONGEST_DAY_MS)?;
    Ok(Bot {
        shards: number(&bot, "/shards", 1..=MOST_SHARDS)?,
        total,
        // More than there are in a day are not believed.
        remaining: remaining.min(total),
        reset_after: Duration::from_millis(reset_after.into()),
        max_concurrency: number(&bot, &limit("max_concurrency"), 1..=MOST_BUCKETS)?,
    })
}

fn number(bot: &Value, path: &str, within: RangeInclusive<u32>) -> Result<u32, String> {
    let key = path.trim_start_matches('/').replace('/', ".");
    let Some(found) = bot.pointer(path) else {
        return Err(format!("it has no {key}"));
    };
    found
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| within.contains(number))
        .ok_or_else(|| {
            let (least, most) = (within.start(), within.end());
            format!("its {key} is no whole number from {least} to {most}")
        })
}

/// More than Discord gives anybody; each bucket costs memory.
const MOST_BUCKETS: u32 = 16_384;
/// As many as a fleet can have.
const MOST_SHARDS: u32 = 65_536;
/// Far more identifies than a day has.
const MANY: u32 = 100_000_000;
/// A day, and what clocks and leap seconds may add: Discord never says more.
const LONGEST_DAY_MS: u32 = 2 * 86_400_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bot(key: &str, value: Value) -> Vec<u8> {
        let mut bot = json!({"url": "wss://g", "shards": 9, "session_start_limit":
            {"total": 1000, "remaining": 998, "reset_after": 14_400_000, "max_concurrency": 16}});
        if let Some(place) = bot.pointer_mut(key) {
            *place = value;
        }
        serde_json::to_vec(&bot).unwrap()
    }

    #[test]
    fn what_discord_documents_is_understood() {
        let read = read(&bot("", Value::Null));
        // "" points at the whole.
        assert_eq!(read.unwrap_err(), "it has no session_start_limit.total");
        let bot = super::read(&bot("/shards", json!(64))).unwrap();
        assert_eq!(
            (bot.shards, bot.remaining, bot.max_concurrency),
            (64, 998, 16)
        );
        assert_eq!(bot.reset_after, Duration::from_secs(14_400));
    }

    #[test]
    fn more_than_a_day_has_are_not_believed() {
        let more = bot("/session_start_limit/remaining", json!(5_000));
        assert_eq!(read(&more).unwrap().remaining, 1_000);
    }

    #[test]
    fn every_number_out_of_range_is_named_and_not_quoted() {
        let limits = ["total", "remaining", "reset_after", "max_concurrency"];
        let keys = limits.map(|key| format!("/session_start_limit/{key}"));
        let wrong = [
            json!(-1),
            json!(1.5),
            json!("Bot hunter2"),
            json!(null),
            json!([16]),
            json!({}),
            json!(true),
            json!(u64::MAX),
            json!(1e300),
        ];
        for key in keys.iter().map(String::as_str).chain(["/shards"]) {
            for value in &wrong {
                let error = read(&bot(key, value.clone())).unwrap_err();
                let name = key.trim_start_matches('/').replace('/', ".");
                assert!(error.starts_with(&format!("its {name} is no")), "{error}");
                assert!(!error.contains("hunter2"), "{error}");
            }
        }
        for (key, zero) in [("/shards", 0), ("/session_start_limit/max_concurrency", 0)] {
            assert!(read(&bot(key, json!(zero))).is_err(), "{key}");
        }
    }

    #[test]
    fn bytes_that_are_no_answer_are_told_apart() {
        assert_eq!(read(b"").unwrap_err(), "it is empty");
        for part in [&b"<html>"[..], b"{\"url\":\"ws", b"\xff\xfe", b"  "] {
            assert!(read(part).unwrap_err().starts_with("it is no JSON"));
        }
        for other in [&b"[]"[..], b"7", b"{}", b"null", b"\"x\""] {
            assert!(read(other).unwrap_err().starts_with("it has no"));
        }
    }
}
