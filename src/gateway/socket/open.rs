//! Opens a connection step by step, so that each step has its own limit and its own error.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context as Poller, Poll, ready},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_websockets::{ClientBuilder, Limits, MaybeTlsStream, WebSocketStream};

use super::{
    super::{lifecycle::State, url::Endpoint},
    inflate::LARGEST,
    proxy::{self, Proxy},
};

/// A WebSocket that is open.
pub(super) type Stream = Box<WebSocketStream<MaybeTlsStream<TcpStream>>>;
/// The trust anchors of this machine, or why there are none.
pub type Tls = Result<TlsConnector, Arc<str>>;

/// How long one of several addresses may take to answer.
const ADDRESS_LIMIT: Duration = Duration::from_secs(4);

/// A connection on its way.
pub(super) struct Opening {
    endpoint: Endpoint,
    tls: Tls,
    proxy: Option<Arc<Proxy>>,
    step: Step,
}

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

enum Step {
    Resolving(Boxed<Vec<SocketAddr>>),
    Connecting(Boxed<TcpStream>),
    Securing(Boxed<MaybeTlsStream<TcpStream>>),
    Upgrading(Boxed<Stream>),
}

/// How far it has come.
pub(super) enum Opened {
    Step(State),
    Open(Stream),
}

impl Opening {
    pub(super) fn new(endpoint: Endpoint, tls: Tls) -> Self {
        let (proxy, resolving): (_, Boxed<Vec<SocketAddr>>) = match proxy::before(&endpoint) {
            Ok(proxy) => {
                let host = proxy.as_ref().map_or(&endpoint.host, |proxy| &proxy.host);
                let port = proxy.as_ref().map_or(endpoint.port, |proxy| proxy.port);
                let resolving = Box::pin(resolve(host.clone(), port));
                (proxy.map(Arc::new), resolving)
            }
            Err(error) => (None, Box::pin(async { Err(error) })),
        };
        Self {
            endpoint,
            tls,
            proxy,
            step: Step::Resolving(resolving),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Poller<'_>) -> Poll<Result<Opened>> {
        let (step, state) = match &mut self.step {
            Step::Resolving(resolving) => {
                let addresses = ready!(resolving.as_mut().poll(cx))?;
                (
                    Step::Connecting(Box::pin(reach(addresses, self.proxy.clone()))),
                    State::Connecting,
                )
            }
            Step::Connecting(connecting) => {
                let tcp = ready!(connecting.as_mut().poll(cx))?;
                if self.endpoint.secure {
                    let tls = self.tls.clone();
                    let securing = secure(tcp, tls, self.endpoint.host.clone());
                    (Step::Securing(Box::pin(securing)), State::Securing)
                } else {
                    self.upgrade(MaybeTlsStream::Plain(tcp))
                }
            }
            Step::Securing(securing) => {
                let stream = ready!(securing.as_mut().poll(cx))?;
                self.upgrade(stream)
            }
            Step::Upgrading(upgrading) => {
                let stream = ready!(upgrading.as_mut().poll(cx))?;
                return Poll::Ready(Ok(Opened::Open(stream)));
            }
        };
        self.step = step;
        Poll::Ready(Ok(Opened::Step(state)))
    }

    fn upgrade(&self, stream: MaybeTlsStream<TcpStream>) -> (Step, State) {
        let upgrading = upgrade(stream, self.endpoint.uri.clone());
        (Step::Upgrading(Box::pin(upgrading)), State::Upgrading)
    }
}

async fn resolve(host: String, port: u16) -> Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host.as_str(), port)).await;
    let addresses: Vec<_> = found
        .with_context(|| format!("cannot resolve {host}"))?
        .collect();
    if addresses.is_empty() {
        bail!("cannot resolve {host}: it has no address");
    }
    Ok(addresses)
}

/// By the proxy, if there is one.
async fn reach(addresses: Vec<SocketAddr>, proxy: Option<Arc<Proxy>>) -> Result<TcpStream> {
    let tcp = connect(addresses).await;
    match proxy {
        Some(proxy) => {
            let tcp = tcp.with_context(|| format!("the proxy {} is not reached", proxy.host))?;
            proxy.tunnel(tcp).await
        }
        None => tcp,
    }
}

async fn connect(addresses: Vec<SocketAddr>) -> Result<TcpStream> {
    let mut failed = anyhow!("there is no address to connect to");
    for address in addresses {
        let connected = tokio::time::timeout(ADDRESS_LIMIT, TcpStream::connect(address)).await;
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Err(error) => {
                failed = anyhow::Error::new(error).context(format!("cannot connect to {address}"));
            }
        }
    }
    Err(failed)
}

async fn secure(tcp: TcpStream, tls: Tls, host: String) -> Result<MaybeTlsStream<TcpStream>> {
    let tls = tls.map_err(|reason| anyhow!("no TLS: {reason}"))?;
    let name = ServerName::try_from(host.clone())
        .with_context(|| format!("{host} is no name that a certificate can have"))?;
    let secured = tls.connect(name, tcp).await;
    let stream = secured.with_context(|| format!("the TLS handshake with {host} failed"))?;
    Ok(MaybeTlsStream::Rustls(stream))
}

async fn upgrade(stream: MaybeTlsStream<TcpStream>, uri: axum::http::Uri) -> Result<Stream> {
    // Compressed, what is larger would not be kept.
    let limits = Limits::default().max_payload_len(Some(LARGEST / 2));
    let builder = ClientBuilder::from_uri(uri).limits(limits);
    let (stream, _) = builder
        .connect_on(stream)
        .await
        .context("the WebSocket upgrade failed")?;
    Ok(Box::new(stream))
}

/// Trusts whom this machine trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
pub fn native_tls() -> Tls {
    // Whichever part of the process comes first installs it; a second time is no fault.
    _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(
            "this machine has no certificate authorities: install its package \
             ca-certificates, or name a file with SSL_CERT_FILE"
                .into(),
        );
    }
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
