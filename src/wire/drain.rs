//! An operator's word to one gateway: hand over what you hold, and take nothing more.
//!
//! Asked on `fleet.<name>.drain.<process>`, answered at once; the groups leave while its status tells
//! how many are left. The process stays up, drained, until it is ended or started anew.

use serde::{Deserialize, Serialize};

/// Hand over what you hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Version.
    pub v: u32,
}

/// It is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    /// Version.
    pub v: u32,
    /// Groups that were held when the word came.
    pub groups: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    #[test]
    fn the_contract_on_the_wire() {
        assert_eq!(encode(&Drain { v: 1 }), r#"{"v":1}"#);
        let reply = Draining { v: 1, groups: 3 };
        assert_eq!(encode(&reply), r#"{"v":1,"groups":3}"#);
        assert_eq!(decode::<Draining>(&encode(&reply)).unwrap(), reply);
    }
}
