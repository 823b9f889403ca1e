//! The states of a connection, and how long each may last.

use std::time::Duration;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none, until the pause is over.
    Waiting,
    /// The host name is being looked up.
    Resolving,
    /// TCP connects.
    Connecting,
    /// The TLS handshake is under way.
    Securing,
    /// The WebSocket upgrade is under way.
    Upgrading,
    /// HELLO is awaited.
    Hello,
    /// A permit to IDENTIFY is awaited. The coordinator says when; heartbeats show that the socket lives.
    Permit,
    /// IDENTIFY was sent, READY is awaited.
    Identifying,
    /// RESUME was sent; the replay goes on until RESUMED.
    Resuming,
    /// The session is live.
    Live,
    /// Our close frame was sent, Discord's is awaited.
    Closing,
}

impl State {
    /// Every state, in the order of a connection's life.
    pub const ALL: [Self; 11] = [
        Self::Waiting,
        Self::Resolving,
        Self::Connecting,
        Self::Securing,
        Self::Upgrading,
        Self::Hello,
        Self::Permit,
        Self::Identifying,
        Self::Resuming,
        Self::Live,
        Self::Closing,
    ];

    /// For logs and docs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Resolving => "resolving",
            Self::Connecting => "connecting",
            Self::Securing => "securing",
            Self::Upgrading => "upgrading",
            Self::Hello => "hello",
            Self::Permit => "permit",
            Self::Identifying => "identifying",
            Self::Resuming => "resuming",
            Self::Live => "live",
            Self::Closing => "closing",
        }
    }

    /// How long it may last. None: something else ends it, as the table says.
    pub fn limit(self) -> Option<Duration> {
        match self {
            Self::Resolving | Self::Connecting | Self::Securing | Self::Upgrading | Self::Hello => {
                Some(Duration::from_secs(10))
            }
            Self::Identifying => Some(Duration::from_secs(60)),
            Self::Resuming => Some(Duration::from_secs(90)),
            Self::Closing => Some(Duration::from_secs(3)),
            Self::Waiting | Self::Permit | Self::Live => None,
        }
    }

    /// What is said of one that outlived its limit.
    pub fn overdue(self) -> &'static str {
        match self {
            Self::Resolving => "the host name of the gateway was not resolved within 10 s",
            Self::Connecting => "TCP did not connect within 10 s",
            Self::Securing => "the TLS handshake did not end within 10 s",
            Self::Upgrading => "the WebSocket upgrade was not answered within 10 s",
            Self::Hello => "no HELLO came within 10 s",
            Self::Identifying => "IDENTIFY was not answered within 60 s",
            Self::Resuming => {
                "RESUME was not answered in time (20 s without an event, 90 s at most)"
            }
            Self::Closing => "the close was not answered within 3 s",
            Self::Waiting | Self::Permit | Self::Live => "it took too long",
        }
    }
}
