//! A Discord that does nothing but send: every shard the same frames, encoded before.

use std::{
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, watch},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{blob, blob::Blob, payloads};

/// Written at once when flat out.
const CHUNK: usize = 64;
/// <https://discord.com/developers/docs/events/gateway#hello-event>
const HEARTBEAT_MS: u32 = 41_250;

/// What every shard sends next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Order {
    /// Up to this event of the blob, which is not sent.
    pub(crate) until: usize,
    /// Between two frames of one shard; none: flat out.
    pub(crate) every: Option<Duration>,
}

/// The generator, shared by its connections.
pub(crate) struct Generator {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    blob: Arc<Blob>,
    shards: u32,
    orders: watch::Sender<Order>,
    ready: AtomicU32,
    sent: AtomicU64,
    resumes: AtomicU64,
    started: Instant,
    /// Nanoseconds after the start at which each event was sent, a row a shard; empty: not asked for.
    times: Vec<Vec<AtomicU64>>,
}

impl Generator {
    /// Listens. With `timed`, remembers when each of the first so many events was sent.
    pub(crate) async fn start(blob: Arc<Blob>, shards: u32, timed: usize) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let row = || (0..timed).map(|_| AtomicU64::new(0)).collect();
        let generator = Arc::new(Self {
            address: listener.local_addr().expect("it is bound"),
            blob,
            shards,
            orders: watch::channel(Order::default()).0,
            ready: AtomicU32::new(0),
            sent: AtomicU64::new(0),
            resumes: AtomicU64::new(0),
            started: Instant::now(),
            times: (0..shards).map(|_| row()).collect(),
        });
        let serving = Arc::downgrade(&generator);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Some(generator) = serving.upgrade() else {
                    break;
                };
                tokio::spawn(async move { generator.serve(socket).await });
            }
        });
        generator
    }

    /// Every shard sends.
    pub(crate) fn order(&self, order: Order) {
        self.orders.send_replace(order);
    }

    /// Shards that got their READY.
    pub(crate) fn ready(&self) -> u32 {
        self.ready.load(Ordering::Relaxed)
    }

    /// Events sent by all shards.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// RESUMEs asked for: a run in which a connection broke counts for nothing.
    pub(crate) fn resumes(&self) -> u64 {
        self.resumes.load(Ordering::Relaxed)
    }

    /// How long ago this event was sent.
    pub(crate) fn age(&self, shard: usize, seq: u64) -> Option<Duration> {
        let event = usize::try_from(seq.checked_sub(blob::FIRST_SEQ)?).ok()?;
        let sent = self.times.get(shard)?.get(event)?.load(Ordering::Relaxed);
        (sent > 0).then(|| {
            self.started
                .elapsed()
                .saturating_sub(Duration::from_nanos(sent))
        })
    }

    async fn serve(self: &Arc<Self>, socket: TcpStream) {
        _ = socket.set_nodelay(true);
        let (read, mut write) = socket.into_split();
        let mut read = BufReader::new(read);
        let Some(key) = request(&mut read).await else {
            return;
        };
        let Some(key) = key else {
            _ = write.write_all(self.bot().as_bytes()).await;
            return;
        };
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        let hello =
            json!({ "t": null, "s": null, "op": 10, "d": { "heartbeat_interval": HEARTBEAT_MS } });
        let mut first = head.into_bytes();
        first.extend(blob::whole(&hello.to_string()));
        if write.write_all(&first).await.is_err() {
            return;
        }
        self.session(read, Arc::new(Mutex::new(write))).await;
    }

    /// What `GET /gateway/bot` answers.
    fn bot(&self) -> String {
        let body = json!({
            "url": format!("ws://{}", self.address), "shards": self.shards,
            "session_start_limit": {
                "total": 100_000, "remaining": 100_000, "reset_after": 80_000_000,
                "max_concurrency": self.shards,
            },
        })
        .to_string();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    async fn session(
        self: &Arc<Self>,
        mut read: BufReader<OwnedReadHalf>,
        write: Arc<Mutex<OwnedWriteHalf>>,
    ) {
        let mut shard = None;
        let sending = async {
            let shard: u32 = loop {
                let payload = client_payload(&mut read).await?;
                match payload["op"].as_u64()? {
                    2 => break u32::try_from(payload["d"]["shard"][0].as_u64()?).ok()?,
                    6 => _ = self.resumes.fetch_add(1, Ordering::Relaxed),
                    _ => {}
                }
            };
            Some(shard)
        };
        if let Some(identified) = sending.await {
            shard = Some(identified);
        }
        let Some(shard) = shard else { return };
        let url = format!("ws://{}", self.address);
        let session = format!("{:032x}", u128::from(shard) + (1 << 100));
        let ready = blob::whole(&payloads::ready(&session, &url, shard, self.shards));
        if write.lock().await.write_all(&ready).await.is_err() {
            return;
        }
        self.ready.fetch_add(1, Ordering::Relaxed);
        let acks = async {
            let ack = blob::text(r#"{"t":null,"s":null,"op":11,"d":null}"#);
            while let Some(payload) = client_payload(&mut read).await {
                if payload["op"] == 1 && write.lock().await.write_all(&ack).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = acks => {}
            _ = self.send(shard, &write) => {}
        }
    }

    /// Does as ordered until the connection ends.
    async fn send(self: &Arc<Self>, shard: u32, write: &Arc<Mutex<OwnedWriteHalf>>) -> Option<()> {
        let mut orders = self.orders.subscribe();
        let mut at = 0;
        loop {
            let order = *orders.wait_for(|order| order.until > at).await.ok()?;
            if let Some(every) = order.every {
                let (generator, write) = (Arc::clone(self), Arc::clone(write));
                let sent = move || generator.pace(shard, &write, at..order.until, every);
                tokio::task::spawn_blocking(sent).await.ok()??;
                at = order.until;
            }
            while at < order.until {
                let to = order.until.min(at + CHUNK);
                self.write(shard, write, at, to).await?;
                at = to;
            }
        }
    }

    /// One frame a write, on a thread of its own: tokio's timers tick once a millisecond, and would have
    /// several shards write at one moment, which gathers work for whoever reads.
    fn pace(
        &self,
        shard: u32,
        write: &Mutex<OwnedWriteHalf>,
        events: Range<usize>,
        every: Duration,
    ) -> Option<()> {
        let runtime = tokio::runtime::Handle::current();
        // Staggered over the time between two frames.
        let mut due = Instant::now() + every * shard / self.shards;
        for at in events {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            runtime.block_on(self.write(shard, write, at, at + 1))?;
            due += every;
        }
        Some(())
    }

    async fn write(
        &self,
        shard: u32,
        write: &Mutex<OwnedWriteHalf>,
        from: usize,
        to: usize,
    ) -> Option<()> {
        self.stamp(shard, from, to);
        let frames = self.blob.frames(from, to);
        write.lock().await.write_all(frames).await.ok()?;
        self.sent.fetch_add((to - from) as u64, Ordering::Relaxed);
        Some(())
    }

    fn stamp(&self, shard: u32, from: usize, to: usize) {
        let row = &self.times[shard as usize];
        if row.is_empty() {
            return;
        }
        let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        for time in row.iter().take(to).skip(from) {
            time.store(now, Ordering::Relaxed);
        }
    }
}

/// Reads the head of a request: the key of a WebSocket, or that it is none.
async fn request(read: &mut BufReader<OwnedReadHalf>) -> Option<Option<String>> {
    let mut key = None;
    let mut line = String::new();
    loop {
        line.clear();
        if read.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.split_once(':') else {
            if line.trim().is_empty() {
                return Some(key);
            }
            continue;
        };
        if name.eq_ignore_ascii_case("sec-websocket-key") {
            key = Some(value.trim().to_owned());
        }
    }
}

/// The next text of a client; RFC 6455, 5.2. Clients send nothing long here.
async fn client_payload(read: &mut BufReader<OwnedReadHalf>) -> Option<Value> {
    loop {
        let mut head = [0; 2];
        read.read_exact(&mut head).await.ok()?;
        let mut length = usize::from(head[1] & 0x7f);
        if length == 126 {
            length = usize::from(read.read_u16().await.ok()?);
        }
        let mut mask = [0; 4];
        read.read_exact(&mut mask).await.ok()?;
        let mut payload = vec![0; length];
        read.read_exact(&mut payload).await.ok()?;
        for (index, byte) in payload.iter_mut().enumerate() {
            *byte ^= mask[index % 4];
        }
        match head[0] & 0x0f {
            1 => return serde_json::from_slice(&payload).ok(),
            8 => return None,
            _ => {}
        }
    }
}
