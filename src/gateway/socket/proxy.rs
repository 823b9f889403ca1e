//! The way through an HTTP proxy, as the environment names it: REST goes by `HTTPS_PROXY` too, and a `check`
//! that does while the sockets go direct would promise what the fleet cannot do.

use std::sync::LazyLock;

use anyhow::{Context, Result, bail, ensure};
use axum::http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::super::url::Endpoint;

/// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or not, as curl reads them.
static MATCHER: LazyLock<Matcher> = LazyLock::new(Matcher::from_env);
/// A longer answer is none of a proxy's.
const LONGEST_ANSWER: usize = 8 << 10;

/// A proxy, and where it is to connect.
pub(super) struct Proxy {
    /// For the name service.
    pub(super) host: String,
    /// As named, or 80.
    pub(super) port: u16,
    login: Option<HeaderValue>,
    target: String,
}

/// The proxy that stands before an endpoint; none: it is reached directly.
///
/// # Errors
/// A proxy that is not asked by HTTP.
pub(super) fn before(endpoint: &Endpoint) -> Result<Option<Proxy>> {
    of(&MATCHER, endpoint)
}

fn of(matcher: &Matcher, endpoint: &Endpoint) -> Result<Option<Proxy>> {
    let target = target(endpoint);
    let scheme = if endpoint.secure { "https" } else { "http" };
    let uri: Uri = format!("{scheme}://{target}")
        .parse()
        .context("the gateway's address is none")?;
    let Some(found) = matcher.intercept(&uri) else {
        return Ok(None);
    };
    let host = found.uri().host().unwrap_or_default();
    let scheme = found.uri().scheme_str().unwrap_or_default();
    ensure!(
        scheme == "http" && !host.is_empty(),
        "the proxy of the environment is asked by {scheme}://, and the gateway's sockets know http:// alone: \
         name another in HTTPS_PROXY, or this host in NO_PROXY"
    );
    Ok(Some(Proxy {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: found.uri().port_u16().unwrap_or(80),
        login: found.basic_auth().cloned(),
        target,
    }))
}

/// Host and port, as CONNECT wants them.
fn target(Endpoint { host, port, .. }: &Endpoint) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

impl Proxy {
    /// Has it connect on.
    ///
    /// <https://www.rfc-editor.org/rfc/rfc9110#name-connect>
    ///
    /// # Errors
    /// What it answers instead, without what it was sent.
    pub(super) async fn tunnel(&self, mut tcp: TcpStream) -> Result<TcpStream> {
        let target = &self.target;
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(login) = &self.login {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(login.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        tcp.write_all(&request).await?;
        // What follows the answer is the target's: it is read a byte at a time, once a connection.
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= LONGEST_ANSWER {
                bail!("the proxy's answer to CONNECT does not end");
            }
            let byte = tcp.read_u8().await;
            answer.push(byte.context("the proxy closed before it answered CONNECT")?);
        }
        let line = answer.split(|byte| *byte == b'\r').next();
        let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
        let status = line.split(' ').nth(1).unwrap_or_default();
        ensure!(
            line.starts_with("HTTP/1.") && status.len() == 3 && status.starts_with('2'),
            "the proxy {}:{} does not connect to {target}: it answers {line:?}",
            self.host,
            self.port
        );
        Ok(tcp)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        Endpoint::parse(url).unwrap()
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let matcher = Matcher::builder()
            .https("http://user:pass@proxy:3128")
            .no("127.0.0.1,.internal")
            .build();
        let found = of(&matcher, &endpoint("wss://gateway.discord.gg"))
            .unwrap()
            .unwrap();
        assert_eq!((&*found.host, found.port), ("proxy", 3128));
        assert_eq!(found.target, "gateway.discord.gg:443");
        assert!(found.login.is_some());
        for direct in [
            "wss://127.0.0.1:7",
            "wss://a.internal",
            "ws://gateway.discord.gg",
        ] {
            assert!(
                of(&matcher, &endpoint(direct)).unwrap().is_none(),
                "{direct}"
            );
        }
        let socks = Matcher::builder().https("socks5://proxy:1080").build();
        assert!(of(&socks, &endpoint("wss://gateway.discord.gg")).is_err());
    }

    #[tokio::test]
    async fn what_a_proxy_refuses_is_told_without_the_login() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = [
            "HTTP/1.1 407 Who are you\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nx",
            "junk\r\n\r\n",
        ];
        let serving = tokio::spawn(async move {
            let mut heard = Vec::new();
            for answer in answers {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let mut bytes = [0; 1024];
                let read = tcp.read(&mut bytes).await.unwrap();
                heard.push(String::from_utf8_lossy(&bytes[..read]).into_owned());
                tcp.write_all(answer.as_bytes()).await.unwrap();
            }
            heard
        });
        let matcher = Matcher::builder()
            .https(format!("http://user:hunter2@{address}"))
            .build();
        let proxy = of(&matcher, &endpoint("wss://gateway.discord.gg"))
            .unwrap()
            .unwrap();
        let connect = async || TcpStream::connect(address).await.unwrap();
        let refused = proxy.tunnel(connect().await).await.unwrap_err().to_string();
        assert!(refused.contains("407 Who are you"), "{refused}");
        assert!(!refused.contains("hunter2"));
        let mut tcp = proxy.tunnel(connect().await).await.unwrap();
        assert_eq!(
            tcp.read_u8().await.unwrap(),
            b'x',
            "nothing is read too much"
        );
        assert!(proxy.tunnel(connect().await).await.is_err());
        let heard = serving.await.unwrap();
        assert!(heard[0].starts_with("CONNECT gateway.discord.gg:443 HTTP/1.1\r\n"));
        assert!(heard[0].contains("Proxy-Authorization: Basic dXNlcjpodW50ZXIy\r\n"));
    }
}
