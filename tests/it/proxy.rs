//! A network that lets nobody out but by its HTTP proxy.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::support::fleet::Fleet;

/// Connects on for whoever asks; returns its address, and how many it has connected.
async fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connected = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connected);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    asked.push(client.read_u8().await.ok()?);
                }
                let asked = String::from_utf8(asked).ok()?;
                let target = asked.strip_prefix("CONNECT ")?.split(' ').next()?;
                let mut server = TcpStream::connect(target).await.ok()?;
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
                counted.fetch_add(1, Ordering::Relaxed);
                copy_bidirectional(&mut client, &mut server).await.ok()
            });
        }
    });
    (format!("http://{address}"), connected)
}

/// `check`, REST and the gateway's sockets go the same way.
#[tokio::test(flavor = "multi_thread")]
async fn the_sockets_go_by_the_proxy_of_the_environment() {
    let mut fleet = Fleet::start().over_tls().await;
    fleet.flow(200).await;
    let before = fleet.discord.figures().await;
    let (address, connected) = proxy().await;
    fleet.variables.push(("HTTPS_PROXY", address));
    for none in ["NO_PROXY", "no_proxy"] {
        fleet.variables.push((none, String::new()));
    }
    fleet.kill_gateway(0);
    fleet.restart_gateway(0);
    fleet.resumed_since(&before, 4).await;
    fleet.flow(200).await;
    let connections = connected.load(Ordering::Relaxed);
    assert!(connections > 4, "{connections}: four shards, and REST");
    assert_eq!(fleet.audit().await.gaps, 0);
}
