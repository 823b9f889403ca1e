//! How much one simulator can send: `make bench-sim`. It runs the simulator as a process of its own, opens raw
//! connections that count messages without looking into them, and raises the rate until it is no longer met.
//!
//! `SHARDS` (1024), `STEP_SECONDS` (10), `RATE` to start with (25000), `COMPRESS` (zstd-stream; empty:
//! plain), `FLAGS` for the simulator (--pre-encoded). Linux only: CPU and memory come from /proc.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what it measures is what it prints"
)]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use shardfleet::clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// Steps of the rate, each a quarter more than the one before.
const MOST_STEPS: usize = 20;
/// A rate counts as met from this share of it on.
const MET: f64 = 0.97;
/// Longest wait for every session to be ready.
const READY: Duration = Duration::from_secs(120);

type Failure = Box<dyn Error + Send + Sync>;

struct Settings {
    shards: u64,
    seconds: u64,
    rate: u64,
    compress: String,
    flags: String,
}

/// The simulator; it ends with this.
struct Simulator {
    child: Child,
    address: String,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("cannot end the simulator: {error}");
        }
    }
}

/// What the simulator and its clients had done at one time.
struct Reading {
    at: tokio::time::Instant,
    sent: u64,
    heard: u64,
    cpu_ticks: u64,
}

fn main() -> Result<(), Failure> {
    // `cargo test --all-targets` runs this too, and wants no figures.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    let settings = Settings::read()?;
    // reqwest brings no TLS provider of its own, and wants one even where nothing is encrypted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // One thread: the clients leave the other cores to the simulator.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(measure(&settings))
}

async fn measure(settings: &Settings) -> Result<(), Failure> {
    let simulator = Simulator::start(settings)?;
    let heard = Arc::new(AtomicU64::new(0));
    for shard in 0..settings.shards {
        let stream = open(&simulator.address, shard, settings).await?;
        tokio::spawn(count(stream, Arc::clone(&heard)));
    }
    let start = clock::now();
    while number(&simulator.state().await?, "ready")? < settings.shards {
        if start.elapsed() > READY {
            return Err("not every session became ready".into());
        }
        sleep(Duration::from_millis(200)).await;
    }
    println!(
        "{} shards, compress={:?}, {}",
        settings.shards, settings.compress, settings.flags
    );
    println!("asked/s     sent  heard      events/s  CPU µs/event  cores  RSS MiB");
    let (mut rate, mut ceiling) = (settings.rate, 0.0_f64);
    for _ in 0..MOST_STEPS {
        simulator.ask_for(rate).await?;
        // The step before is still in the sockets; before the first, bodies have to be written.
        sleep(Duration::from_secs(2)).await;
        let before = simulator.reading(&heard).await?;
        sleep(Duration::from_secs(settings.seconds)).await;
        let after = simulator.reading(&heard).await?;
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let (sent, got) = (after.sent - before.sent, after.heard - before.heard);
        let cpu = (after.cpu_ticks - before.cpu_ticks) as f64 / ticks_per_second()?;
        let met = got as f64 / seconds;
        println!(
            "{rate:>7} {sent:>8} {got:>6} {met:>13.0} {:>13.2} {:>6.2} {:>8}",
            cpu * 1e6 / (sent.max(1) as f64),
            cpu / seconds,
            simulator.rss_mib()?
        );
        ceiling = ceiling.max(met);
        if met < rate as f64 * MET {
            break;
        }
        rate += rate / 4;
    }
    println!("ceiling: {ceiling:.0} events/s");
    let verdict = simulator.get("/sim/verdict").await?;
    println!(
        "broken rules: {}, record whole: {}, sessions lost: {}",
        verdict["violation_count"],
        verdict["record_full"] == false,
        verdict["sessions"].as_array().map_or(0, |all| all
            .iter()
            .filter(|one| one["connected"] == false)
            .count())
    );
    Ok(())
}

impl Settings {
    fn read() -> Result<Self, Failure> {
        let text =
            |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let number = |name: &str, default: &str| {
            let text = text(name, default);
            let number = text.parse::<u64>().ok().filter(|number| *number > 0);
            number.ok_or_else(|| format!("{name}={text}: a number from 1"))
        };
        Ok(Self {
            shards: number("SHARDS", "1024")?,
            seconds: number("STEP_SECONDS", "10")?,
            rate: number("RATE", "25000")?,
            compress: text("COMPRESS", "zstd-stream"),
            flags: text("FLAGS", "--pre-encoded"),
        })
    }
}

impl Simulator {
    fn start(settings: &Settings) -> Result<Self, Failure> {
        let shards = settings.shards.to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_shardfleet"))
            .args(["sim", "--listen", "127.0.0.1:0", "--shards", &shards])
            .args(["--events-per-second", "0", "--identify-window", "0ms"])
            .args(["--session-start-total", &shards])
            // Nobody here sends heartbeats.
            .args(["--heartbeat-interval-ms", "3600000"])
            // What bounds its memory: a quarter of a MiB a shard, and 32 bytes an event.
            .args(["--replay-buffer", "250", "--replay-bytes", "262144"])
            .args(["--guilds-per-shard", "4"])
            .args(settings.flags.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line
            .trim_end()
            .strip_prefix("simulated Discord at http://")
            .ok_or_else(|| format!("the simulator did not start: {line}"))?
            .to_owned();
        Ok(Self { child, address })
    }

    async fn reading(&self, heard: &AtomicU64) -> Result<Reading, Failure> {
        let sent = number(&self.state().await?, "sent")?;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name may hold spaces; user and system time are fields 14 and 15.
        let fields = stat.rsplit_once(')').ok_or("no stat")?.1;
        let ticks = fields.split_whitespace().skip(11).take(2);
        Ok(Reading {
            at: clock::now(),
            sent,
            heard: heard.load(Ordering::Relaxed),
            cpu_ticks: ticks.filter_map(|field| field.parse::<u64>().ok()).sum(),
        })
    }

    fn rss_mib(&self) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.ok_or("no VmRSS")?.parse::<u64>()? / 1024)
    }

    async fn ask_for(&self, rate: u64) -> Result<(), Failure> {
        let body = json!({ "events_per_second": rate }).to_string();
        self.call("POST", "/sim/traffic", &body).await.map(drop)
    }

    async fn state(&self) -> Result<Value, Failure> {
        self.get("/sim/state").await
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call("GET", path, "").await
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> Result<Value, Failure> {
        let url = format!("http://{}{path}", self.address);
        let client = reqwest::Client::builder().no_proxy().build()?;
        let request = client.request(method.parse()?, url).body(body.to_owned());
        Ok(request.send().await?.error_for_status()?.json().await?)
    }
}

/// A connection that has sent its IDENTIFY.
async fn open(address: &str, shard: u64, settings: &Settings) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    let compress = match settings.compress.as_str() {
        "" => String::new(),
        name => format!("&compress={name}"),
    };
    let request = format!(
        "GET /?v=10&encoding=json{compress} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: c2ltdWxhdGVkLWRpc2NvcmQ=\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    if !answer.starts_with(b"HTTP/1.1 101") {
        return Err(String::from_utf8_lossy(&answer).into_owned().into());
    }
    let identify = json!({ "op": 2, "d": {
        "token": "simulated", "properties": { "os": "linux", "browser": "bench", "device": "bench" },
        "shard": [shard, settings.shards], "intents": 53_608_447_u64,
    } });
    let text = identify.to_string();
    // A final text frame, masked with zeros: what a client sends has to be masked.
    let mut frame = vec![0x81, 0x80 | 0x7E];
    frame.extend_from_slice(&u16::try_from(text.len())?.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    stream.write_all(&frame).await?;
    Ok(stream)
}

/// Counts messages until the connection ends.
async fn count(mut stream: TcpStream, heard: Arc<AtomicU64>) {
    let mut buffer = vec![0; 16 << 10];
    let mut messages = Messages::default();
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let count = messages.take(buffer.get(..read).unwrap_or_default());
        heard.fetch_add(count, Ordering::Relaxed);
    }
    eprintln!("a connection ended");
}

/// WebSocket messages of a server, by their headers alone.
#[derive(Default)]
struct Messages {
    header: Vec<u8>,
    body: usize,
}

impl Messages {
    /// How many begin in `bytes`, which follow those of the last call.
    fn take(&mut self, mut bytes: &[u8]) -> u64 {
        let mut count = 0;
        while let Some(first) = bytes.first() {
            if self.body > 0 {
                let skipped = self.body.min(bytes.len());
                self.body -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            self.header.push(*first);
            bytes = bytes.get(1..).unwrap_or_default();
            let length = match self.header.as_slice() {
                [_, length @ 0..=125] => Some(usize::from(*length)),
                [_, 126, high, low] => Some(usize::from(u16::from_be_bytes([*high, *low]))),
                [_, 127, long @ ..] => <[u8; 8]>::try_from(long)
                    .ok()
                    .map(|long| usize::try_from(u64::from_be_bytes(long)).unwrap_or(usize::MAX)),
                _ => None,
            };
            if let Some(length) = length {
                self.header.clear();
                self.body = length;
                count += 1;
            }
        }
        count
    }
}

fn number(value: &Value, key: &str) -> Result<u64, Failure> {
    value[key]
        .as_u64()
        .ok_or_else(|| format!("no {key}").into())
}

/// Of the times in /proc.
fn ticks_per_second() -> Result<f64, Failure> {
    let said = Command::new("getconf").arg("CLK_TCK").output()?;
    Ok(String::from_utf8(said.stdout)?.trim().parse()?)
}
