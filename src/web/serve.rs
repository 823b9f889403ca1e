//! Serves a router over HTTP/1.1. A request whose head does not come in time ends its connection: half a
//! request, sent again and again, would hold as many sockets as a process may have.

use std::{convert::Infallible, net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service;

/// How long the head of a request may take, and a connection be idle before the next one.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Pause after a failed accept: out of file descriptors, most likely.
const BREATH: Duration = Duration::from_millis(50);

/// Serves until `closed`, then lets open requests finish. A handler may ask who is at the other end, by
/// [`ConnectInfo`].
pub async fn serve(listener: TcpListener, router: Router, closed: CancellationToken) {
    let open = TaskTracker::new();
    while let Some(accepted) = closed.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                open.spawn(connection(stream, peer, router.clone(), closed.clone()));
            }
            Err(error) => {
                tracing::debug!("cannot accept a connection: {error}");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    open.close();
    open.wait().await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    closed: CancellationToken,
) {
    // A short answer need not wait for more.
    _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let mut router = router.clone();
        request.extensions_mut().insert(ConnectInfo(peer));
        async move {
            let answer: Result<Response, Infallible> = router.call(request.map(Body::new)).await;
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection of {peer} ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn served() -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let who = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
        let (router, closed) = (Router::new().route("/", get(who)), CancellationToken::new());
        tokio::spawn(serve(listener, router, closed.clone()));
        (address, closed)
    }

    async fn told(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn a_request_is_answered_until_the_end() {
        let (address, closed) = served().await;
        let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = told(address, request).await;
        assert!(
            answer.contains("200 OK") && answer.contains("127.0.0.1:"),
            "{answer}"
        );
        closed.cancel();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(TcpStream::connect(address).await.is_err());
    }

    /// In real time: the kernel's sockets know no other.
    #[tokio::test]
    async fn half_a_request_is_not_waited_for() {
        let (address, _closed) = served().await;
        let since = crate::clock::now();
        let halves = ["GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n", ""];
        let halves = halves.map(|half| told(address, half));
        futures_util::future::join_all(halves).await;
        let took = crate::clock::now() - since;
        assert!(took < HEAD_LIMIT + Duration::from_secs(3), "{took:?}");
    }
}
