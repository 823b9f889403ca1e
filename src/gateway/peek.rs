//! Pure: `op`, `s` and `t` borrowed from the head of a raw payload, without parsing the rest.
//!
//! Discord sends `{"t":…,"s":…,"op":…,"d":…}`; any other order is still right, by a slower path.

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};

/// A dispatch: `op` 0.
pub const DISPATCH: u8 = 0;
/// The session is not valid: `op` 9; `d` says whether it may be resumed.
pub const INVALID_SESSION: u8 = 9;
/// The answer to a heartbeat: `op` 11.
pub const HEARTBEAT_ACK: u8 = 11;

/// The envelope of a payload.
///
/// <https://discord.com/developers/docs/events/gateway-events#payload-structure>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Opcode.
    pub op: u8,
    /// Sequence, of a dispatch.
    pub s: Option<u64>,
    /// Event name, of a dispatch; borrowed unless it is written with escapes.
    pub t: Option<Cow<'a, str>>,
}

/// Reads the envelope; none where the payload is no JSON object with an opcode.
pub fn peek(payload: &str) -> Option<Head<'_>> {
    quick(payload).or_else(|| thorough(payload))
}

/// The order that Discord sends, and nothing else.
fn quick(payload: &str) -> Option<Head<'_>> {
    let rest = payload.strip_prefix(r#"{"t":"#)?;
    let (t, rest) = match rest.strip_prefix('"') {
        Some(rest) => {
            let (t, rest) = rest.split_once('"')?;
            // An escape is the slower path's.
            (!t.contains('\\')).then_some(())?;
            (Some(t), rest.strip_prefix(r#","s":"#)?)
        }
        None => (None, rest.strip_prefix(r#"null,"s":"#)?),
    };
    let (s, rest) = match rest.strip_prefix("null") {
        Some(rest) => (None, rest),
        None => number(rest).map(|(s, rest)| (Some(s), rest))?,
    };
    let (op, rest) = number(rest.strip_prefix(r#","op":"#)?)?;
    rest.starts_with([',', '}']).then_some(())?;
    Some(Head {
        op: u8::try_from(op).ok()?,
        s,
        t: t.map(Cow::Borrowed),
    })
}

fn number(text: &str) -> Option<(u64, &str)> {
    let (mut number, mut digits) = (0_u64, 0);
    for byte in text.bytes().take_while(u8::is_ascii_digit) {
        number = number.checked_mul(10)?.checked_add((byte - b'0').into())?;
        digits += 1;
    }
    (digits > 0).then(|| (number, &text[digits..]))
}

/// Any order, any white space.
fn thorough(payload: &str) -> Option<Head<'_>> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        op: u8,
        #[serde(default)]
        s: Option<u64>,
        #[serde(default, borrow)]
        t: Option<Cow<'a, str>>,
        #[serde(default, rename = "d")]
        _d: IgnoredAny,
    }
    let envelope: Envelope<'_> = serde_json::from_str(payload).ok()?;
    Some(Head {
        op: envelope.op,
        s: envelope.s,
        t: envelope.t,
    })
}

/// The `d` of an `op` 9: true if the session may be resumed.
pub fn resumable(payload: &str) -> bool {
    #[derive(Deserialize)]
    struct Invalid {
        d: bool,
    }
    serde_json::from_str::<Invalid>(payload).is_ok_and(|invalid| invalid.d)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_order_that_discord_sends() {
        let head = quick(r#"{"t":"MESSAGE_CREATE","s":42,"op":0,"d":{"op":9}}"#);
        assert_eq!(
            head,
            Some(Head {
                op: 0,
                s: Some(42),
                t: Some("MESSAGE_CREATE".into())
            })
        );
        let head = quick(r#"{"t":null,"s":null,"op":11}"#);
        assert_eq!(
            head,
            Some(Head {
                op: 11,
                s: None,
                t: None
            })
        );
    }

    #[test]
    fn another_order_is_still_right() {
        let payload = r#"{"d":{"t":"NO","s":1,"op":3},"op":0,"s":7,"t":"TYPING_START"}"#;
        assert_eq!(quick(payload), None);
        assert_eq!(
            peek(payload),
            Some(Head {
                op: 0,
                s: Some(7),
                t: Some("TYPING_START".into())
            })
        );
        assert_eq!(
            peek("{ \"op\" : 10 }"),
            Some(Head {
                op: 10,
                s: None,
                t: None
            })
        );
    }

    #[test]
    fn what_is_no_payload_is_none() {
        for bad in [
            "",
            "{",
            "[]",
            "null",
            r#"{"t":"A"}"#,
            r#"{"op":300}"#,
            r#"{"t":"A","s":1,"op":"#,
        ] {
            assert_eq!(peek(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_invalid_session_says_whether_it_may_be_resumed() {
        assert!(resumable(r#"{"t":null,"s":null,"op":9,"d":true}"#));
        assert!(!resumable(r#"{"t":null,"s":null,"op":9,"d":false}"#));
        assert!(!resumable("nonsense"));
    }

    proptest! {
        #[test]
        fn both_paths_agree(t in "[A-Z_]{1,20}", s in 0_u64..1 << 53, op in 0_u8..12) {
            let payload = format!(r#"{{"t":"{t}","s":{s},"op":{op},"d":{{"s":1}}}}"#);
            prop_assert_eq!(quick(&payload), thorough(&payload));
        }

        #[test]
        fn never_panics(bytes in any::<String>()) {
            _ = peek(&bytes);
            _ = peek(&format!(r#"{{"t":"{bytes}"#));
        }
    }
}
