//! Pure: `op`, `s` and `t` borrowed from the head of a raw payload, without parsing the rest.
//!
//! Discord sends `{"t":…,"s":…,"op":…,"d":…}`; any other order is still right, by a slower path. What is no
//! name or no number there is none: a dispatch without either is a dispatch all the same. A field that
//! stands twice counts as it stands first, on both paths.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

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

/// Any order, any white space, any value.
fn thorough(payload: &str) -> Option<Head<'_>> {
    let [op, s, t] = fields(payload, ["op", "s", "t"])?;
    Some(Head {
        op: serde_json::from_str(op?.get()).ok()?,
        s: s.and_then(|s| whole(s.get())),
        t: t.and_then(|t| string(t.get())),
    })
}

/// The values of these keys of an object, as they are written; none where it is no JSON object.
pub fn fields<'a, const N: usize>(
    object: &'a str,
    names: [&str; N],
) -> Option<[Option<&'a RawValue>; N]> {
    struct Fields<'n, const N: usize>([&'n str; N]);

    impl<'a, const N: usize> Visitor<'a> for Fields<'_, N> {
        type Value = [Option<&'a RawValue>; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = [None; N];
            while let Some((name, value)) = map.next_entry::<Cow<'a, str>, &RawValue>()? {
                if let Some(at) = self.0.iter().position(|one| *one == name) {
                    found[at].get_or_insert(value);
                }
            }
            Ok(found)
        }
    }

    let mut json = serde_json::Deserializer::from_str(object);
    let found = json.deserialize_map(Fields(names)).ok()?;
    json.end().ok()?;
    Some(found)
}

/// A string of JSON, as it is meant; none for anything else.
pub fn string(value: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str(value).ok().map(|Text(text)| text)
}

/// A number without sign and fraction, however it is written.
fn whole(value: &str) -> Option<u64> {
    /// Up to here every whole number is a float of its own.
    const EXACT: f64 = 9_007_199_254_740_991.0;
    if let Ok(number) = value.parse() {
        return Some(number);
    }
    let float: f64 = serde_json::from_str(value).ok()?;
    let exact = float.fract() == 0.0 && (0.0..=EXACT).contains(&float);
    // Written without fraction and exponent it is digits.
    exact.then(|| format!("{float:.0}").parse().ok()).flatten()
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

    #[test]
    fn a_dispatch_without_a_name_or_a_number_is_one_all_the_same() {
        let of = |t: &str, s: &str| {
            let payload = format!(r#"{{"t":{t},"s":{s},"op":0,"d":{{"id":"1"}}}}"#);
            let head = peek(&payload).unwrap_or_else(|| panic!("{payload}"));
            assert_eq!(head.op, 0);
            (head.t.map(Cow::into_owned), head.s)
        };
        for t in ["null", "7", "[]", "{}", "true", r#""\ud800""#] {
            assert_eq!(of(t, "5"), (None, Some(5)), "{t}");
        }
        for s in [
            "null",
            "-1",
            "1.5",
            r#""5""#,
            "[5]",
            "18446744073709551616",
            "1e300",
            "false",
        ] {
            assert_eq!(of(r#""A""#, s), (Some("A".into()), None), "{s}");
        }
        assert_eq!(
            of(r#""""#, "18446744073709551615"),
            (Some(String::new()), Some(u64::MAX))
        );
        assert_eq!(of(r#""a\nb""#, "5.0"), (Some("a\nb".into()), Some(5)));
        assert_eq!(of("null", "5e2"), (None, Some(500)));
        let bare = peek(r#"{"s":5,"op":0,"d":{}}"#).unwrap();
        assert_eq!((bare.t, bare.s), (None, Some(5)));
        let bare = peek(r#"{"op":0,"d":{"t":"A","s":1,"op":7}}"#).unwrap();
        assert_eq!((bare.op, bare.t, bare.s), (0, None, None));
    }

    #[test]
    fn a_field_that_stands_twice_counts_as_it_stands_first() {
        for payload in [
            r#"{"t":"A","s":1,"op":0,"d":{},"t":"B","s":2,"op":7}"#,
            r#"{"op":0,"t":"A","s":1,"d":{},"t":"B","s":2,"op":7}"#,
        ] {
            let head = peek(payload).unwrap();
            assert_eq!(
                (head.op, head.s, head.t.as_deref()),
                (0, Some(1), Some("A"))
            );
        }
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
            for value in [bytes.clone(), serde_json::to_string(&bytes).unwrap()] {
                _ = peek(&format!(r#"{{"t":{value},"s":1,"op":0}}"#));
                _ = peek(&format!(r#"{{"t":"A","s":{value},"op":0}}"#));
            }
        }
    }
}
