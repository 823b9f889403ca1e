//! A dispatch as it is kept for its client: the text, and as much of it as was compressed beforehand.

use bytes::Bytes;

/// One payload. A copy is two reference counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Payload {
    /// Before transport compression: what the record's hash is of.
    pub(super) text: Bytes,
    /// Where in the text the part begins that every use of a stencil shares, and that part as a zstd frame.
    pub(super) tail: Option<(usize, Bytes)>,
}

impl Payload {
    /// Nothing of it is compressed yet.
    pub(super) fn plain(text: Bytes) -> Self {
        Self { text, tail: None }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }
}
