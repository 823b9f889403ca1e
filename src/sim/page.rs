//! The page at `/`: sessions, verdict, and a button for each fault. It holds no data: it reads `/sim`.

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

/// The page.
pub(super) fn serve() -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    (
        [(header::CONTENT_SECURITY_POLICY, policy)],
        Html(include_str!("page.html")),
    )
        .into_response()
}
