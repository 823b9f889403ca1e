//! pure. What a request over HTTP wants: leave to IDENTIFY, or something else, which spends nothing.
//!
//! Clients of twilight's gateway-queue send `GET /`, or `GET /?shard=N`; its documentation leaves method,
//! path and headers to them. So whoever names a shard is a client wherever it asks, and `GET /` is one
//! unless it says to be a monitor: most clients take any answer for leave.

use axum::http::Method;

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Leave to IDENTIFY, for this shard; none where it does not say for which.
    Identify(Option<u32>),
    /// The same, but the query names no one shard.
    Unclear,
    /// To know that this listener answers.
    Live,
    /// To know that it reaches NATS, and by it whoever leads.
    Ready,
    /// To know which methods there are.
    Methods,
    /// A method that nothing here takes.
    NotAllowed,
    /// Something that is not here.
    NotFound,
}

impl Call {
    /// Reads a request; `agent` is how it names itself.
    pub fn read(method: &Method, path: &str, query: Option<&str>, agent: Option<&str>) -> Self {
        let asks = *method == Method::GET || *method == Method::POST;
        let looks = *method == Method::GET || *method == Method::HEAD;
        match (path, shard(query)) {
            _ if *method == Method::OPTIONS => Self::Methods,
            (_, Ok(Some(shard))) if asks => Self::Identify(Some(shard)),
            (_, Err(_)) if asks => Self::Unclear,
            ("/live" | "/livez" | "/health" | "/healthz", _) if looks => Self::Live,
            ("/ready" | "/readyz", _) if looks => Self::Ready,
            ("/", _) if looks && (*method == Method::HEAD || is_monitor(agent)) => Self::Live,
            ("/", _) if asks => Self::Identify(None),
            _ if !asks && !looks => Self::NotAllowed,
            _ => Self::NotFound,
        }
    }
}

/// The shard that a query names; none where it names none.
///
/// # Errors
/// Where it names several, or what is no shard.
pub fn shard(query: Option<&str>) -> Result<Option<u32>, &'static str> {
    let mut named =
        query
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| match pair.split_once('=') {
                Some(("shard", value)) => Some(value),
                None if pair == "shard" => Some(""),
                _ => None,
            });
    let Some(value) = named.next() else {
        return Ok(None);
    };
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(shard) if digits && named.next().is_none() => Ok(Some(shard)),
        _ => Err("?shard= takes one number, that of the shard\n"),
    }
}

/// A health check that knows no path but `/`.
fn is_monitor(agent: Option<&str>) -> bool {
    let agent = agent.unwrap_or_default();
    MONITORS.iter().any(|monitor| agent.starts_with(monitor))
}

/// How health checks begin to name themselves: of Kubernetes, the large clouds, Consul and Prometheus.
const MONITORS: [&str; 8] = [
    "kube-probe/",
    "ELB-HealthChecker/",
    "Amazon-Route53-Health-Check-Service",
    "GoogleHC/",
    "GoogleStackdriverMonitoring",
    "Consul Health Check",
    "Prometheus/",
    "Blackbox Exporter/",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_one_shard_or_none() {
        assert_eq!(shard(None), Ok(None));
        assert_eq!(shard(Some("")), Ok(None));
        assert_eq!(shard(Some("a=b")), Ok(None));
        assert_eq!(shard(Some("a=b&shard=17")), Ok(Some(17)));
        for bad in [
            "shard=",
            "shard",
            "shard=x",
            "shard=-1",
            "shard=+1",
            "shard=1&shard=2",
            "shard=99999999999",
            "shard=1%20",
        ] {
            assert!(shard(Some(bad)).is_err(), "{bad}");
        }
    }

    fn read(request: &str) -> Call {
        let (method, target) = request.split_once(' ').unwrap();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        Call::read(&method.parse().unwrap(), path, query, Some("reqwest/0.12"))
    }

    #[test]
    fn what_twilights_clients_send_is_a_call() {
        for (request, shard) in [
            ("GET /", None),
            ("POST /", None),
            ("GET /?a=b", None),
            ("GET /?shard=7", Some(7)),
            ("POST /any/path?a=b&shard=7", Some(7)),
            ("GET /healthz?shard=0", Some(0)),
        ] {
            assert_eq!(read(request), Call::Identify(shard), "{request}");
        }
        assert_eq!(read("GET /?shard=x"), Call::Unclear);
    }

    #[test]
    fn nothing_else_is() {
        for (request, call) in [
            ("HEAD /", Call::Live),
            ("HEAD /?shard=7", Call::Live),
            ("GET /live", Call::Live),
            ("GET /healthz", Call::Live),
            ("HEAD /ready", Call::Ready),
            ("GET /readyz", Call::Ready),
            ("OPTIONS /", Call::Methods),
            ("OPTIONS *", Call::Methods),
            ("OPTIONS /?shard=7", Call::Methods),
            ("PUT /", Call::NotAllowed),
            ("DELETE /?shard=7", Call::NotAllowed),
            ("TRACE /", Call::NotAllowed),
            ("GET /favicon.ico", Call::NotFound),
            ("GET /metrics", Call::NotFound),
            ("GET /robots.txt", Call::NotFound),
            ("GET //", Call::NotFound),
            ("POST /ready", Call::NotFound),
        ] {
            assert_eq!(read(request), call, "{request}");
        }
        for agent in [
            "kube-probe/1.33",
            "ELB-HealthChecker/2.0",
            "Prometheus/3.1.0",
        ] {
            let root = Call::read(&Method::GET, "/", None, Some(agent));
            assert_eq!(root, Call::Live, "{agent}");
            let named = Call::read(&Method::GET, "/", Some("shard=1"), Some(agent));
            assert_eq!(named, Call::Identify(Some(1)));
        }
        assert_eq!(
            Call::read(&Method::GET, "/", None, None),
            Call::Identify(None)
        );
    }
}
