//! The fast-ingest batch of a group, kept in the state bucket before its first message goes out.

use serde::{Deserialize, Serialize};

/// What the next owner of a group closes before it stores anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBatch {
    /// Version.
    pub v: u32,
    /// The batch's id.
    pub batch: String,
    /// The lease epoch of the writer.
    pub epoch: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_on_the_wire() {
        let golden = r#"{"v":1,"batch":"abc","epoch":7}"#;
        let batch: StoredBatch = crate::wire::decode(golden.as_bytes()).unwrap();
        assert_eq!(crate::wire::encode(&batch), golden);
    }
}
