//! REST that answers otherwise than it should: another status, another body, other headers, or none at all.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::super::hub::Hub;
use super::super::listen::HangUp;

/// Largest body that may be asked for: memory stays bounded.
const MOST_PAD: usize = 256 << 20;

/// What REST does instead, as `POST /sim/fault` says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct RestFault {
    /// What follows the version in the path, as `/gateway/bot`; none: every route.
    #[serde(default)]
    pub(in super::super) route: Option<String>,
    #[serde(default)]
    then: Instead,
    /// None: as usual.
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    body: Kind,
    /// The body word for word; `{url}` is the gateway's.
    #[serde(default)]
    text: Option<String>,
    /// So many spaces before the body.
    #[serde(default)]
    pad: usize,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(in super::super) count: Option<u32>,
    #[serde(default)]
    pub(in super::super) for_ms: Option<u64>,
}

/// What becomes of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Instead {
    /// It is answered.
    #[default]
    Answer,
    /// It is taken and never answered.
    Hang,
    /// The connection ends.
    Abort,
    /// The fault is over.
    GoOn,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// As usual.
    #[default]
    Usual,
    /// The first half of it.
    Half,
    /// What Discord says of an error.
    Json,
    /// What a proxy in between says.
    Html,
    Empty,
}

impl RestFault {
    /// What is wrong with it.
    pub(in super::super) fn check(&self) -> Result<(), String> {
        let status = self.status.unwrap_or(200);
        if !(200..600).contains(&status) {
            return Err("status: 200 to 599".to_owned());
        }
        if self.pad > MOST_PAD {
            return Err(format!("pad: at most {MOST_PAD}"));
        }
        if self.headers().len() != self.headers.len() {
            return Err("headers: a name or a value that HTTP does not allow".to_owned());
        }
        Ok(())
    }

    /// Whether it asks for the end of the fault on its route.
    pub(in super::super) fn is_over(&self) -> bool {
        self.then == Instead::GoOn
    }

    /// Whether the usual answer is part of this one; else the request does nothing.
    pub(super) fn wants_usual(&self) -> bool {
        let of_it = matches!(self.body, Kind::Usual | Kind::Half) && self.text.is_none();
        self.then == Instead::Answer && of_it
    }

    /// The answer, given the usual one.
    pub(super) async fn answer(&self, hub: &Hub, url: &str, usual: Response) -> Response {
        match self.then {
            Instead::GoOn => return usual,
            Instead::Abort => return HangUp.into_response(),
            Instead::Hang => {
                hub.shutdown.cancelled().await;
                return HangUp.into_response();
            }
            Instead::Answer => {}
        }
        let (mut parts, body) = usual.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        if let Some(status) = self.status.and_then(|code| StatusCode::from_u16(code).ok()) {
            parts.status = status;
        }
        let mut content = "application/json";
        let body = match (&self.text, self.body) {
            (Some(text), _) => text.replace("{url}", url).into(),
            (None, Kind::Usual) => body.to_vec(),
            (None, Kind::Half) => body.slice(..body.len() / 2).to_vec(),
            (None, Kind::Json) => {
                let reason = parts.status.canonical_reason().unwrap_or_default();
                let message = format!("{}: {reason}", parts.status.as_u16());
                json!({ "message": message, "code": 0 }).to_string().into()
            }
            (None, Kind::Html) => {
                content = "text/html";
                b"<!doctype html><title>simulated</title><p>error code: 1015".to_vec()
            }
            (None, Kind::Empty) => Vec::new(),
        };
        let mut padded = vec![b' '; self.pad];
        padded.extend_from_slice(&body);
        parts.headers.remove(header::CONTENT_LENGTH);
        parts
            .headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
        parts.headers.extend(self.headers());
        Response::from_parts(parts, Body::from(padded))
    }

    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let all = self.headers.iter();
        let valid = all.filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
        valid.collect()
    }
}
