//! What crosses a process boundary: one contract a file, each with its version.
//!
//! Every control message and KV value carries `v`. A release reads its own version, the one before it
//! and the one after it, so that two releases work side by side while a fleet is upgraded, and while
//! that is taken back. What makes this safe is what a version may change:
//!
//! - It may add a field. Who does not know it ignores it, and may write the value anew without it: so
//!   the field has a default, and nothing is wrong where it is missing again.
//! - It may take out a field that the version before reads with a default.
//! - A new word where a name is expected (a `kind`, a state, a reason) is read by one version and
//!   written by the next: who does not know a word does not understand the message.

pub mod command;
pub mod drain;
mod escape;
pub mod event;
mod id;
pub mod identify;
pub mod ingest;
pub mod reconnect;
pub mod session;
pub mod status;
pub mod topology;

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The version that this release writes.
pub const VERSION: u32 = 1;
/// The versions that it reads: a neighbour's too, on either side.
const READ: RangeInclusive<u32> = VERSION - 1..=VERSION + 1;

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
                "version {v} is not understood: this release reads {} to {}, and no release may be skipped",
                READ.start(),
                READ.end()
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
    if !READ.contains(&head.v) {
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
    fn reads_this_release_and_its_neighbours() {
        for v in [VERSION - 1, VERSION, VERSION + 1] {
            let later = format!(r#"{{"v":{v},"unheard_of":{{"x":[1]}}}}"#);
            assert_eq!(decode::<Sample>(later.as_bytes()).unwrap().v, v);
        }
        let error = decode::<Sample>(br#"{"v":3}"#).unwrap_err();
        assert!(matches!(error, Malformed::Version(3)), "{error}");
        assert!(error.to_string().contains("reads 0 to 2"), "{error}");
        assert!(matches!(
            decode::<Sample>(b"\xff{"),
            Err(Malformed::Json(_))
        ));
    }
}
