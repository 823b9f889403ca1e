//! Turns away who calls this listener by a name that is not this machine's.
//!
//! | request | by which name |
//! | --- | --- |
//! | `GET /live`, `GET /ready` | any, or none: they tell nothing, and probes call them as they like |
//! | any other `GET` | on loopback its own; elsewhere any: Prometheus and people come by DNS |
//! | what changes something | its own, always |

use std::net::SocketAddr;

use axum::{
    extract::{Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::host::is_own;

/// Before every route of the listener at `listen`.
pub(super) async fn guard(
    State(listen): State<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if is_welcome(&request, listen) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, REFUSED).into_response()
    }
}

fn is_welcome(request: &Request, listen: SocketAddr) -> bool {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let path = request.uri().path();
    let open = ["/live", "/ready"].contains(&path) || !listen.ip().to_canonical().is_loopback();
    (reads && open) || is_called_its_own(request, listen, reads)
}

/// Every name that it is called by is its own. A request without one comes from no browser: it may read.
fn is_called_its_own(request: &Request, listen: SocketAddr, reads: bool) -> bool {
    let target = request
        .uri()
        .authority()
        .map(|name| name.as_str().as_bytes());
    let hosts = request.headers().get_all(header::HOST);
    let mut names = hosts
        .iter()
        .map(header::HeaderValue::as_bytes)
        .chain(target)
        .peekable();
    let own = |name: &[u8]| std::str::from_utf8(name).is_ok_and(|name| is_own(name, listen));
    (reads || names.peek().is_some()) && names.all(own)
}

/// Why, and the way out.
const REFUSED: &str = "The Host of this request is not this machine's, so it may come from somebody \
    else's page in your browser. Call it localhost, 127.0.0.1, [::1], or the address of web.listen. A \
    proxy on this machine must send such a Host.\n";

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn welcome(method: Method, path: &str, hosts: &[&str], listen: &str) -> bool {
        let request = Request::builder().method(method).uri(path);
        let request = hosts
            .iter()
            .fold(request, |request, host| request.header("host", *host));
        is_welcome(
            &request.body(Body::empty()).unwrap(),
            listen.parse().unwrap(),
        )
    }

    #[test]
    fn on_loopback_only_probes_may_call_it_anything() {
        let on = |method, path, hosts| welcome(method, path, hosts, "127.0.0.1:9600");
        for path in ["/", "/metrics", "/api/fleet", "/api/live", "/no/such"] {
            assert!(on(Method::GET, path, &["localhost:9600"]), "{path}");
            assert!(on(Method::HEAD, path, &[]), "{path}");
            assert!(!on(Method::GET, path, &["rebind.example"]), "{path}");
            let two = &["localhost", "rebind.example"];
            assert!(!on(Method::GET, path, two), "{path}");
            assert!(!on(Method::POST, path, &["rebind.example"]), "{path}");
        }
        assert!(on(Method::GET, "/live", &["rebind.example"]));
        assert!(on(Method::GET, "/ready", &[]));
        assert!(!on(Method::PUT, "/live", &["rebind.example"]));
        let absolute = "http://rebind.example/metrics";
        assert!(!on(Method::GET, absolute, &["localhost"]));
    }

    #[test]
    fn elsewhere_reading_is_open_and_changing_is_not() {
        for listen in ["0.0.0.0:9600", "[::]:9600", "10.0.0.7:9600"] {
            let on = |method, hosts| welcome(method, "/log", hosts, listen);
            assert!(on(Method::GET, &["gateway-1:9600"]), "{listen}");
            assert!(on(Method::PUT, &["127.0.0.1:9600"]), "{listen}");
            for hosts in [&["gateway-1:9600"][..], &["rebind.example"], &[]] {
                assert!(!on(Method::PUT, hosts), "{hosts:?} on {listen}");
            }
        }
    }
}
