//! Pure: words of Discord's as they stand in headers and message ids: percent-encoding, as in URLs.

/// Writes every byte that `keeps` refuses as `%` and two digits. `%` itself is never kept, so that no two
/// texts are written alike.
pub(super) fn escaped(text: &str, keeps: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte != b'%' && byte.is_ascii() && keeps(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend([byte >> 4, byte & 15].map(digit));
        }
    }
    out
}

/// The text that was escaped; none where nothing is written so.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => value(bytes.next()?)? << 4 | value(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

fn digit(half: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(half & 15)])
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_kept_is_written_in_digits() {
        let letters = |byte: u8| byte.is_ascii_alphabetic();
        assert_eq!(escaped("a b\r\n%é", letters), "a%20b%0D%0A%25%C3%A9");
        for bad in ["%", "%2", "%zz", "%2a", "%FF"] {
            assert_eq!(unescaped(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_was_escaped_is_read_back(text in any::<String>(), keeps in any::<bool>()) {
            let written = escaped(&text, |byte| keeps && byte.is_ascii_graphic());
            prop_assert!(written.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(unescaped(&written), Some(text));
        }
    }
}
