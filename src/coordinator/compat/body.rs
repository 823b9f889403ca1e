//! An answer that is followed by a word to the leader once it has been written.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};

/// A body of one piece; says its word when the server lets go of it, written or not.
pub(super) struct Confirming {
    piece: Option<Bytes>,
    then: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Confirming {
    pub(super) fn new(text: &'static str, then: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self {
            piece: Some(Bytes::from_static(text.as_bytes())),
            then: Some(Box::new(then)),
        }
    }
}

impl HttpBody for Confirming {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.piece.take().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.piece.as_ref().map_or(0, |piece| piece.len() as u64))
    }
}

impl Drop for Confirming {
    fn drop(&mut self) {
        if let Some(then) = self.then.take() {
            then();
        }
    }
}
