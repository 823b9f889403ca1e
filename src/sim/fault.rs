//! What can be made to go wrong, as data: the body of `POST /sim/fault`.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::interrupt::{At, Then};
use super::rest::RestFault;
use super::session::wants_sequence;

/// Which shards a fault is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shards {
    /// All of them.
    All,
    /// These ids, of any shard count.
    These(Vec<u32>),
}

impl Shards {
    /// The `shards` of a request; none is all.
    pub(super) fn read(value: Option<Value>) -> Result<Self, String> {
        match value {
            None => Ok(Self::All),
            Some(Value::String(all)) if all == "all" => Ok(Self::All),
            Some(list) => serde_json::from_value(list)
                .map(Self::These)
                .map_err(|_| "shards: \"all\", or a list of shard ids like [0,1]".to_owned()),
        }
    }

    pub(super) fn has(&self, shard: u32) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.contains(&shard),
        }
    }
}

/// A fault. `for_ms` counts from now; 0 or none: until the opposite is asked for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Fault {
    /// The socket ends without a close frame.
    Drop {},
    /// A close frame, with a code or without one.
    Close {
        #[serde(default)]
        code: Option<u16>,
    },
    /// Op 7.
    Reconnect {},
    /// Op 9, or `say` in its place; not resumable: the session ends. `close`: the socket too, with 4000.
    Invalidate {
        resumable: bool,
        #[serde(default)]
        say: Option<String>,
        #[serde(default)]
        close: bool,
    },
    /// The socket stays open, nothing is sent.
    Silence { for_ms: u64 },
    /// New connections get no HELLO: the next `count` of them, or all for `for_ms`.
    NoHello {
        #[serde(default)]
        count: Option<u32>,
        #[serde(default)]
        for_ms: Option<u64>,
    },
    /// At a moment of a connection's life the server says `say` and ends it, waits, or goes on: `count` times,
    /// or for a time.
    Interrupt {
        /// Not `at`: a script's step has that already.
        moment: At,
        #[serde(default)]
        say: Option<String>,
        #[serde(default)]
        then: Then,
        /// Of `"then":"close"`.
        #[serde(default)]
        code: Option<u16>,
        #[serde(default)]
        count: Option<u32>,
        #[serde(default)]
        for_ms: Option<u64>,
    },
    /// A text as it is; with `"s":"next"` it is a dispatch of the session.
    Raw {
        text: String,
        /// Each letter is one byte, so that what is no UTF-8 can be said.
        #[serde(default)]
        latin1: bool,
    },
    /// What READY says of these two, as JSON; `absent`: nothing. A session id that is a string is the session's.
    Ready {
        #[serde(default)]
        session_id: Option<String>,
        #[serde(default)]
        resume_gateway_url: Option<String>,
        #[serde(default)]
        count: Option<u32>,
        #[serde(default)]
        for_ms: Option<u64>,
    },
    /// The gateway has another URL, `/at/<to>`, from now on; the others find `old`. Empty: the first one.
    MoveGateway {
        to: String,
        #[serde(default = "refuse")]
        old: Door,
    },
    /// A message of so many bytes that compress to almost nothing: a heartbeat answer, or a `GUILD_CREATE`.
    Inflate {
        bytes: usize,
        #[serde(default)]
        dispatch: bool,
    },
    /// REST answers otherwise.
    Rest(RestFault),
    /// What a connection to `resume_gateway_url` finds.
    ResumeHost {
        mode: Door,
        #[serde(default)]
        for_ms: Option<u64>,
    },
    /// What a connection to any gateway URL finds.
    RefuseConnect {
        #[serde(default = "refuse")]
        mode: Door,
        #[serde(default)]
        for_ms: Option<u64>,
    },
    /// RESUMEs are answered with op 9 that may be resumed, and the session lives on.
    RefuseResume {
        #[serde(default)]
        for_ms: Option<u64>,
    },
    /// Heartbeats are answered so late; 0 ends it.
    SlowAck {
        ms: u64,
        #[serde(default)]
        for_ms: Option<u64>,
    },
    /// Op 1 from the server.
    HeartbeatRequest {},
    /// A `GUILD_CREATE` of about this many bytes.
    HugeEvent { bytes: usize },
    /// A frame that no client can decode.
    Garbage {},
    /// One sequence number is never sent.
    Hole {},
    /// The session is forgotten as though its time without a socket were over.
    Expire {},
    /// Guilds are unavailable: `GUILD_DELETE` now, `GUILD_CREATE` when it is over. The first `guilds` of
    /// each shard, or all.
    Outage {
        #[serde(default)]
        guilds: Option<usize>,
        #[serde(default)]
        for_ms: Option<u64>,
    },
    /// So many accounts join one guild of each shard and write in it, beside the usual traffic.
    Raid {
        #[serde(default = "crowd")]
        joins: u32,
        #[serde(default = "while_of_a_raid")]
        for_ms: u64,
    },
    /// The next `count` REST requests are answered with 429.
    RestLimit {
        count: u32,
        #[serde(default = "moment")]
        retry_after: f64,
        #[serde(default)]
        global: bool,
    },
    /// A bot's token is no longer right, and its sessions end with 4004; or it is right again.
    RevokeToken {
        #[serde(default)]
        bot: Which,
        #[serde(default = "yes")]
        revoked: bool,
    },
    /// Changes the number of identify buckets.
    MaxConcurrency { max_concurrency: u32 },
}

/// Which bot: that of `--token`, or that of `--other-token`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Which {
    #[default]
    Main,
    Other,
}

/// What a connection finds at a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Door {
    /// The gateway.
    #[default]
    Ok,
    /// TCP ends at once.
    Refuse,
    /// HTTP 503.
    #[serde(rename = "503")]
    Unavailable,
    /// TCP is taken, and nothing is ever said.
    Hang,
}

/// Largest event that may be asked for: memory stays bounded.
const MOST_HUGE: usize = 64 << 20;
/// The same for one that is made of nothing.
const MOST_INFLATED: usize = 1 << 30;

/// Reads the body of `POST /sim/fault`; the error is for its sender.
pub(super) fn parse(body: &[u8]) -> Result<(Fault, Shards), String> {
    let mut fields: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| format!("the body is no JSON object: {error}"))?;
    let shards = Shards::read(fields.remove("shards"))?;
    let fault: Fault =
        serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
    match fault {
        Fault::Raw {
            text,
            latin1: true,
        } if !(wants_sequence(&text) && text.chars().all(|letter| letter <= '\u{ff}')) => Err(
            "latin1: for a text with \"s\":\"next\" whose letters are bytes, \\u0000 to \\u00ff"
                .to_owned(),
        ),
        Fault::RestLimit { retry_after, .. } if !(0.0..=3600.0).contains(&retry_after) => {
            Err("retry_after: seconds, at most 3600".to_owned())
        }
        Fault::HugeEvent { bytes } if bytes > MOST_HUGE => Err(format!("bytes: at most {MOST_HUGE}")),
        Fault::MaxConcurrency { max_concurrency: 0 } => Err("max_concurrency: at least 1".to_owned()),
        Fault::Inflate { bytes, .. } if bytes > MOST_INFLATED => {
            Err(format!("bytes: at most {MOST_INFLATED}"))
        }
        Fault::MoveGateway { to, .. } if !to.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Err("to: letters and digits, or nothing".to_owned())
        }
        Fault::Ready { session_id, resume_gateway_url, .. }
            if [&session_id, &resume_gateway_url].into_iter().flatten().any(|text| !is_json(text)) =>
        {
            Err("session_id, resume_gateway_url: JSON text, or the word absent".to_owned())
        }
        Fault::Rest(rest) => rest.check().map(|()| (Fault::Rest(rest), shards)),
        Fault::Interrupt { moment: At::Connect | At::Hello, .. } if shards != Shards::All => {
            Err("shards: not known before an IDENTIFY or a RESUME".to_owned())
        }
        Fault::Interrupt { then, code: Some(_), .. } if then != Then::Close => {
            Err("code: only with \"then\":\"close\"".to_owned())
        }
        Fault::Close { code: Some(code) } | Fault::Interrupt { code: Some(code), .. }
            if !(1000..5000).contains(&code) || matches!(code, 1005 | 1006 | 1015) =>
        {
            Err("code: one that a close frame may carry, 1000 to 4999; leave it out for a close without one".to_owned())
        }
        fault => Ok((fault, shards)),
    }
}

/// Whether a READY can carry this: JSON, or the word for nothing.
fn is_json(text: &str) -> bool {
    text == ABSENT || serde_json::from_str::<Value>(text).is_ok()
}

/// In place of JSON: the key is left out.
pub(super) const ABSENT: &str = "absent";

/// A time that was given, if it is one.
pub(super) fn span(ms: Option<u64>) -> Option<Duration> {
    ms.filter(|ms| *ms > 0).map(Duration::from_millis)
}

fn crowd() -> u32 {
    500
}

fn while_of_a_raid() -> u64 {
    10_000
}

fn moment() -> f64 {
    0.5
}

fn yes() -> bool {
    true
}

fn refuse() -> Door {
    Door::Refuse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        for (body, expected) in [
            (r#"{"fault":"drop"}"#, (Fault::Drop {}, Shards::All)),
            (
                r#"{"fault":"close","code":4000,"shards":[3]}"#,
                (Fault::Close { code: Some(4000) }, Shards::These(vec![3])),
            ),
            (
                r#"{"fault":"close","shards":"all"}"#,
                (Fault::Close { code: None }, Shards::All),
            ),
            (
                r#"{"fault":"resume_host","mode":"503"}"#,
                (
                    Fault::ResumeHost {
                        mode: Door::Unavailable,
                        for_ms: None,
                    },
                    Shards::All,
                ),
            ),
            (
                r#"{"fault":"refuse_connect","for_ms":5}"#,
                (
                    Fault::RefuseConnect {
                        mode: Door::Refuse,
                        for_ms: Some(5),
                    },
                    Shards::All,
                ),
            ),
        ] {
            assert_eq!(parse(body.as_bytes()), Ok(expected));
        }
    }

    #[test]
    fn a_bad_fault_is_answered_with_what_there_is() {
        assert!(
            parse(br#"{"fault":"explode"}"#)
                .unwrap_err()
                .contains("heartbeat_request")
        );
        assert!(
            parse(br#"{"fault":"drop","sharks":[1]}"#)
                .unwrap_err()
                .contains("sharks")
        );
        assert!(
            parse(br#"{"fault":"drop","shards":["x"]}"#)
                .unwrap_err()
                .contains("[0,1]")
        );
        assert!(
            parse(br#"{"fault":"close","code":99}"#)
                .unwrap_err()
                .contains("code")
        );
        assert!(parse(b"[").is_err());
    }
}
