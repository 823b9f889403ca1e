//! What a REST request says, taken out of HTTP: path segments, JSON body, multipart's JSON part, and the
//! rate-limit bucket that its route belongs to.

use axum::http::HeaderValue;
use serde_json::Value;

use super::dice::Dice;

/// The segments of a path, percent-decoded.
pub(super) fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(decoded)
        .collect()
}

/// The JSON of a body, also of the `payload_json` of a form with files. No body is null.
pub(super) fn read(content_type: Option<&HeaderValue>, body: &[u8]) -> Result<Value, ()> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let kind = content_type.and_then(|value| value.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("multipart/form-data")) {
        let text = String::from_utf8_lossy(body);
        let part = text.split_once("name=\"payload_json\"").ok_or(())?.1;
        let json = part.split_once("\r\n\r\n").ok_or(())?.1;
        let end = json.find("\r\n--").ok_or(())?;
        return serde_json::from_str(json.get(..end).ok_or(())?).map_err(drop);
    }
    serde_json::from_slice(body).map_err(drop)
}

/// The bucket of a route: the same for every id in it.
pub(super) fn bucket(method: &str, path: &[String]) -> String {
    let mut parts = vec![0];
    for name in std::iter::once(method).chain(path.iter().map(String::as_str)) {
        let template = if name.len() > 14 { "{id}" } else { name };
        parts.extend(template.bytes().map(u64::from));
    }
    let mut dice = Dice::of(&parts);
    format!("{:016x}{:016x}", dice.next(), dice.next())
}

fn decoded(segment: &str) -> String {
    let mut bytes = segment.bytes();
    let mut out = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        let hex = (byte == b'%').then(|| [bytes.next(), bytes.next()]);
        match hex {
            Some([Some(high), Some(low)]) => {
                let digits = [high, low];
                let text = std::str::from_utf8(&digits).unwrap_or_default();
                out.push(u8::from_str_radix(text, 16).unwrap_or(b'?'));
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_and_decoded() {
        let path = segments("/api/v10/reactions/%F0%9F%8E%89/@me%");
        assert_eq!(path, ["api", "v10", "reactions", "🎉", "@me%"]);
    }

    #[test]
    fn a_form_with_files_carries_its_json() {
        let form = "--x\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\r\n{\"a\":1}\r\n--x--";
        let kind = HeaderValue::from_static("multipart/form-data; boundary=x");
        assert_eq!(read(Some(&kind), form.as_bytes()).unwrap()["a"], 1);
        assert!(read(None, b"{").is_err());
        assert!(read(None, b"").unwrap().is_null());
    }

    #[test]
    fn a_bucket_is_its_routes() {
        let of = |id: &str| bucket("GET", &["channels".to_owned(), id.to_owned()]);
        assert_eq!(of("700000000000000001"), of("700000000000000002"));
        assert_ne!(of("700000000000000001"), of("@me"));
    }
}
