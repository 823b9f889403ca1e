//! How a payload becomes WebSocket messages: plain, or through a compression context that lives as long
//! as the connection. <https://discord.com/developers/docs/events/gateway#transport-compression>

use std::io;

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation, OutBuffer};

use super::frames;
use super::payload::Payload;

/// Base two logarithm of the window: 128 KiB a connection, instead of megabytes.
const ZSTD_WINDOW: u32 = 17;
/// Payloads below this stay plain under payload compression: Discord mixes both too.
const WORTH_ZLIB: usize = 512;

/// One connection's encoder.
pub(super) enum Transport {
    /// Text messages.
    Plain,
    /// Stand-alone zlib for the larger ones: IDENTIFY with `compress`.
    Payload,
    /// `zlib-stream`; `split`: one payload over two messages.
    Zlib {
        /// The context.
        deflate: Box<Compress>,
        /// Whether messages are split.
        split: bool,
    },
    /// `zstd-stream`.
    Zstd(Box<Encoder<'static>>),
    /// `zstd-stream` of whole frames, so that what was compressed beforehand can be sent.
    Frames,
}

impl Transport {
    /// The transport of a `compress` query parameter; none if there is no such. `frames`: much of what is
    /// sent was compressed beforehand.
    pub(super) fn new(name: Option<&str>, split: bool, frames: bool) -> io::Result<Option<Self>> {
        Ok(Some(match name {
            None | Some("") => Self::Plain,
            Some("zlib-stream") => Self::Zlib {
                deflate: Box::new(Compress::new(Compression::fast(), true)),
                split,
            },
            Some("zstd-stream") if frames => Self::Frames,
            Some("zstd-stream") => {
                let mut encoder = Encoder::new(1)?;
                encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW))?;
                Self::Zstd(Box::new(encoder))
            }
            Some(_) => return Ok(None),
        }))
    }

    /// Encodes one payload, handing its messages over in order.
    pub(super) fn encode(
        &mut self,
        payload: &Payload,
        mut send: impl FnMut(Message),
    ) -> io::Result<()> {
        let text = &payload.text;
        match self {
            Self::Payload if payload.len() >= WORTH_ZLIB => {
                let mut deflate = Compress::new(Compression::fast(), true);
                send(Message::Binary(deflated(
                    &mut deflate,
                    text,
                    FlushCompress::Finish,
                )?));
            }
            Self::Plain | Self::Payload => {
                send(Message::Text(
                    Utf8Bytes::try_from(text.clone()).map_err(io::Error::other)?,
                ));
            }
            Self::Zlib { deflate, split } => {
                let mut message = deflated(deflate, text, FlushCompress::Sync)?;
                if *split && message.len() > 1 {
                    send(Message::Binary(message.split_to(message.len() / 2)));
                }
                send(Message::Binary(message));
            }
            Self::Zstd(encoder) => send(Message::Binary(compressed(encoder, text)?)),
            Self::Frames => send(Message::Binary(frames::message(payload)?)),
        }
        Ok(())
    }

    /// A message that cannot be decoded.
    pub(super) fn garbage(&self) -> Message {
        match self {
            Self::Plain => Message::Text(Utf8Bytes::from_static(r#"{"t":"#)),
            // The end is zlib's flush marker: without it a client would wait for more.
            _ => Message::Binary(Bytes::from_static(&[
                0xDE, 0xAD, 0xBE, 0xEF, 0, 0, 0xFF, 0xFF,
            ])),
        }
    }
}

fn deflated(deflate: &mut Compress, payload: &[u8], flush: FlushCompress) -> io::Result<Bytes> {
    let before = deflate.total_in();
    let mut out = Vec::with_capacity(payload.len() / 3 + 64);
    // Each round consumes input or grows the output, and an output this large takes everything.
    for _ in 0..64 {
        let read = usize::try_from(deflate.total_in() - before).unwrap_or(usize::MAX);
        let rest = payload.get(read..).unwrap_or_default();
        deflate
            .compress_vec(rest, &mut out, flush)
            .map_err(io::Error::other)?;
        let done = deflate.total_in() - before == payload.len() as u64;
        // Room left over means that the flush is complete.
        if done && out.len() < out.capacity() {
            return Ok(out.into());
        }
        out.reserve(out.capacity().max(1024));
    }
    Err(io::Error::other("zlib did not finish"))
}

fn compressed(encoder: &mut Encoder<'static>, payload: &[u8]) -> io::Result<Bytes> {
    let mut out: Vec<u8> = Vec::with_capacity(payload.len() / 2 + 256);
    let mut input = InBuffer::around(payload);
    for _ in 0..1024 {
        let at = out.len();
        let mut output = OutBuffer::around_pos(&mut out, at);
        if input.pos() < payload.len() {
            encoder.run(&mut input, &mut output)?;
        }
        let left = if input.pos() == payload.len() {
            encoder.flush(&mut output)?
        } else {
            1
        };
        if left == 0 {
            return Ok(out.into());
        }
        out.reserve(out.capacity().max(left));
    }
    Err(io::Error::other("zstd did not finish"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn payloads() -> Vec<Bytes> {
        let noise = |n: usize| {
            (0..n)
                .map(|i| char::from(b'a' + u8::try_from(i * i % 26).unwrap()))
                .collect::<String>()
        };
        [0, 1, 511, 512, 5_000, 3_000_000]
            .iter()
            .map(|n| Bytes::from(format!("{{{}}}", noise(*n))))
            .collect()
    }

    fn encode(transport: &mut Transport, payload: &Bytes) -> Vec<Bytes> {
        let mut sent = Vec::new();
        transport
            .encode(&Payload::plain(payload.clone()), |message| {
                sent.push(message.into_data());
            })
            .unwrap();
        sent
    }

    #[test]
    fn zstd_streams_one_message_each() {
        let mut transport = Transport::new(Some("zstd-stream"), true, false)
            .unwrap()
            .unwrap();
        let mut decoder = zstd::stream::raw::Decoder::new().unwrap();
        for payload in payloads() {
            let sent = encode(&mut transport, &payload);
            assert_eq!(sent.len(), 1);
            let mut input = InBuffer::around(&sent[0]);
            let mut plain = Vec::with_capacity(payload.len() + (1 << 18));
            while input.pos() < sent[0].len() {
                let at = plain.len();
                decoder
                    .run(&mut input, &mut OutBuffer::around_pos(&mut plain, at))
                    .unwrap();
            }
            let at = plain.len();
            decoder
                .flush(&mut OutBuffer::around_pos(&mut plain, at))
                .unwrap();
            assert!(
                plain == payload,
                "{} of {} bytes",
                plain.len(),
                payload.len()
            );
        }
    }

    #[test]
    fn zlib_streams_and_splits() {
        for split in [false, true] {
            let mut transport = Transport::new(Some("zlib-stream"), split, false)
                .unwrap()
                .unwrap();
            let mut inflate = flate2::Decompress::new(true);
            for payload in payloads() {
                let sent = encode(&mut transport, &payload);
                assert_eq!(sent.len(), if split { 2 } else { 1 });
                let whole = sent.concat();
                assert!(whole.ends_with(&[0, 0, 0xFF, 0xFF]));
                let mut plain = Vec::with_capacity(payload.len() + 64);
                inflate
                    .decompress_vec(&whole, &mut plain, flate2::FlushDecompress::Sync)
                    .unwrap();
                assert!(plain == payload);
            }
        }
    }

    #[test]
    fn payload_compression_stands_alone() {
        for payload in payloads() {
            let sent = encode(&mut Transport::Payload, &payload);
            let mut plain = Vec::new();
            if payload.len() < WORTH_ZLIB {
                plain.extend_from_slice(&sent[0]);
            } else {
                flate2::read::ZlibDecoder::new(&*sent[0])
                    .read_to_end(&mut plain)
                    .unwrap();
            }
            assert!(plain == payload);
        }
        assert!(
            Transport::new(Some("brotli"), false, false)
                .unwrap()
                .is_none()
        );
    }
}
