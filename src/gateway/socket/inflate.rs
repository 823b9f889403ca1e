//! Transport compression: one zstd stream a connection, one message a flush.
//!
//! <https://discord.com/developers/docs/events/gateway#zstdstream>

use std::cell::RefCell;

use anyhow::{Result, anyhow};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

/// The largest message that is kept, in bytes. One that inflates to more is read to its end, so that the
/// stream goes on, and is dropped.
pub(super) const LARGEST: usize = 32 << 20;
/// So much of a larger one is kept, to tell which it was.
const HEAD: usize = 1024;
/// The largest window that a stream may ask for, as a power of two: 8 MiB, which every encoder should stay
/// below. Each connection may fill one.
///
/// <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1.2>
const WINDOW: u32 = 23;
/// Inflated at a time.
const CHUNK: usize = 32 << 10;

thread_local! {
    /// The shards of a thread take turns with it.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// What a frame holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inflated {
    /// A message.
    Message(Vec<u8>),
    /// One that is larger than [`LARGEST`]: how it begins, and its size.
    TooLarge(Vec<u8>, usize),
}

/// The state of one connection's stream.
pub(super) struct Inflate(DCtx<'static>);

impl Inflate {
    /// A stream that begins.
    ///
    /// # Errors
    /// Where zstd knows no such parameter.
    pub(super) fn new() -> Result<Self> {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW))
            .map_err(named)?;
        Ok(Self(context))
    }

    /// The message of one frame.
    ///
    /// # Errors
    /// What is no zstd, or asks for a larger window than allowed: the stream is over.
    pub(super) fn message(&mut self, frame: &[u8]) -> Result<Inflated> {
        SCRATCH.with_borrow_mut(|scratch| self.inflate(frame, scratch))
    }

    fn inflate(&mut self, frame: &[u8], scratch: &mut [u8]) -> Result<Inflated> {
        let mut input = InBuffer::around(frame);
        let (mut message, mut size) = (Vec::new(), 0_usize);
        loop {
            let mut output = OutBuffer::around(&mut *scratch);
            self.0
                .decompress_stream(&mut output, &mut input)
                .map_err(named)?;
            let (piece, full) = (output.as_slice(), output.pos() == output.capacity());
            size += piece.len();
            if size <= LARGEST {
                message.extend_from_slice(piece);
            } else {
                message.truncate(HEAD);
                message.shrink_to_fit();
            }
            if input.pos == input.src.len() && !full {
                break;
            }
        }
        Ok(if size <= LARGEST {
            Inflated::Message(message)
        } else {
            Inflated::TooLarge(message, size)
        })
    }
}

fn named(code: usize) -> anyhow::Error {
    anyhow!("zstd: {}", get_error_name(code))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn frames(messages: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        messages
            .iter()
            .map(|message| {
                encoder.write_all(message).unwrap();
                encoder.flush().unwrap();
                std::mem::take(encoder.get_mut())
            })
            .collect()
    }

    #[test]
    fn messages_of_a_stream_come_one_by_one() {
        let large = vec![b'a'; 3 * CHUNK];
        let exact = vec![b'b'; CHUNK];
        let sent: [&[u8]; 4] = [b"{\"op\":10}", &large, &exact, b"{}"];
        let mut inflate = Inflate::new().unwrap();
        for (frame, message) in frames(&sent).iter().zip(sent) {
            assert_eq!(
                inflate.message(frame).unwrap(),
                Inflated::Message(message.to_vec())
            );
        }
    }

    #[test]
    fn a_bomb_is_read_to_its_end_and_the_stream_goes_on() {
        let bomb = vec![b'x'; LARGEST + CHUNK];
        let frames = frames(&[&bomb, b"{}"]);
        let mut inflate = Inflate::new().unwrap();
        let Inflated::TooLarge(head, size) = inflate.message(&frames[0]).unwrap() else {
            panic!("it was kept")
        };
        assert_eq!((head.len(), size), (HEAD, bomb.len()));
        assert_eq!(
            inflate.message(&frames[1]).unwrap(),
            Inflated::Message(b"{}".to_vec())
        );
    }

    #[test]
    fn what_is_no_zstd_is_an_error() {
        let mut inflate = Inflate::new().unwrap();
        assert!(inflate.message(b"this is no zstd at all").is_err());
    }
}
