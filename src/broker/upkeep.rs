//! Looks whether what the fleet keeps in NATS is there, and makes what is missing.
//!
//! A server that lost its store answers as if nothing had ever been: every write finds no listener, every
//! read nothing. So somebody looks every second and a half, says once what is missing and how to mend it,
//! and makes it from the configuration; whoever wrote what was lost hears of it and writes it again. A stream
//! that somebody edited so that it takes no events, or forgets them, answers as if all were well: how it differs
//! from the configuration is said too. It is somebody's, and left alone.

use std::time::Duration;

use anyhow::Result;
use async_nats::jetstream::stream::{Config as StreamConfig, Info};

use super::{
    Broker, bucket,
    differs::{Differs, Say},
    loss::{Due, Found, Loss, Mark, Watched},
    metrics, provision,
};
use crate::{
    clock::{self, Instant},
    config,
    fleet::Layout,
};

/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(1500);

/// What a stream is to the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The events.
    Stream,
    /// The bucket of leases.
    Lease,
    /// The bucket of state.
    State,
}

impl Kind {
    /// The label of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Lease => "lease",
            Self::State => "state",
        }
    }

    /// What is lost with it, and what becomes of that.
    fn told(self) -> &'static str {
        match self {
            Self::Stream => {
                "what it held is lost to workers, and every shard that lives goes on behind a FLEET_GAP of \
                 the reason stream_lost, as soon as the stream takes its messages"
            }
            Self::Lease => "who held a lease takes it again while it lasts",
            Self::State => {
                "topology, ledger and sessions are written again by the processes that know them"
            }
        }
    }
}

/// Looks after the buckets, until it is dropped.
pub async fn buckets(broker: Broker, stream: config::Stream, lease: config::Lease) {
    let wanted = provision::wanted_buckets(&broker.names, &stream, &lease);
    let wanted = wanted.map(|(kind, wanted)| {
        let first = clock::unix_ms();
        Upkeep::new(kind, bucket::stream_config(&wanted, first))
    });
    keep(&broker, wanted.into(), stream.create.0).await;
}

/// Looks after the event streams of a layout, until it is dropped.
pub async fn streams(broker: Broker, stream: config::Stream, layout: Layout) {
    let wanted = provision::wanted_streams(&broker.names, &stream, &layout);
    let wanted = wanted
        .into_iter()
        .map(|wanted| Upkeep::new(Kind::Stream, wanted));
    keep(&broker, wanted.collect(), stream.create.0).await;
}

async fn keep(broker: &Broker, mut kept: Vec<Upkeep>, create: bool) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let sooner = kept.iter().filter_map(|kept| kept.watched.look_at()).min();
        tokio::select! {
            _ = tick.tick() => {}
            () = at(sooner) => {}
        }
        for kept in &mut kept {
            if broker.connected() {
                kept.look(broker, create).await;
            }
        }
        let now = clock::now();
        for kind in [Kind::Stream, Kind::Lease, Kind::State] {
            let mut those = kept.iter().filter(|kept| kept.kind == kind).peekable();
            if those.peek().is_some() {
                let those: Vec<_> = those.collect();
                metrics::missing(kind, those.iter().any(|kept| kept.watched.is_gone(now)));
                metrics::differs(kind, those.iter().any(|kept| kept.differs.is_so(now)));
            }
        }
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        // One that could not be made, or is not to be, waits for its turn.
        Some(moment) if moment > clock::now() => tokio::time::sleep_until(moment).await,
        _ => std::future::pending().await,
    }
}

/// One stream, or that of a bucket.
struct Upkeep {
    kind: Kind,
    wanted: StreamConfig,
    watched: Watched,
    differs: Differs,
}

impl Upkeep {
    fn new(kind: Kind, wanted: StreamConfig) -> Self {
        metrics::missing(kind, false);
        metrics::differs(kind, false);
        metrics::lost(kind, 0);
        Self {
            kind,
            wanted,
            watched: Watched::default(),
            differs: Differs::default(),
        }
    }

    async fn look(&mut self, broker: &Broker, create: bool) {
        let found = self.find(broker).await;
        if self.take(found, broker, create).make && self.make(broker).await.is_ok() {
            // So that its loss is known as soon as it is there.
            let found = self.find(broker).await;
            self.take(found, broker, create);
        }
    }

    async fn find(&mut self, broker: &Broker) -> Found {
        let found = broker.jetstream.get_stream(&self.wanted.name).await;
        if found.as_ref().map_or_else(provision::missing, |_| true) {
            broker.answers.heard();
        }
        match found {
            Ok(stream) => {
                let info = stream.cached_info();
                self.compare(&info.config, broker);
                Found::There(mark(info))
            }
            Err(error) if provision::missing(&error) => {
                self.differs.is_missing();
                broker.losses.set_differing(&self.wanted.name, false);
                Found::Missing
            }
            // The connection's own events tell of a server that is away.
            Err(_) => Found::Unanswered,
        }
    }

    fn compare(&mut self, found: &StreamConfig, broker: &Broker) {
        let now = clock::now();
        let fields = provision::differences(self.kind, &self.wanted, found);
        let say = self.differs.saw(fields, now);
        let (stream, differs) = (&self.wanted.name, self.differs.is_so(now));
        broker.losses.set_differing(stream, differs);
        match say {
            Some(Say::Differs) => tracing::error!(
                stream,
                "the stream {stream} differs from what this configuration wants, so it may refuse, forget or \
                 alter what the fleet stores there: {}. Somebody edited it or made it by hand, and it is left \
                 as it is. Mend {}, or the configuration; see docs/OPERATIONS.md, A stream that was edited",
                self.differs.fields().join("; "),
                provision::WAY_OUT
            ),
            Some(Say::Mended) => {
                tracing::info!(
                    stream,
                    "the stream {stream} is again as this configuration wants it"
                );
            }
            None => {}
        }
    }

    fn take(&mut self, found: Found, broker: &Broker, create: bool) -> Due {
        let now = clock::now();
        let due = self.watched.saw(found, create, now);
        let gone = self.watched.is_gone(now);
        broker.losses.set_missing(&self.wanted.name, gone);
        self.say(due, create);
        if let Some(loss) = due.lost {
            metrics::lost(self.kind, 1);
            broker.losses.tell(&self.wanted.name, loss);
        }
        due
    }

    async fn make(&self, broker: &Broker) -> Result<()> {
        let mut wanted = self.wanted.clone();
        if wanted.first_sequence.is_some() {
            wanted.first_sequence = Some(clock::unix_ms());
        }
        let made = provision::create(broker, &wanted).await;
        if let Err(error) = &made {
            tracing::warn!("{error:#}: this is tried again");
        }
        made
    }

    fn say(&self, due: Due, create: bool) {
        let (stream, told) = (&self.wanted.name, self.kind.told());
        let manual = "docs/OPERATIONS.md, NATS without its state";
        if due.say_missing && create {
            tracing::error!(
                stream,
                "NATS has no stream {stream} any more: somebody deleted it, or the server lost its store. It \
                 is made anew from the configuration; {told}. Find out why: {manual}"
            );
        } else if due.say_missing {
            tracing::error!(
                stream,
                "NATS has no stream {stream}, and stream.create is false: make it by hand, or set \
                 stream.create = true and start again; then {told}. See {manual}"
            );
        }
        if let Some(loss) = due.lost.filter(|_| due.say_lost) {
            let how = match loss {
                Loss::Anew => "was made anew",
                Loss::Older => "is an older copy of what it was",
                Loss::Emptied => "was purged",
            };
            tracing::error!(
                stream,
                "the stream {stream} {how}: {told}. Find out who did it: {manual}"
            );
        }
    }
}

/// What a look shows of a stream.
pub fn mark(info: &Info) -> Mark {
    let (config, state) = (&info.config, &info.state);
    let counted = config.max_messages > 0 || config.max_messages_per_subject > 0;
    let filled = config.max_bytes > 0
        && i64::try_from(state.bytes).unwrap_or(i64::MAX) > config.max_bytes / 2;
    let quiet = clock::unix_ms().saturating_sub(bucket::unix_ms(state.last_timestamp));
    let max_age = config.max_age.as_millis();
    let aged = max_age > 0 && u128::from(quiet) > max_age / 2;
    let explained = if config.name.starts_with("KV_") {
        // One value a key is what a bucket is; leases end by age.
        max_age > 0
    } else {
        counted || aged || filled
    };
    Mark {
        made: info.created.unix_timestamp_nanos(),
        first: state.first_sequence,
        last: state.last_sequence,
        count: state.messages,
        roomy: !explained,
    }
}
