//! What a connection does with what it hears: nothing here waits. [`super::gateway`] reads and writes,
//! [`super::reply`] answers commands.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::ws::Message;
use bytes::Bytes;
use tokio::time::Instant;

use super::answer;
use super::connection::{Beats, Connection};
use super::frame::Command;
use super::hub::Hub;
use super::interrupt::Turn;
use super::line::Reset;
use super::mailbox::Mailbox;
use super::outbox::Outbox;
use super::payload::Payload;
use super::refusal::Refusal;
use super::registry::{CLOSED_BY_CLIENT, Shared};
use super::session::Batch;
use crate::clock;

/// Bytes taken from the session at once.
const BATCH: usize = 128 << 10;
/// How a client connected.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) version: Option<u8>,
    pub(super) encoding: Option<String>,
    pub(super) compress: Option<String>,
    /// The host that the client used, which is where it will find us again.
    pub(super) host: String,
    /// Whether it came to a resume URL.
    pub(super) resuming: bool,
    pub(super) reset: Reset,
}

/// Why a connection ends.
pub(super) enum End {
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
    /// We end the socket once everything is written; `reset`: with a RST.
    Cut { reset: bool },
}

/// One connection, from the server's side.
pub(super) struct Peer {
    pub(super) hub: Arc<Hub>,
    pub(super) request: Request,
    pub(super) id: u64,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) connection: Connection,
    pub(super) outbox: Outbox,
    pub(super) session: Option<Arc<Shared>>,
    pub(super) shard: Option<u32>,
    pub(super) opened: Instant,
    /// The shard that it was counted for.
    pub(super) came: Option<u32>,
    pub(super) cursor: u64,
    pub(super) silent_until: Option<Instant>,
    /// Heartbeat answers that are held back.
    pub(super) acks: VecDeque<Instant>,
    pub(super) reconnect_at: Option<Instant>,
    /// What is to be done once this sequence is sent.
    pub(super) due: Option<(u64, Turn)>,
    /// The client was told op 9 on this socket.
    pub(super) invalidated: bool,
    pub(super) scratch: String,
}

impl Peer {
    pub(super) fn new(hub: Arc<Hub>, request: Request, outbox: Outbox) -> Self {
        let beats = Beats::of(&hub.options);
        Self {
            id: hub.connections.fetch_add(1, Ordering::Relaxed) + 1,
            connection: Connection::new(beats, clock::now()),
            mailbox: Arc::default(),
            session: None,
            shard: None,
            opened: clock::now(),
            came: None,
            cursor: 0,
            silent_until: None,
            acks: VecDeque::new(),
            reconnect_at: None,
            due: None,
            invalidated: false,
            scratch: String::new(),
            hub,
            request,
            outbox,
        }
    }

    pub(super) fn check(&self, compression_known: bool) -> Result<(), Refusal> {
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

    /// Takes the session's next dispatches once the last ones are written.
    pub(super) fn refill(&mut self) -> Result<(), End> {
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
            // A guild can be megabytes long: the connection's own buffer need not grow to that.
            self.hub.load(&mut session, &mut String::new());
            // Come back for the next one even where nothing was sent for this one.
            self.mailbox.ring();
            batch = session.after(self.id, self.cursor, BATCH);
        }
        drop(session);
        match batch {
            Batch::Next(next) => {
                for (seq, payload) in next {
                    self.outbox.push(&payload).map_err(|_| End::Dropped)?;
                    self.cursor = seq;
                }
                Ok(())
            }
            Batch::TooSlow => {
                tracing::info!(
                    shard = self.shard,
                    "a client read too slowly for its replay buffer"
                );
                Err(End::Told(Some(4000)))
            }
            // An order says why; it is on its way.
            Batch::NotYours => Ok(()),
        }
    }

    pub(super) fn on_frame(
        &mut self,
        frame: Option<Result<Message, axum::Error>>,
    ) -> Result<(), End> {
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
        if self.connection.is_early() {
            self.note("before_hello", "a frame before HELLO was sent");
        }
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
            Command::Voice(ask) => {
                self.answer(|session| answer::voice(session, &ask));
                Ok(())
            }
            Command::Soundboard(guilds) => {
                self.answer(|session| answer::soundboard(session, &guilds));
                Ok(())
            }
            Command::ChannelInfo(guild) => {
                self.answer(|session| answer::channel_info(session, guild));
                Ok(())
            }
        }
    }

    pub(super) fn on_time(&mut self, now: Instant) -> Result<(), End> {
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

    pub(super) fn next_wakeup(&self) -> Instant {
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

    /// Settles what becomes of the session, before any goodbye takes its time.
    pub(super) fn leave(&mut self, end: &End) {
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
            if self.hub.options.keep_sessions {
                self.note(
                    "session_closed",
                    "a session that lives was closed with 1000 or 1001",
                );
            }
            self.hub
                .registry()
                .end(&id, CLOSED_BY_CLIENT, clock::unix_ms());
        } else {
            shared
                .lock()
                .detach(self.id, clock::now(), self.hub.options.session_ttl.0);
        }
    }

    /// The connection has no session any more; a session that lives can be resumed here or elsewhere.
    pub(super) fn part(&mut self) {
        if let Some(shared) = self.session.take() {
            let ttl = self.hub.options.session_ttl.0;
            shared.lock().detach(self.id, clock::now(), ttl);
        }
        self.due = None;
        self.connection.set_authenticated(false);
    }

    pub(super) fn say(&mut self, payload: impl Into<Bytes>) -> Result<(), End> {
        self.outbox
            .push(&Payload::plain(payload.into()))
            .map_err(|_| End::Dropped)
    }

    pub(super) fn note(&self, rule: &'static str, detail: impl Into<String>) {
        self.hub
            .registry()
            .log
            .add(rule, self.shard, clock::unix_ms(), detail);
    }
}

pub(super) const ACK: &str = r#"{"t":null,"s":null,"op":11,"d":null}"#;
pub(super) const BEAT: &str = r#"{"t":null,"s":null,"op":1,"d":null}"#;
pub(super) const RECONNECT: &str = r#"{"t":null,"s":null,"op":7,"d":null}"#;
pub(super) const INVALID: &str = r#"{"t":null,"s":null,"op":9,"d":false}"#;
pub(super) const INVALID_RESUMABLE: &str = r#"{"t":null,"s":null,"op":9,"d":true}"#;
