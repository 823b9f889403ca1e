//! What the generator sends, made once: WebSocket frames of one zstd stream, the same for every shard.
//!
//! HELLO and READY differ by session, so they are zstd frames of their own before it; a streaming
//! decoder takes one frame after the other.

use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};

use crate::payloads;

const LEVEL: i32 = 3;
/// The least window that holds a large GUILD_CREATE several times: 512 KiB.
const WINDOW_LOG: u32 = 19;
/// Of the first event: READY is 1.
pub(crate) const FIRST_SEQ: u64 = 2;

/// Frames of the events, one after the other.
pub(crate) struct Blob {
    /// All of them.
    pub(crate) bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// Bytes of their payloads so far, by event.
    raw: Vec<u64>,
}

impl Blob {
    /// Encodes so many events.
    pub(crate) fn new(events: usize) -> Self {
        let mut zstd = Encoder::new(LEVEL).expect("the level exists");
        let window = CParameter::WindowLog(WINDOW_LOG);
        zstd.set_parameter(window).expect("the window is allowed");
        let mut blob = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            raw: Vec::new(),
        };
        let mut raw = 0;
        for seq in (FIRST_SEQ..).take(events) {
            let payload = payloads::payload(seq);
            raw += payload.len() as u64;
            binary(&mut blob.bytes, &flushed(&mut zstd, payload.as_bytes()));
            blob.ends.push(blob.bytes.len());
            blob.raw.push(raw);
        }
        blob
    }

    /// The frames of these events, counted from 0.
    pub(crate) fn frames(&self, from: usize, to: usize) -> &[u8] {
        &self.bytes[self.start(from)..self.start(to)]
    }

    /// Where the frame of this event begins.
    fn start(&self, event: usize) -> usize {
        event.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// Bytes of the payloads of these events.
    pub(crate) fn raw(&self, from: usize, to: usize) -> u64 {
        let until = |event: usize| event.checked_sub(1).map_or(0, |before| self.raw[before]);
        until(to) - until(from)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

/// What the stream adds for one payload.
fn flushed(zstd: &mut Encoder<'_>, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; payload.len() + 1024];
    let mut input = InBuffer::around(payload);
    let mut output = OutBuffer::around(&mut out);
    zstd.run(&mut input, &mut output).expect("it compresses");
    let left = zstd.flush(&mut output).expect("it flushes");
    assert!(
        input.pos() == payload.len() && left == 0,
        "the output had room"
    );
    let length = output.pos();
    out.truncate(length);
    out
}

/// A payload as a zstd frame of its own, in a WebSocket frame.
pub(crate) fn whole(payload: &str) -> Vec<u8> {
    let zstd = zstd::bulk::compress(payload.as_bytes(), LEVEL).expect("memory is there");
    let mut frame = Vec::new();
    binary(&mut frame, &zstd);
    frame
}

/// A payload as plain text, which twilight takes in a compressed stream too.
pub(crate) fn text(payload: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    header(&mut frame, 1, payload.len());
    frame.extend_from_slice(payload.as_bytes());
    frame
}

fn binary(out: &mut Vec<u8>, payload: &[u8]) {
    header(out, 2, payload.len());
    out.extend_from_slice(payload);
}

/// RFC 6455, 5.2: final, unmasked.
fn header(out: &mut Vec<u8>, opcode: u8, length: usize) {
    out.push(0x80 | opcode);
    match length {
        0..126 => out.push(length as u8),
        126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}
