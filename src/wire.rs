//! What crosses a process boundary: one contract a file, each with its version.
//!
//! Every control message and KV value carries `v`. A release reads its own version and the one
//! before it, so that two releases work side by side while a fleet is upgraded.

pub mod command;
pub mod drain;
pub mod event;
pub mod identify;
pub mod session;
pub mod status;
pub mod topology;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The version that this release writes.
pub const VERSION: u32 = 1;

/// Why bytes from outside were not understood.
#[derive(Debug)]
pub enum Malformed {
    /// Not the JSON that the contract names.
    Json(serde_json::Error),
    /// A version that this release does not read.
    Version(u32),
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(source) => write!(f, "malformed message: {source}"),
            Self::Version(v) => write!(
                f,
                "version {v} is not understood: this release reads {} and {VERSION}",
                VERSION - 1
            ),
        }
    }
}

impl std::error::Error for Malformed {}

/// Reads a versioned message; never panics, whatever the bytes.
///
/// # Errors
/// Says what is wrong with bytes that are not the contract's JSON, or of a version out of reach.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    #[derive(Deserialize)]
    struct Head {
        v: u32,
    }
    let head: Head = serde_json::from_slice(bytes).map_err(Malformed::Json)?;
    if !(VERSION.saturating_sub(1)..=VERSION).contains(&head.v) {
        return Err(Malformed::Version(head.v));
    }
    serde_json::from_slice(bytes).map_err(Malformed::Json)
}

/// Writes a message of the contract.
pub fn encode<T: Serialize>(value: &T) -> bytes::Bytes {
    // Plain structs of strings and numbers: serde_json has nothing to refuse in them.
    serde_json::to_vec(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Sample {
        v: u32,
    }

    #[test]
    fn reads_this_release_and_the_one_before() {
        assert!(decode::<Sample>(br#"{"v":1}"#).is_ok());
        assert!(decode::<Sample>(br#"{"v":0}"#).is_ok());
        assert!(matches!(
            decode::<Sample>(br#"{"v":2}"#),
            Err(Malformed::Version(2))
        ));
        assert!(matches!(
            decode::<Sample>(b"\xff{"),
            Err(Malformed::Json(_))
        ));
    }
}
