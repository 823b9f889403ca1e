//! zstd without a context that lives as long as the connection: each message is one or more whole frames.
//! A stream of zstd is frames one after the other, each independent of the last:
//! <https://www.rfc-editor.org/rfc/rfc8878#section-3>. Discord sends one frame a connection; a streaming
//! decoder reads both.

use std::io;

use bytes::Bytes;

use super::payload::Payload;

/// Fastest of the levels that Discord's own ratio can be had with.
const LEVEL: i32 = 1;
/// Magic number, then a descriptor: one segment, content size in four bytes.
/// <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1>
const HEAD: [u8; 5] = [0x28, 0xB5, 0x2F, 0xFD, 0b1010_0000];
/// Largest block, <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.2.4>.
const MOST_RAW: usize = 128 << 10;

/// The message of a payload. What was compressed beforehand is copied, what stands before it goes raw.
pub(super) fn message(payload: &Payload) -> io::Result<Bytes> {
    let text = &payload.text;
    let cut = payload.tail.as_ref().filter(|(from, _)| *from <= MOST_RAW);
    let Some((head, (_, tail))) = cut.and_then(|cut| Some((text.get(..cut.0)?, cut))) else {
        return compressed(text);
    };
    let short = |number: usize| u32::try_from(number).map_err(io::Error::other);
    let size = short(head.len())?;
    let mut out = Vec::with_capacity(head.len() + tail.len() + 12);
    out.extend_from_slice(&HEAD);
    out.extend_from_slice(&size.to_le_bytes());
    // A block's header: the last one, type raw, size; three bytes.
    let block = (size << 3 | 1).to_le_bytes();
    out.extend(block.iter().take(3));
    out.extend_from_slice(head);
    out.extend_from_slice(tail);
    Ok(out.into())
}

/// A whole frame of this.
pub(super) fn compressed(text: &[u8]) -> io::Result<Bytes> {
    zstd::bulk::compress(text, LEVEL).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn payload(text: &str, from: usize) -> Payload {
        Payload {
            tail: Some((from, compressed(&text.as_bytes()[from..]).unwrap())),
            text: Bytes::from(text.to_owned()),
        }
    }

    #[test]
    fn one_decoder_reads_message_after_message() {
        let mut decoder = zstd::stream::write::Decoder::new(Vec::new()).unwrap();
        let long = "x".repeat(MOST_RAW + 9);
        for payload in [
            Payload::plain(Bytes::from_static(b"{}")),
            payload(r#"{"s":1,"content":"content content"}"#, 7),
            payload(r#"{"s":2}"#, 0),
            payload(r#"{"s":3}"#, 7),
            payload(&long, MOST_RAW),
            payload(&long, MOST_RAW + 1),
            Payload::plain(Bytes::from(long.clone())),
        ] {
            decoder.write_all(&message(&payload).unwrap()).unwrap();
            decoder.flush().unwrap();
            assert!(*decoder.get_ref() == payload.text);
            decoder.get_mut().clear();
        }
    }
}
