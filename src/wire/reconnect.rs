//! An operator's word to one gateway: connect these shards anew.
//!
//! Asked on `fleet.<name>.reconnect.<process>`, answered at once; the shards' states tell the rest.

use serde::{Deserialize, Serialize};

/// Connect these shards anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconnect {
    /// Version.
    pub v: u32,
    /// Which.
    pub shards: Vec<u32>,
    /// True: each gives its session up and identifies. False: it resumes.
    #[serde(default)]
    pub new_session: bool,
}

/// It is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconnecting {
    /// Version.
    pub v: u32,
    /// Those of them that the process runs.
    pub shards: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    #[test]
    fn the_contract_on_the_wire() {
        let word = Reconnect {
            v: 1,
            shards: vec![3, 7],
            new_session: true,
        };
        let golden = r#"{"v":1,"shards":[3,7],"new_session":true}"#;
        assert_eq!(encode(&word), golden);
        assert_eq!(decode::<Reconnect>(golden.as_bytes()).unwrap(), word);
        let resume: Reconnect = decode(br#"{"v":1,"shards":[]}"#).unwrap();
        assert!(!resume.new_session);
        let shards = vec![3];
        assert_eq!(
            encode(&Reconnecting { v: 1, shards }),
            r#"{"v":1,"shards":[3]}"#
        );
    }
}
