//! Pure: the payloads beside dispatches: what Discord says in them, and what a shard sends.

use std::time::Duration;

use twilight_model::gateway::payload::outgoing::{Heartbeat, Resume};

use super::{
    peek::{fields, text},
    track::Session,
};
use crate::config::Identity;

/// The interval that a HELLO names; none where it names no number of milliseconds.
///
/// <https://discord.com/developers/docs/events/gateway-events#hello>
pub fn heartbeat_interval(payload: &[u8]) -> Option<Duration> {
    let payload = text(payload);
    let [d] = fields(&payload, ["d"])?;
    let [interval] = fields(d?.get(), ["heartbeat_interval"])?;
    let ms: f64 = serde_json::from_str(interval?.get()).ok()?;
    Duration::try_from_secs_f64(ms / 1000.0).ok()
}

/// <https://discord.com/developers/docs/events/gateway-events#resume>
pub fn resume(identity: &Identity, session: &Session) -> String {
    json(&Resume::new(
        session.seq,
        session.id.as_str(),
        identity.token.expose(),
    ))
}

/// <https://discord.com/developers/docs/events/gateway-events#heartbeat>
pub fn heartbeat(seq: Option<u64>) -> String {
    json(&Heartbeat::new(seq))
}

fn json(payload: &impl serde::Serialize) -> String {
    // None of them has a key that is no string, which alone could fail.
    serde_json::to_string(payload).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use twilight_model::gateway::{Intents, ShardId};

    use super::*;
    use crate::config::Secret;

    #[test]
    fn hello_names_an_interval_or_none() {
        let hello = |d: &str| {
            heartbeat_interval(format!(r#"{{"t":null,"s":null,"op":10,"d":{d}}}"#).as_bytes())
        };
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(
            hello(r#"{"heartbeat_interval":41250,"_trace":["x"]}"#),
            ms(41_250)
        );
        assert_eq!(hello(r#"{"heartbeat_interval":0}"#), ms(0));
        assert_eq!(
            hello(r#"{"heartbeat_interval":1500.5}"#),
            Some(Duration::from_micros(1_500_500))
        );
        for bad in [
            "null",
            "{}",
            "7",
            r#"{"heartbeat_interval":-5}"#,
            r#"{"heartbeat_interval":"41250"}"#,
            r#"{"heartbeat_interval":null}"#,
            r#"{"heartbeat_interval":1e300}"#,
        ] {
            assert_eq!(hello(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_sent_is_what_discord_reads() {
        let identity = Identity {
            token: Secret::from("a.b.c".to_owned()),
            intents: Intents::GUILDS,
            large_threshold: 50,
            presence: None,
        };
        let shard = ShardId::new_checked(3, 8).unwrap();
        let sent: serde_json::Value = serde_json::from_str(&identity.identify(shard)).unwrap();
        assert_eq!(sent["op"], 2);
        assert_eq!(
            (&sent["d"]["token"], &sent["d"]["shard"][1]),
            (&"a.b.c".into(), &8.into())
        );
        assert_eq!(sent["d"]["properties"]["browser"], "shardfleet");
        let session = Session {
            id: "s\"".to_owned(),
            resume_url: String::new(),
            seq: 7,
        };
        let resumed: serde_json::Value =
            serde_json::from_str(&resume(&identity, &session)).unwrap();
        assert_eq!(
            resumed,
            serde_json::json!({"op": 6, "d": {"token": "a.b.c", "session_id": "s\"", "seq": 7}})
        );
        assert_eq!(heartbeat(None), r#"{"d":null,"op":1}"#);
        assert_eq!(heartbeat(Some(9)), r#"{"d":9,"op":1}"#);
    }
}
