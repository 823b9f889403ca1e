//! Pure: `op`, `s` and `t` borrowed from the head of a raw payload, without parsing the rest.
//!
//! Discord sends `{"t":…,"s":…,"op":…,"d":…}`; any other order is still right, by a slower path. What is no
//! name or no number there is none: a dispatch without either is a dispatch all the same. Of a field that
//! stands twice the last one counts, as for whoever reads the payload behind it. What is no UTF-8 within a
//! string costs that string alone.

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
pub fn peek(payload: &(impl AsRef<[u8]> + ?Sized)) -> Option<Head<'_>> {
    let payload = payload.as_ref();
    quick(payload).or_else(|| thorough(payload))
}

/// A payload as text; what is no UTF-8 in it is replaced.
pub fn text(payload: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(payload)
}

/// The same of a payload whose end is not there, as far as its envelope stands in front.
pub fn peek_beginning(payload: &[u8]) -> Option<Head<'_>> {
    if let Some((head, _)) = in_order(payload) {
        return Some(head);
    }
    // What stands before a comma is whole: a number that is cut off would be another one.
    let (whole, _) = payload.utf8_chunks().next()?.valid().rsplit_once(',')?;
    let mut found = [None; 3];
    _ = find(whole, ENVELOPE, &mut found);
    head_of(found)
}

/// The order that Discord sends, and nothing else.
fn quick(payload: &[u8]) -> Option<Head<'_>> {
    let (head, rest) = in_order(payload)?;
    ends_with_data(rest).then_some(head)
}

/// The envelope, and what follows it.
fn in_order(payload: &[u8]) -> Option<(Head<'_>, &[u8])> {
    let rest = payload.strip_prefix(br#"{"t":"#)?;
    let (t, rest) = match rest.strip_prefix(b"\"") {
        Some(rest) => {
            // An escape, and a letter beyond ASCII, are the slower path's.
            let ends = |byte: &u8| matches!(*byte, b'"' | b'\\' | 0x80..);
            let (t, rest) = rest.split_at(rest.iter().position(ends)?);
            let t = std::str::from_utf8(t).ok()?;
            (Some(t), rest.strip_prefix(br#"","s":"#)?)
        }
        None => (None, rest.strip_prefix(br#"null,"s":"#)?),
    };
    let (s, rest) = match rest.strip_prefix(b"null") {
        Some(rest) => (None, rest),
        None => number(rest).map(|(s, rest)| (Some(s), rest))?,
    };
    let (op, rest) = number(rest.strip_prefix(br#","op":"#)?)?;
    // A number that is cut off is another one.
    matches!(rest.first(), Some(b',' | b'}')).then_some(())?;
    let head = Head {
        op: u8::try_from(op).ok()?,
        s,
        t: t.map(Cow::Borrowed),
    };
    Some((head, rest))
}

/// True if nothing, or `d` alone, stands behind the head: one of its fields that stands there again ends
/// otherwise.
fn ends_with_data(rest: &[u8]) -> bool {
    const ENDS: [&[u8]; 5] = [b"}}", b"]}", b"null}", b"true}", b"false}"];
    let has_data = rest.starts_with(br#","d":"#) && ENDS.iter().any(|end| rest.ends_with(end));
    has_data || rest == b"}"
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut digits) = (0_u64, 0);
    for byte in text.iter().take_while(|byte| byte.is_ascii_digit()) {
        number = number.checked_mul(10)?.checked_add((byte - b'0').into())?;
        digits += 1;
    }
    (digits > 0).then(|| (number, &text[digits..]))
}

/// Any order, any white space, any value.
fn thorough(payload: &[u8]) -> Option<Head<'_>> {
    match text(payload) {
        Cow::Borrowed(payload) => envelope(payload),
        Cow::Owned(payload) => envelope(&payload).map(|head| Head {
            t: head.t.map(|t| Cow::Owned(t.into_owned())),
            ..head
        }),
    }
}

/// Its fields.
const ENVELOPE: [&str; 3] = ["op", "s", "t"];

fn envelope(payload: &str) -> Option<Head<'_>> {
    head_of(fields(payload, ENVELOPE)?)
}

fn head_of([op, s, t]: [Option<&RawValue>; 3]) -> Option<Head<'_>> {
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
    let mut found = [None; N];
    find(object, names, &mut found).then_some(found)
}

/// Writes down the values of these keys of an object; false where it is none, behind those that were read.
fn find<'a, const N: usize>(
    object: &'a str,
    names: [&str; N],
    found: &mut [Option<&'a RawValue>; N],
) -> bool {
    struct Fields<'n, 'f, 'a, const N: usize>([&'n str; N], &'f mut [Option<&'a RawValue>; N]);

    impl<'a, const N: usize> Visitor<'a> for Fields<'_, '_, 'a, N> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some((name, value)) = map.next_entry::<Cow<'a, str>, &RawValue>()? {
                if let Some(at) = self.0.iter().position(|one| *one == name) {
                    self.1[at] = Some(value);
                }
            }
            Ok(())
        }
    }

    let mut json = serde_json::Deserializer::from_str(object);
    json.deserialize_map(Fields(names, found)).is_ok() && json.end().is_ok()
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
pub fn resumable(payload: &[u8]) -> bool {
    fields(&text(payload), ["d"]).is_some_and(|[d]| d.is_some_and(|d| d.get() == "true"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_order_that_discord_sends() {
        let head = quick(br#"{"t":"MESSAGE_CREATE","s":42,"op":0,"d":{"op":9}}"#);
        assert_eq!(
            head,
            Some(Head {
                op: 0,
                s: Some(42),
                t: Some("MESSAGE_CREATE".into())
            })
        );
        let head = quick(br#"{"t":null,"s":null,"op":11}"#);
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
    fn the_beginning_of_a_payload_tells_what_it_is() {
        let cut = br#"{"t":"GUILD_CREATE","s":42,"op":0,"d":{"name":"aaaa"#;
        let head = peek_beginning(cut).unwrap();
        assert_eq!((head.op, head.s, peek(&cut[..])), (0, Some(42), None));
        assert_eq!(
            peek_beginning(br#"{"t":"GUILD_CREATE","s":42,"op":0"#),
            None
        );
        for cut in [
            &b"{\"op\": 0,\"s\":42,\"t\":\"A\",\"d\":{\"name\":\"\xc3"[..],
            b"{\"op\":0,\"s\":42,\"d\":[1",
        ] {
            let head = peek_beginning(cut).unwrap();
            assert_eq!((head.op, head.s), (0, Some(42)));
        }
        assert_eq!(peek_beginning(br#"{"d":{"name":"aaaa"#), None);
    }

    #[test]
    fn another_order_is_still_right() {
        let payload = r#"{"d":{"t":"NO","s":1,"op":3},"op":0,"s":7,"t":"TYPING_START"}"#;
        assert_eq!(quick(payload.as_bytes()), None);
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
        assert!(resumable(br#"{"t":null,"s":null,"op":9,"d":true}"#));
        assert!(resumable(br#"{"op":9,"d":false,"d": true}"#));
        for none in [
            &br#"{"t":null,"s":null,"op":9,"d":false}"#[..],
            br#"{"d":"true"}"#,
            b"{}",
            b"\xff",
        ] {
            assert!(!resumable(none));
        }
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
    fn of_a_field_that_stands_twice_the_last_one_counts() {
        for payload in [
            r#"{"t":"A","s":999,"op":7,"d":{},"t":"B","s":2,"op":0}"#,
            r#"{"t":"A","s":999,"op":7,"s":2,"op":0,"d":{},"t":"B"}"#,
            r#"{"t":"B","s":2,"op":7,"op":0,"d":{}}"#,
            r#"{"op":7,"t":"A","s":999,"d":{},"t":"B","s":2,"op":0}"#,
        ] {
            let head = peek(payload).unwrap();
            let read = (head.op, head.s, head.t.as_deref());
            assert_eq!(read, (0, Some(2), Some("B")), "{payload}");
        }
    }

    #[test]
    fn what_is_no_utf_8_costs_its_own_string_alone() {
        let payload = b"{\"t\":\"A\",\"s\":5,\"op\":0,\"d\":{\"name\":\"\xff\xfe\"}}";
        let head = Head {
            op: 0,
            s: Some(5),
            t: Some("A".into()),
        };
        assert_eq!(peek(&payload[..]), Some(head.clone()));
        let payload = b"{\"op\":0,\"d\":{\"name\":\"\xff\"},\"s\":5,\"t\":\"A\"}";
        assert_eq!(peek(&payload[..]), Some(head));
        let payload = b"{\"t\":\"A\xff\",\"s\":5,\"op\":0,\"d\":{}}";
        assert_eq!(peek(&payload[..]).unwrap().t.unwrap(), "A\u{fffd}");
        assert_eq!(peek(&b"{\"t\":\"A\",\"s\":5,\"op\":0,\xff"[..]), None);
    }

    proptest! {
        #[test]
        fn both_paths_agree(t in "[A-Z_]{1,20}", s in 0_u64..1 << 53, op in 0_u8..12) {
            let payload = format!(r#"{{"t":"{t}","s":{s},"op":{op},"d":{{"s":1}}}}"#);
            prop_assert_eq!(quick(payload.as_bytes()), thorough(payload.as_bytes()));
        }

        #[test]
        fn never_panics(bytes in any::<String>(), raw in any::<Vec<u8>>()) {
            _ = (peek(&bytes), peek(&raw), resumable(&raw));
            _ = peek(&format!(r#"{{"t":"{bytes}"#));
            for value in [bytes.clone(), serde_json::to_string(&bytes).unwrap()] {
                _ = peek(&format!(r#"{{"t":{value},"s":1,"op":0}}"#));
                _ = peek(&format!(r#"{{"t":"A","s":{value},"op":0}}"#));
            }
        }
    }
}
