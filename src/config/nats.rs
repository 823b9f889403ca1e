//! How NATS is reached, and what the fleet keeps there.

use super::{
    fleet::Count,
    section::section,
    value::{Secret, Size, Span, Switch, from_text},
};
use std::str::FromStr;

section! {
    /// The connection.
    pub struct Nats in "nats" {
        /// One or a comma list. Empty: `up` starts its own server, other roles use 127.0.0.1:4222.
        url: String = String::new(), secret "nats://host:4222, or several with commas between";
        /// A credentials file.
        creds: String = String::new(), plain "the path of a .creds file";
        /// An nkey seed.
        nkey: Secret = Secret::default(), secret "a seed that begins with SU";
        /// A user name.
        user: String = String::new(), plain "a name";
        /// Its password.
        password: Secret = Secret::default(), secret "a string";
        /// A file with the password; read at the start.
        password_file: String = String::new(), plain "the path of a file";
        /// The token of a server that takes one.
        token: Secret = Secret::default(), secret "a string";
        /// A file with the token; read at the start.
        token_file: String = String::new(), plain "the path of a file";
        /// The authority to trust beside the system's.
        tls_ca: String = String::new(), plain "the path of a PEM file";
        /// A client certificate.
        tls_cert: String = String::new(), plain "the path of a PEM file";
        /// Its key.
        tls_key: String = String::new(), plain "the path of a PEM file";
        /// TLS before the server has said anything, as one with `handshake_first` wants it.
        tls_first: Switch = Switch(false), plain "true or false";
    }
}

section! {
    /// What JetStream keeps of events.
    pub struct Stream in "stream" {
        /// Copies of each message.
        replicas: Count<1, 5> = Count(1), plain "1, 3 or 5";
        /// Where they are kept.
        storage: Storage = Storage::File, plain "\"file\" or \"memory\"";
        /// Whether the server compresses what it writes to disk; of streams that are there it changes nothing.
        compression: Compression = Compression::None, plain "\"none\" or \"s2\"";
        /// How long.
        max_age: Span = Span::secs(6 * 3600), plain "a number and a unit, such as \"6h\"";
        /// How much, in each stream.
        max_bytes: Size = Size(8 << 30), plain "a number and a unit, such as \"8GiB\"";
        /// How long the server knows a message id: about 220 bytes of its memory each.
        duplicate_window: Span = Span::secs(30), plain "a number and a unit, such as \"30s\"";
        /// Streams; a group belongs to one.
        partitions: Count<1, 64> = Count(1), plain "a number from 1 to 64";
        /// Whether streams and buckets that are missing are made, at the start and later.
        create: Switch = Switch(true), plain "true or false";
    }
}

section! {
    /// Ownership.
    pub struct Lease in "lease" {
        /// How long a lease lives without renewal; renewed every 2 s, given up 3 s before its end.
        ttl: Span = Span::secs(15), plain "a number and a unit from \"6s\" to \"5m\"; an election in a replicated NATS takes 4 to 9 s";
    }
}

/// What a server makes of a stream's blocks on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they come.
    None,
    /// S2: about a fifth of the bytes, for more of the server's CPU.
    S2,
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" => Ok(Self::None),
            "s2" => Ok(Self::S2),
            _ => Err(format!("{text:?} is no compression")),
        }
    }
}
from_text!(Compression);

/// Where a stream is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// On disk.
    File,
    /// In memory: gone when the server is.
    Memory,
}

impl FromStr for Storage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "file" => Ok(Self::File),
            "memory" => Ok(Self::Memory),
            _ => Err(format!("{text:?} is no storage")),
        }
    }
}
from_text!(Storage);
