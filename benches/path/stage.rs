//! The stage of one run: a nats-server, the generator, and who is under test.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::jetstream::{self, stream};
use tempfile::TempDir;

use crate::{
    blob::Blob,
    callgrind::Callgrind,
    contender::Kind,
    crew::{configuration, contender, nats, role, wait},
    generator::{Generator, Order},
    process::{Cost, Place, Process},
};

/// Longer than any step takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);
/// The same of a process under callgrind.
const COUNTED_LIMIT: Duration = Duration::from_secs(600);

/// Who is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// The real gateway process; with so many lanes.
    Fleet { lanes: u32 },
    /// A contender.
    Contender(Kind),
}

/// A run, not yet begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Setting {
    pub(crate) who: Who,
    pub(crate) shards: u32,
    /// Microseconds that work gathers before the thread parks.
    pub(crate) gather: u64,
    /// Events a second and shard; none: flat out.
    pub(crate) pace: Option<u32>,
    /// Streams.
    pub(crate) partitions: u32,
    /// Under callgrind.
    pub(crate) counted: bool,
}

impl Setting {
    fn limit(self) -> Duration {
        if self.counted { COUNTED_LIMIT } else { LIMIT }
    }

    /// Between two looks at how far it is. Asking a contender costs it instructions.
    fn every(self) -> Duration {
        Duration::from_millis(if self.counted { 250 } else { 5 })
    }
}

/// A stage with everybody ready.
pub(crate) struct Stage {
    setting: Setting,
    pub(crate) generator: Arc<Generator>,
    under_test: Process,
    answers: Option<BufReader<std::process::ChildStdout>>,
    pub(crate) client: async_nats::Client,
    /// Read from the server, beside the generator's own count.
    jetstream: jetstream::Context,
    at: usize,
    // In this order: the processes go before the folder.
    _coordinator: Option<Process>,
    nats: Process,
    folder: TempDir,
}

/// What a leg of the way cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leg {
    pub(crate) events: u64,
    pub(crate) wall: Duration,
    pub(crate) cost: Cost,
    /// nats-server, all its threads.
    pub(crate) server: Cost,
}

impl Stage {
    /// Starts everybody and waits for the shards.
    pub(crate) async fn set(setting: Setting, blob: &Arc<Blob>, timed: usize) -> Self {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let (nats, url) = nats(folder.path()).await;
        let client = async_nats::connect(&url).await.expect("nats-server is up");
        let jetstream = jetstream::new(client.clone());
        let generator = Generator::start(Arc::clone(blob), setting.shards, timed).await;
        let mut coordinator = None;
        let out = callgrind_file(folder.path());
        let place = if setting.counted {
            Place::Callgrind(&out)
        } else {
            Place::Core
        };
        let mut under_test = match setting.who {
            Who::Fleet { lanes } => {
                let configuration = configuration(setting, lanes, &url, &generator);
                std::fs::write(folder.path().join("config.toml"), configuration)
                    .expect("disk has room");
                coordinator = Some(role("coordinator", folder.path(), Place::Beside));
                role("gateway", folder.path(), place)
            }
            Who::Contender(kind) => {
                if kind == Kind::Peer {
                    let config = stream::Config {
                        name: "DISCORD".to_owned(),
                        subjects: vec!["discord.>".to_owned()],
                        duplicate_window: Duration::from_secs(30),
                        ..stream::Config::default()
                    };
                    jetstream
                        .create_stream(config)
                        .await
                        .expect("JetStream is on");
                }
                contender(kind, setting, &url, &generator, place)
            }
        };
        let answers = match setting.who {
            Who::Fleet { .. } => None,
            Who::Contender(_) => under_test.child().stdout.take().map(BufReader::new),
        };
        wait("every shard is ready", setting.limit(), || {
            assert!(
                under_test.lives(),
                "{:?} ended: BENCH_LOUD=1 shows why",
                setting.who
            );
            generator.ready() == setting.shards
        })
        .await;
        let mut stage = Self {
            setting,
            generator,
            under_test,
            answers,
            client,
            jetstream,
            at: 0,
            _coordinator: coordinator,
            nats,
            folder,
        };
        stage.done().await;
        stage
    }

    /// So many more events a shard: what they cost, up to the last one's ack.
    pub(crate) async fn leg(&mut self, events: usize, pace: Option<u32>) -> Leg {
        let (cost, server) = (self.under_test.cost(), self.nats.cost());
        let started = Instant::now();
        self.at += events;
        let every = pace.map(|pace| Duration::from_secs(1) / pace);
        self.generator.order(Order {
            until: self.at,
            every,
        });
        self.done().await;
        assert_eq!(self.generator.resumes(), 0, "a connection broke");
        Leg {
            events: events as u64 * u64::from(self.setting.shards),
            wall: started.elapsed(),
            cost: self.under_test.cost() - cost,
            server: self.nats.cost() - server,
        }
    }

    /// The way to the callgrind of the process under test, which must be counted.
    pub(crate) fn callgrind(&self) -> Callgrind {
        assert!(self.setting.counted, "it runs without callgrind");
        Callgrind::of(self.under_test.id(), callgrind_file(self.folder.path()))
    }

    /// Memory in use.
    pub(crate) fn rss(&self) -> u64 {
        self.under_test.rss()
    }

    /// Waits until everything ordered is sent, acked and stored, and that it is no more than that.
    async fn done(&mut self) {
        let shards = u64::from(self.setting.shards);
        let sent = self.at as u64 * shards;
        let limit = self.setting.limit();
        // A READY each is stored too.
        let wanted = sent + shards;
        let until = Instant::now() + limit;
        loop {
            let stored = self.stored().await;
            assert!(
                stored <= wanted,
                "{stored} stored of {wanted}: something twice"
            );
            if stored == wanted && self.generator.sent() == sent {
                return;
            }
            assert!(
                Instant::now() < until,
                "{stored} stored of {wanted} after {limit:?}, {} sent: {:?}",
                self.generator.sent(),
                self.setting
            );
            tokio::time::sleep(self.setting.every()).await;
        }
    }

    /// Events at their destination, READYs among them.
    async fn stored(&mut self) -> u64 {
        let Some(answers) = &mut self.answers else {
            return self.in_streams().await;
        };
        let stdin = self.under_test.child().stdin.as_mut().expect("it is piped");
        stdin.write_all(b"\n").expect("the contender lives");
        let mut line = String::new();
        answers.read_line(&mut line).expect("the contender lives");
        let done = line
            .split_whitespace()
            .nth(1)
            .and_then(|done| done.parse().ok());
        let done: u64 = done.expect("the contender counts");
        if self.setting.who == Who::Contender(Kind::Peer) {
            // Acked is not stored until the stream says so too.
            return done.min(self.in_streams().await);
        }
        done
    }

    async fn in_streams(&self) -> u64 {
        let mut messages = 0;
        for partition in 0..self.setting.partitions {
            let name = match self.setting.partitions {
                1 => "DISCORD".to_owned(),
                _ => format!("DISCORD_{partition}"),
            };
            if let Ok(stream) = self.jetstream.get_stream(name).await {
                messages += stream.cached_info().state.messages;
            }
        }
        messages
    }
}

fn callgrind_file(folder: &Path) -> PathBuf {
    folder.join("callgrind.out")
}
