//! Pure: what a READY says of its session, whatever else it says.
//!
//! Every word of Discord's is looked at before it is used: what is no id is none, what is no url is
//! empty, and neither costs the other.

use super::peek::{fields, string, text};

/// A longer id is none: RESUME has to carry it in 4096 bytes, escaped.
const LONGEST_ID: usize = 512;
/// A longer url is none.
const LONGEST_URL: usize = 512;

/// What a READY says of its session.
///
/// <https://discord.com/developers/docs/events/gateway-events#ready>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The session, as Discord names it: any letters.
    pub session_id: String,
    /// Where to RESUME it; empty: where sessions begin.
    pub resume_gateway_url: String,
}

/// Reads a READY's payload; none where it names no session.
pub fn ready(payload: &[u8]) -> Option<Ready> {
    let payload = text(payload);
    let [d] = fields(&payload, ["d"])?;
    let [id, url] = fields(d?.get(), ["session_id", "resume_gateway_url"])?;
    let word = |value: &str| string(value).map(std::borrow::Cow::into_owned);
    let session_id = id.and_then(|id| word(id.get()))?;
    let known = (1..=LONGEST_ID).contains(&session_id.len());
    let url = url.and_then(|url| word(url.get())).unwrap_or_default();
    known.then(|| Ready {
        session_id,
        resume_gateway_url: usable(url),
    })
}

/// The url if a connection can be made to it, else an empty one. What has a query, a fragment or a user is
/// none of Discord's, and nothing could be appended to it.
pub fn usable(url: String) -> String {
    let plain = url.len() <= LONGEST_URL
        && url
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"?#@\\".contains(&byte));
    let is_websocket = url.starts_with("wss://") || url.starts_with("ws://");
    let has_host = || {
        let uri = url.parse::<axum::http::Uri>();
        uri.is_ok_and(|uri| {
            uri.authority().is_some_and(|at| {
                !at.host().is_empty() && (at.port_u16().is_some() || at.host() == at.as_str())
            })
        })
    };
    let is_usable = plain && is_websocket && has_host();
    if is_usable { url } else { String::new() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(id: &str, url: &str) -> Option<Ready> {
        let d = format!(r#"{{"v":10,"session_id":{id},"resume_gateway_url":{url},"guilds":[]}}"#);
        ready(format!(r#"{{"t":"READY","s":1,"op":0,"d":{d}}}"#).as_bytes())
    }

    #[test]
    fn a_ready_says_where_to_resume() {
        let ready = of(r#""a""#, r#""wss://gateway-us-east1-b.discord.gg""#).unwrap();
        assert_eq!(ready.session_id, "a");
        assert_eq!(
            ready.resume_gateway_url,
            "wss://gateway-us-east1-b.discord.gg"
        );
        for url in [
            "ws://127.0.0.1:7700/resume",
            "wss://h:443",
            "wss://[::1]:1/",
        ] {
            assert_eq!(usable(url.to_owned()), url);
        }
    }

    #[test]
    fn a_url_that_is_none_costs_the_session_nothing() {
        let far = format!(r#""wss://{}""#, "h".repeat(600));
        for url in [
            "7",
            "null",
            "true",
            "[]",
            "{}",
            r#""""#,
            r#""not a url""#,
            r#""wss://""#,
            r#""wss://?""#,
            r#""wss:///path""#,
            r#""https://h""#,
            r#""h""#,
            r#""wss://h?v=9""#,
            r#""wss://h/#f""#,
            r#""wss://u:p@h""#,
            r#""wss://h h""#,
            r#""wss://h\r\nX: y""#,
            r#""wss://h:99999""#,
            r#""wss://h:""#,
            r#""wss://:443""#,
            r#""wss://\u00e9""#,
            r#""\ud800""#,
            &far,
        ] {
            let ready = of(r#""a""#, url).unwrap_or_else(|| panic!("{url}"));
            assert_eq!(
                (&*ready.session_id, &*ready.resume_gateway_url),
                ("a", ""),
                "{url}"
            );
        }
        let bare = br#"{"t":"READY","s":1,"op":0,"d":{"session_id":"a"}}"#;
        assert_eq!(ready(bare).unwrap().resume_gateway_url, "");
    }

    #[test]
    fn a_session_is_named_by_a_string_and_nothing_else() {
        let long = format!(r#""{}""#, "x".repeat(513));
        for none in ["7", "null", "[]", r#""""#, r#""\ud800""#, &long] {
            assert_eq!(of(none, r#""wss://h""#), None, "{none}");
        }
        for d in ["null", "7", "[]", "{}", r#"{"user":{"session_id":"a"}}"#] {
            let payload = format!(r#"{{"t":"READY","s":1,"op":0,"d":{d}}}"#);
            assert_eq!(ready(payload.as_bytes()), None, "{d}");
        }
        for none in [&b"{}"[..], b"", b"\xff", br#"{"d":{"session_id":"a"}"#] {
            assert_eq!(ready(none), None);
        }
        assert_eq!(of(r#""cr\r\nlf""#, "7").unwrap().session_id, "cr\r\nlf");
        // A name of a user that is no text is nobody's business.
        let other = br#"{"d":{"user":{"username":"\ud800"},"session_id":"a","session_id":"b"}}"#;
        assert_eq!(ready(other).unwrap().session_id, "b");
        let other = b"{\"d\":{\"user\":{\"username\":\"\xff\"},\"session_id\":\"a\"}}";
        assert_eq!(ready(other).unwrap().session_id, "a");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in any::<Vec<u8>>(), id in any::<String>(), url in any::<String>()) {
            _ = ready(&bytes);
            let quoted = |text: &str| serde_json::to_string(text).unwrap();
            if let Some(ready) = of(&quoted(&id), &quoted(&url)) {
                prop_assert_eq!(ready.session_id, id);
            }
            _ = usable(format!("wss://{url}"));
        }
    }
}
