//! A gateway client that does nothing by itself and hides nothing.

use std::io::Write;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::support::{LIMIT, hash};

pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// Every documented intent.
pub(crate) const ALL_INTENTS: u64 = 53_608_447;

enum Decoder {
    Plain,
    Zlib(Box<flate2::Decompress>, Vec<u8>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Vec<u8>>>),
}

pub(crate) struct Client {
    socket: WebSocketStream<Box<dyn Socket>>,
    decoder: Decoder,
    /// Last sequence, and session id.
    pub(crate) seq: u64,
    pub(crate) session: String,
    /// (sequence, hash) of every dispatch.
    pub(crate) got: Vec<(u64, String)>,
    /// Length of the last message, before decompression.
    pub(crate) last_bytes: usize,
    /// The connection ended with a RST.
    pub(crate) reset: bool,
    /// Dispatches need not look like Discord's.
    pub(crate) lenient: bool,
}

/// What a client hears.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Payload(Value),
    Closed(Option<u16>),
    /// The connection ended without a close frame.
    Cut,
}

impl Client {
    pub(crate) async fn try_connect(address: SocketAddr, path: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(Box::new(stream), &format!("ws://{address}{path}")).await
    }

    pub(crate) async fn over(stream: Box<dyn Socket>, url: &str) -> Result<Self, Error> {
        let (socket, _) = timeout(LIMIT, client_async_with_config(url, stream, Some(large())))
            .await
            .unwrap()?;
        let decoder = if url.contains("zlib-stream") {
            Decoder::Zlib(Box::new(flate2::Decompress::new(true)), Vec::new())
        } else if url.contains("zstd-stream") {
            Decoder::Zstd(Box::new(
                zstd::stream::write::Decoder::new(Vec::new()).unwrap(),
            ))
        } else {
            Decoder::Plain
        };
        Ok(Self {
            socket,
            decoder,
            seq: 0,
            session: String::new(),
            got: Vec::new(),
            last_bytes: 0,
            reset: false,
            lenient: false,
        })
    }

    /// Connected and greeted.
    pub(crate) async fn hello(address: SocketAddr, query: &str) -> Self {
        let mut client = Self::try_connect(address, &format!("/?v=10&encoding=json{query}"))
            .await
            .unwrap();
        let hello = client.payload().await;
        assert_eq!(hello["op"], 10);
        assert!(hello["d"]["heartbeat_interval"].is_u64());
        client
    }

    /// Connected, identified, and READY read.
    pub(crate) async fn ready(address: SocketAddr, query: &str, shard: (u32, u32)) -> Self {
        let mut client = Self::hello(address, query).await;
        client.identify(shard).await;
        let ready = client.until("READY").await;
        assert_eq!(ready["d"]["shard"], json!([shard.0, shard.1]));
        client
    }

    /// On a new socket, this session resumed; what follows is not read yet.
    pub(crate) async fn resume(&self, address: SocketAddr, query: &str) -> Self {
        let mut next = Self::try_connect(address, &format!("/resume/?v=10&encoding=json{query}"))
            .await
            .unwrap();
        assert_eq!(next.payload().await["op"], 10);
        next.send_resume("simulated", &self.session, self.seq).await;
        (next.seq, next.session) = (self.seq, self.session.clone());
        next
    }

    pub(crate) async fn identify(&mut self, shard: (u32, u32)) {
        self.send(&identify(
            "simulated",
            &json!([shard.0, shard.1]),
            &json!(ALL_INTENTS),
        ))
        .await;
    }

    pub(crate) async fn send_resume(&mut self, token: &str, session: &str, seq: u64) {
        let d = json!({ "token": token, "session_id": session, "seq": seq });
        self.send(&json!({ "op": 6, "d": d })).await;
    }

    pub(crate) async fn send(&mut self, payload: &Value) {
        self.send_text(&payload.to_string()).await;
    }

    /// Sends; a peer that is gone is no failure here.
    pub(crate) async fn send_text(&mut self, text: &str) {
        let _ = self.socket.send(Message::text(text)).await;
    }

    pub(crate) async fn close(&mut self, code: u16) {
        let frame = CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        let _ = self.socket.close(Some(frame)).await;
    }

    /// The next thing heard.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            let message = match timeout(LIMIT, self.socket.next())
                .await
                .expect("nothing heard")
            {
                Some(Err(Error::Io(error))) => {
                    self.reset = error.kind() == std::io::ErrorKind::ConnectionReset;
                    return Heard::Cut;
                }
                None | Some(Err(_)) => return Heard::Cut,
                Some(Ok(Message::Close(frame))) => {
                    return Heard::Closed(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(message)) => message,
            };
            self.last_bytes = message.len();
            let Some(payload) = self.decode(&message.into_data()) else {
                continue;
            };
            let Ok(value) = serde_json::from_slice::<Value>(&payload) else {
                return Heard::Payload(Value::from("garbage"));
            };
            if value["op"] == 0 && !self.lenient {
                let seq = value["s"].as_u64().unwrap();
                self.got.push((seq, hash(&payload)));
                self.seq = seq;
                let event = value["t"].as_str().unwrap();
                let head = format!(r#"{{"t":"{event}","s":{seq},"op":0,"d":"#);
                assert!(payload.starts_with(head.as_bytes()), "key order");
                if event == "READY" {
                    value["d"]["session_id"]
                        .as_str()
                        .unwrap()
                        .clone_into(&mut self.session);
                }
            }
            return Heard::Payload(value);
        }
    }

    pub(crate) async fn payload(&mut self) -> Value {
        match self.hear().await {
            Heard::Payload(value) => value,
            other => panic!("{other:?}"),
        }
    }

    /// Reads until a dispatch of this name.
    pub(crate) async fn until(&mut self, event: &str) -> Value {
        for _ in 0..20_000 {
            let payload = self.payload().await;
            if payload["t"] == event {
                return payload;
            }
        }
        panic!("no {event}");
    }

    /// Reads over dispatches until another op.
    pub(crate) async fn op(&mut self) -> Value {
        for _ in 0..20_000 {
            let payload = self.payload().await;
            if payload["op"] != 0 {
                return payload;
            }
        }
        panic!("no op");
    }

    /// Reads over everything until the end.
    pub(crate) async fn end(&mut self) -> Heard {
        for _ in 0..50_000 {
            match self.hear().await {
                Heard::Payload(_) => {}
                end => return end,
            }
        }
        panic!("no end");
    }

    pub(crate) async fn read(&mut self, count: usize) {
        let wanted = self.got.len() + count;
        while self.got.len() < wanted {
            self.payload().await;
        }
    }

    fn decode(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        match &mut self.decoder {
            // Payload compression: stand-alone zlib messages among plain ones.
            Decoder::Plain if data.first() == Some(&0x78) => {
                let mut out = Vec::new();
                std::io::copy(&mut flate2::read::ZlibDecoder::new(data), &mut out).unwrap();
                Some(out)
            }
            Decoder::Plain => Some(data.to_vec()),
            Decoder::Zlib(inflate, waiting) => {
                waiting.extend_from_slice(data);
                if !waiting.ends_with(&[0, 0, 0xFF, 0xFF]) {
                    return None;
                }
                let mut out = Vec::with_capacity(1 << 16);
                let mut read = 0;
                while read < waiting.len() {
                    let before = inflate.total_in();
                    out.reserve(1 << 16);
                    if inflate
                        .decompress_vec(&waiting[read..], &mut out, flate2::FlushDecompress::Sync)
                        .is_err()
                    {
                        return Some(b"garbage".to_vec());
                    }
                    read += usize::try_from(inflate.total_in() - before).unwrap();
                }
                waiting.clear();
                Some(out)
            }
            Decoder::Zstd(decoder) => {
                if decoder
                    .write_all(data)
                    .and_then(|()| decoder.flush())
                    .is_err()
                {
                    return Some(b"garbage".to_vec());
                }
                Some(std::mem::take(decoder.get_mut()))
            }
        }
    }
}

/// As large as any test asks for.
fn large() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(None)
        .max_frame_size(None)
}

pub(crate) fn identify(token: &str, shard: &Value, intents: &Value) -> Value {
    let properties = json!({ "os": "linux", "browser": "test", "device": "test" });
    json!({ "op": 2, "d": { "token": token, "properties": properties, "shard": shard, "intents": intents } })
}
