//! The gateway role, and the process it runs in.

use std::{net::SocketAddr, str::FromStr};

use super::{
    events::Events,
    fleet::Count,
    section::section,
    value::{Size, Span, from_text},
};

section! {
    /// One gateway process.
    pub struct Gateway in "gateway" {
        /// Groups it may hold.
        max_groups: Count<1, 4096> = Count(8), plain "a number from 1 to 4096";
        /// Runtimes, each with its own NATS connection; 0: one a core.
        lanes: Count<0, 256> = Count(0), plain "a number from 0 to 256";
        /// Lets work gather this long before a lane parks; 0ms for least latency.
        gather: Span = Span::millis(1), plain "a duration from \"0ms\" to \"50ms\"";
        /// Connections to Discord that the process opens in a second, whatever happens.
        connects_per_second: Count<1, 10_000> = Count(50), plain "a number from 1 to 10000";
        /// How groups are chosen.
        assignment: Assignment = Assignment::Elastic, plain "\"elastic\" or \"ordinal\"";
        /// Held in memory while NATS is away.
        buffer: Size = Size::mib(64), plain "a number and a unit from \"1MiB\", such as \"64MiB\"";
        /// Dropped first when NATS is away and the buffer is nearly full; empty: never shed.
        shed: Events = Events(vec!["TYPING_START".to_owned(), "PRESENCE_UPDATE".to_owned()]), plain "event names, or [] for none";
    }
}

section! {
    /// The coordinator role.
    pub struct Coordinator in "coordinator" {
        /// Added to Discord's 5 s between two IDENTIFYs of a bucket.
        margin: Span = Span::millis(250), plain "a duration from \"0ms\" to \"10s\"";
        /// Identifies of the day that only an operator may spend.
        reserve: Count<0, 1_000_000> = Count(50), plain "a number";
        /// Listener of the endpoint that answers as twilight's gateway-queue does; empty: none.
        http: Listener = Listener(None), plain "an address such as \"0.0.0.0:5000\", or nothing";
    }
}

section! {
    /// The process.
    pub struct Process in "process" {
        /// Its name in the fleet; empty: host name and a nonce.
        name: String = String::new(), plain "a word of letters, digits, _ and -";
        /// How long a start waits for NATS.
        start: Span = Span::secs(60), plain "a number and a unit, such as \"60s\"";
        /// Deadline of a clean end.
        drain: Span = Span::secs(25), plain "a number and a unit, such as \"25s\"";
    }
}

section! {
    /// The page, the API, metrics and probes.
    pub struct Web in "web" {
        /// Where they are served; empty: nowhere.
        listen: Listener = Listener(Some(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9600))), plain "an address such as \"127.0.0.1:9600\"";
    }
}

section! {
    /// What is logged, and how.
    pub struct Log in "log" {
        /// The level, or directives as `RUST_LOG` takes them; `RUST_LOG` wins.
        level: String = "info".to_owned(), plain "\"info\", \"debug\", or \"warn,shardfleet=debug\"";
        /// Text for people, JSON for machines.
        format: Format = Format::Auto, plain "\"auto\", \"text\" or \"json\"";
    }
}

/// How a gateway chooses its groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// A fair share of whatever is there.
    Elastic,
    /// The group whose number ends the host name, as in a `StatefulSet`.
    Ordinal,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "elastic" => Ok(Self::Elastic),
            "ordinal" => Ok(Self::Ordinal),
            _ => Err(format!("{text:?} is no assignment")),
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?} is no format")),
        }
    }
}

/// An address to listen on, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener(pub Option<SocketAddr>);

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // An empty variable is no value: in one, the word says so.
        if ["", "none"].contains(&text.trim()) {
            return Ok(Self(None));
        }
        text.trim()
            .parse()
            .map(|address| Self(Some(address)))
            .map_err(|_| format!("{text:?} is no address"))
    }
}
from_text!(Assignment, Format, Listener);
