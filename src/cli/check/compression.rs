//! Is a stream that is there compressed as configured.

use async_nats::jetstream::stream;

use super::Finding;
use crate::config::Compression;

/// Whether a stream that is there is compressed as configured: that is set as it is made, or by hand.
pub(super) fn differs(
    wanted: Compression,
    found: Option<&stream::Compression>,
    name: &str,
) -> Option<Finding> {
    let (is, should) = match (found, wanted) {
        (Some(stream::Compression::S2), Compression::None) => ("s2", "none"),
        (None | Some(stream::Compression::None), Compression::S2) => ("none", "s2"),
        _ => return None,
    };
    let told = format!("{name} has the compression {is}, stream.compression is {should}");
    let hint = format!("`nats stream edit {name} --compression {should}`, or the key");
    Some(Finding::odd("compression", told, &hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_is_told_where_it_is_another() {
        let told = |wanted, found| differs(wanted, found, "DISCORD").is_some();
        let (none, s2) = (Compression::None, Compression::S2);
        assert!(!told(none, None) && !told(none, Some(&stream::Compression::None)));
        assert!(!told(s2, Some(&stream::Compression::S2)));
        assert!(told(s2, None) && told(none, Some(&stream::Compression::S2)));
    }
}
