//! One gateway connection: reads the client, asks [`Connection`] and the registry, writes the session's
//! dispatches as fast as the socket takes them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::stream::SplitStream;
use futures_util::{FutureExt, StreamExt};
use tokio::pin;
use tokio::time::{Instant, sleep_until, timeout};

use super::connection::{Beats, Connection};
use super::event::Event;
use super::frame::{Command, Identify, Members, Resume};
use super::hub::Hub;
use super::mailbox::{Mailbox, Order};
use super::outbox::Outbox;
use super::refusal::Refusal;
use super::registry::{Admission, CLOSED_BY_CLIENT, Caller, Shared};
use super::session::Batch;
use super::transport::Transport;
use super::{answer, limits};
use crate::clock;
use crate::config::sim::Excess;

/// Bytes taken from the session at once.
const BATCH: usize = 128 << 10;
/// How long a close may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// Frames looked at to learn whether a client is gone.
const GLANCE: usize = 16;

/// How a client connected.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) version: Option<u8>,
    pub(super) encoding: Option<String>,
    pub(super) compress: Option<String>,
    /// The host that the client used, which is where it will find us again.
    pub(super) host: String,
}

/// Why a connection ends.
enum End {
    /// The client is gone.
    Gone,
    /// The client closed.
    ByClient(Option<u16>),
    /// We end the socket and say nothing.
    Dropped,
    /// We close, for what the client did.
    Refused(Refusal),
    /// We close, for reasons of our own.
    Told(Option<u16>),
}

/// Serves a connection until it ends.
pub(super) async fn serve(socket: WebSocket, hub: Arc<Hub>, request: Request) {
    let (sink, mut stream) = socket.split();
    let split = hub.options.split_zlib;
    let transport = Transport::new(request.compress.as_deref(), split);
    let known = matches!(transport, Ok(Some(_)));
    let transport = transport.ok().flatten().unwrap_or(Transport::Plain);
    let mut peer = Peer::new(hub, request, Outbox::new(sink, transport));
    let end = match peer.check(known) {
        Ok(()) => peer.live(&mut stream).await,
        Err(refusal) => End::Refused(refusal),
    };
    peer.leave(&end);
    peer.goodbye(end, &mut stream).await;
}

struct Peer {
    hub: Arc<Hub>,
    request: Request,
    id: u64,
    mailbox: Arc<Mailbox>,
    connection: Connection,
    outbox: Outbox,
    session: Option<Arc<Shared>>,
    shard: Option<u32>,
    cursor: u64,
    silent_until: Option<Instant>,
    /// Heartbeat answers that are held back.
    acks: VecDeque<Instant>,
    reconnect_at: Option<Instant>,
    scratch: String,
}

impl Peer {
    fn new(hub: Arc<Hub>, request: Request, outbox: Outbox) -> Self {
        let options = &hub.options;
        let interval = Duration::from_millis(options.heartbeat_interval_ms);
        let grace = interval * options.heartbeat_grace / 100;
        let beats = Beats {
            interval,
            grace,
            code: options.late_heartbeat_code,
        };
        Self {
            id: hub.connections.fetch_add(1, Ordering::Relaxed) + 1,
            connection: Connection::new(beats, clock::now()),
            mailbox: Arc::default(),
            session: None,
            shard: None,
            cursor: 0,
            silent_until: None,
            acks: VecDeque::new(),
            reconnect_at: None,
            scratch: String::new(),
            hub,
            request,
            outbox,
        }
    }

    fn check(&self, compression_known: bool) -> Result<(), Refusal> {
        if !matches!(self.request.version, Some(9 | 10)) {
            return Err(Refusal::of(
                4012,
                "bad_version",
                format!("v={:?}, 9 or 10 is served", self.request.version),
            ));
        }
        if self
            .request
            .encoding
            .as_deref()
            .is_some_and(|encoding| encoding != "json")
        {
            return Err(Refusal::of(
                4002,
                "bad_encoding",
                "only encoding=json is simulated",
            ));
        }
        if !compression_known {
            return Err(Refusal::of(
                4002,
                "bad_compression",
                "compress is zlib-stream or zstd-stream",
            ));
        }
        Ok(())
    }

    async fn live(&mut self, stream: &mut SplitStream<WebSocket>) -> End {
        let start = clock::now();
        if self.hub.script().hello(start) {
            let interval = self.hub.options.heartbeat_interval_ms;
            let hello =
                format!(r#"{{"t":null,"s":null,"op":10,"d":{{"heartbeat_interval":{interval}}}}}"#);
            if self.outbox.push(&hello.into(), 0).is_err() {
                return End::Gone;
            }
        }
        let shutdown = self.hub.shutdown.clone();
        let stopped = shutdown.cancelled();
        let timer = sleep_until(start);
        pin!(stopped, timer);
        loop {
            if let Err(end) = self.refill() {
                return end;
            }
            let wakeup = self.next_wakeup();
            if timer.deadline() != wakeup {
                timer.as_mut().reset(wakeup);
            }
            let writable = self.silent_until.is_none() && self.outbox.busy();
            let step = tokio::select! {
                biased;
                () = &mut stopped => Err(End::Told(Some(1001))),
                frame = stream.next() => self.on_frame(frame),
                () = self.mailbox.rung() => self.on_orders(stream),
                written = self.outbox.pump(), if writable => match written {
                    Ok(seq) => self.on_written(seq),
                    Err(_) => Err(End::Gone),
                },
                () = &mut timer => self.on_time(clock::now()),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    /// Takes the session's next dispatches once the last ones are written.
    fn refill(&mut self) -> Result<(), End> {
        if self.outbox.busy() || self.silent_until.is_some() {
            return Ok(());
        }
        let Some(shared) = &self.session else {
            return Ok(());
        };
        let mut session = shared.lock();
        let mut batch = session.after(self.id, self.cursor, BATCH);
        if matches!(&batch, Batch::Next(next) if next.is_empty())
            && session.loaded < session.identity.guilds.len()
        {
            if let Some(guild) = session.identity.guilds.get(session.loaded).copied()
                && Event::GuildCreate.allowed(session.identity.intents)
            {
                self.hub.dispatch(
                    &mut session,
                    Event::GuildCreate,
                    &mut self.scratch,
                    |session, out| {
                        answer::guild_create(session, &guild, out);
                    },
                );
            }
            session.loaded += 1;
            // Come back for the next one even where nothing was sent for this one.
            self.mailbox.ring();
            batch = session.after(self.id, self.cursor, BATCH);
        }
        drop(session);
        match batch {
            Batch::Next(next) => {
                for (seq, payload) in next {
                    self.outbox.push(&payload, seq).map_err(|_| End::Dropped)?;
                    self.cursor = seq;
                }
                Ok(())
            }
            Batch::TooSlow => Err(End::Told(Some(4000))),
            // An order says why; it is on its way.
            Batch::NotYours => Ok(()),
        }
    }

    fn on_written(&mut self, seq: u64) -> Result<(), End> {
        if let Some(session) = &self.session {
            let mut session = session.lock();
            session.delivered = session.delivered.max(seq);
        }
        Ok(())
    }

    fn on_frame(&mut self, frame: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let bytes: Bytes = match frame {
            None | Some(Err(_)) => return Err(End::Gone),
            Some(Ok(Message::Close(frame))) => {
                return Err(End::ByClient(frame.map(|frame| frame.code)));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Text(text))) => text.into(),
            Some(Ok(Message::Binary(bytes))) => bytes,
        };
        let now = clock::now();
        let command = self
            .connection
            .on_frame(&bytes, now)
            .map_err(End::Refused)?;
        match command {
            Command::Heartbeat(seq) => self.on_heartbeat(seq, now),
            // A silent server does nothing that shows.
            _ if self.silent_until.is_some() => Ok(()),
            Command::Identify(ask) => self.on_identify(&ask, now),
            Command::Resume(ask) => self.on_resume(&ask),
            Command::Presence if self.connection.on_presence(now) => Ok(()),
            Command::Presence => {
                let refusal = Refusal::of(
                    4008,
                    "presence_rate",
                    "more than 5 presence updates in 20 s",
                );
                self.excess(self.hub.options.presence_over_limit, refusal)
            }
            Command::Members(ask) => self.on_members(&ask, now),
            Command::Voice(ask) => self.answer(|session| answer::voice(session, &ask)),
            Command::Soundboard(guilds) => {
                self.answer(|session| answer::soundboard(session, &guilds))
            }
            Command::ChannelInfo(guild) => {
                self.answer(|session| answer::channel_info(session, &guild))
            }
        }
    }

    fn on_heartbeat(&mut self, seq: Option<u64>, now: Instant) -> Result<(), End> {
        if let (Some(session), Some(seq)) = (&self.session, seq) {
            let mut session = session.lock();
            let last = session.last();
            session.acknowledged(seq.min(last));
            drop(session);
            if seq > last {
                self.note(
                    "sequence_ahead",
                    format!("heartbeat at {seq} of a session at {last}"),
                );
            }
        }
        if self.silent_until.is_some() {
            return Ok(());
        }
        let delay = self.shard.map_or(Duration::ZERO, |shard| {
            self.hub.script().ack_delay(shard, now)
        });
        if delay.is_zero() {
            return self.say(ACK);
        }
        self.acks.push_back(now + delay);
        Ok(())
    }

    fn on_identify(&mut self, ask: &Identify, now: Instant) -> Result<(), End> {
        let at_ms = clock::unix_ms();
        let admission = self.hub.registry().identify(ask, self.caller(), now, at_ms);
        let Some(shared) = self.admitted(admission, 0)? else {
            return Ok(());
        };
        if ask.compress == Some(true) && matches!(self.outbox.transport, Transport::Plain) {
            self.outbox.transport = Transport::Payload;
        }
        let version = self.request.version.unwrap_or(10);
        let resume_url = format!("ws{}://{}/resume", self.hub.secure, self.request.host);
        let (sharded, extra) = (ask.shard.is_some(), self.hub.options.extra_keys);
        self.hub.dispatch(
            &mut shared.lock(),
            Event::Ready,
            &mut self.scratch,
            |session, out| {
                answer::ready(session, version, sharded, &resume_url, extra, out);
            },
        );
        Ok(())
    }

    fn on_resume(&mut self, ask: &Resume) -> Result<(), End> {
        let admission = self
            .hub
            .registry()
            .resume(ask, self.caller(), clock::unix_ms());
        let Some(shared) = self.admitted(admission, ask.seq)? else {
            return Ok(());
        };
        self.hub.dispatch(
            &mut shared.lock(),
            Event::Resumed,
            &mut self.scratch,
            |_, out| {
                out.push_str(r#"{"_trace":[]}"#);
            },
        );
        Ok(())
    }

    fn admitted(&mut self, admission: Admission, cursor: u64) -> Result<Option<Arc<Shared>>, End> {
        match admission {
            Admission::Refused(refusal) => Err(End::Refused(refusal)),
            Admission::Invalid => self.invalid(false).map(|()| None),
            Admission::Granted(shared) => {
                self.connection.set_authenticated(true);
                self.cursor = cursor;
                self.shard = Some(shared.lock().identity.shard);
                self.session = Some(Arc::clone(&shared));
                let every = self.hub.options.reconnect_every.0;
                self.reconnect_at = (!every.is_zero()).then(|| clock::now() + every);
                Ok(Some(shared))
            }
        }
    }

    fn on_members(&mut self, ask: &Members, now: Instant) -> Result<(), End> {
        let Some(shared) = self.session.clone() else {
            return Ok(());
        };
        if answer::wants_all(ask) {
            let intents = shared.lock().identity.intents;
            if !Event::GuildMemberAdd.allowed(intents) {
                let refusal = Refusal::of(
                    4014,
                    "members_intent",
                    "all members asked for without GUILD_MEMBERS",
                );
                return self.excess(self.hub.options.members_without_intent, refusal);
            }
            let admitted = self.hub.registry().all_members.admit(&ask.guild_id, now);
            if let Err(wait) = admitted {
                self.note(
                    "members_rate",
                    format!("all members of guild {} again within 30 s", ask.guild_id),
                );
                let limited = answer::rate_limited(ask, wait.as_secs_f64());
                return self.answer(|_| vec![(Event::RateLimited, limited)]);
            }
        }
        self.answer(|session| answer::members(session, ask))
    }

    fn on_orders(&mut self, stream: &mut SplitStream<WebSocket>) -> Result<(), End> {
        while let Some(order) = self.mailbox.take() {
            match order {
                Order::Drop => return Err(End::Dropped),
                Order::Close(code) => return Err(End::Told(code)),
                Order::Reconnect => self.say(RECONNECT)?,
                Order::Invalidate { resumable } => {
                    if !resumable {
                        self.session = None;
                        self.connection.set_authenticated(false);
                    }
                    self.invalid(resumable)?;
                }
                Order::Silence(span) => self.silent_until = Some(clock::now() + span),
                Order::AskHeartbeat => self.say(BEAT)?,
                Order::Garbage => self.outbox.push_garbage(),
                Order::Superseded => {
                    self.glance(stream)?;
                    self.note(
                        "session_used_twice",
                        "resumed while its old socket was alive",
                    );
                    return Err(End::Told(Some(4000)));
                }
                Order::Witness => {
                    self.glance(stream)?;
                    self.note(
                        "session_used_twice",
                        "shard identified again while its old socket was alive",
                    );
                }
                Order::TokenReset => return Err(End::Told(Some(4004))),
            }
        }
        Ok(())
    }

    /// Looks at what the client sent already: it may be gone without our having noticed.
    fn glance(&mut self, stream: &mut SplitStream<WebSocket>) -> Result<(), End> {
        for _ in 0..GLANCE {
            let Some(frame) = stream.next().now_or_never() else {
                break;
            };
            self.on_frame(frame)?;
        }
        Ok(())
    }

    fn on_time(&mut self, now: Instant) -> Result<(), End> {
        if self.silent_until.is_some_and(|until| until <= now) {
            self.silent_until = None;
        }
        while self.acks.front().is_some_and(|due| *due <= now) {
            self.acks.pop_front();
            self.say(ACK)?;
        }
        if self.reconnect_at.is_some_and(|at| at <= now) {
            self.reconnect_at = None;
            self.say(RECONNECT)?;
        }
        self.connection.on_time(now).map_err(End::Refused)
    }

    fn next_wakeup(&self) -> Instant {
        let others = [
            self.silent_until,
            self.acks.front().copied(),
            self.reconnect_at,
        ];
        others
            .into_iter()
            .flatten()
            .fold(self.connection.next_wakeup(), Instant::min)
    }

    /// Dispatches answers to a command.
    fn answer(
        &mut self,
        make: impl FnOnce(&super::session::Session) -> Vec<(Event, String)>,
    ) -> Result<(), End> {
        let Some(shared) = &self.session else {
            return Ok(());
        };
        let mut session = shared.lock();
        for (event, data) in make(&session) {
            self.hub
                .dispatch(&mut session, event, &mut self.scratch, |_, out| {
                    out.push_str(&data)
                });
        }
        Ok(())
    }

    /// Op 9.
    fn invalid(&mut self, resumable: bool) -> Result<(), End> {
        self.say(if resumable {
            INVALID_RESUMABLE
        } else {
            INVALID
        })?;
        if !resumable && self.hub.options.invalid_session_closes {
            return Err(End::Told(Some(4000)));
        }
        Ok(())
    }

    fn excess(&mut self, excess: Excess, refusal: Refusal) -> Result<(), End> {
        match excess {
            Excess::Close => Err(End::Refused(refusal)),
            Excess::Ignore => {
                self.note(refusal.rule, refusal.detail);
                Ok(())
            }
        }
    }

    fn say(&mut self, payload: &'static str) -> Result<(), End> {
        self.outbox
            .push(&Bytes::from_static(payload.as_bytes()), 0)
            .map_err(|_| End::Dropped)
    }

    fn note(&self, rule: &'static str, detail: impl Into<String>) {
        self.hub
            .registry()
            .log
            .add(rule, self.shard, clock::unix_ms(), detail);
    }

    fn caller(&self) -> Caller {
        Caller {
            connection: self.id,
            mailbox: Arc::clone(&self.mailbox),
        }
    }

    /// Settles what becomes of the session, before any goodbye takes its time.
    fn leave(&mut self, end: &End) {
        if let End::Refused(refusal) = end
            && !refusal.rule.is_empty()
        {
            self.note(refusal.rule, refusal.detail.clone());
        }
        let Some(shared) = &self.session else { return };
        let (mine, id) = {
            let session = shared.lock();
            (
                session.listener() == Some(self.id),
                session.identity.id.clone(),
            )
        };
        if mine && matches!(end, End::ByClient(Some(1000 | 1001))) {
            self.hub
                .registry()
                .end(&id, CLOSED_BY_CLIENT, clock::unix_ms());
        } else {
            shared
                .lock()
                .detach(self.id, clock::now(), self.hub.options.session_ttl.0);
        }
    }

    async fn goodbye(mut self, end: End, stream: &mut SplitStream<WebSocket>) {
        let code = match end {
            // Polling once more writes the answer to the client's close.
            End::ByClient(_) => {
                let _ = timeout(GOODBYE, stream.next()).await;
                return;
            }
            End::Gone | End::Dropped => return,
            End::Refused(refusal) => Some(refusal.code),
            End::Told(code) => code,
        };
        self.outbox.push_close(code);
        let session = self.session.take();
        let polite = async {
            if let (Ok(seq), Some(session)) = (self.outbox.pump().await, session) {
                let mut session = session.lock();
                session.delivered = session.delivered.max(seq);
            }
            for _ in 0..limits::MOST_FRAMES_AFTER_CLOSE {
                if !matches!(stream.next().await, Some(Ok(_))) {
                    break;
                }
            }
        };
        let _ = timeout(GOODBYE, polite).await;
    }
}

const ACK: &str = r#"{"t":null,"s":null,"op":11,"d":null}"#;
const BEAT: &str = r#"{"t":null,"s":null,"op":1,"d":null}"#;
const RECONNECT: &str = r#"{"t":null,"s":null,"op":7,"d":null}"#;
const INVALID: &str = r#"{"t":null,"s":null,"op":9,"d":false}"#;
const INVALID_RESUMABLE: &str = r#"{"t":null,"s":null,"op":9,"d":true}"#;
