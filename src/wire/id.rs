//! Pure: the message ids of the stream, and what they name a session.

use std::borrow::Cow;

use ring::digest::{SHA256, digest};

use super::{
    escape::{escaped, unescaped},
    event::GapReason,
};
use crate::fleet::ShardId;

/// What a longer session id is written as: a hash of it.
const LONGEST_SESSION: usize = 128;
/// What no escaped session id begins with.
const HASHED: &str = "%h";
/// What the id of a gap ends with.
const GAP: &str = "gap";

/// A session id as message ids and gaps name it: as Discord gave it where it is printable ASCII without `%`
/// and not long, else percent-encoded, or hashed. A header that breaks in two is no header.
pub fn session_name(id: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_graphic();
    let fits = |name: &str| name.len() <= LONGEST_SESSION;
    if fits(id) && id.bytes().all(|byte| plain(byte) && byte != b'%') {
        return id.into();
    }
    let written = escaped(id, plain);
    if fits(&written) {
        return written.into();
    }
    let hash = digest(&SHA256, id.as_bytes());
    let digits = hash.as_ref().iter().take(16);
    let name = digits.fold(HASHED.to_owned(), |name, byte| format!("{name}{byte:02x}"));
    name.into()
}

/// The session id that Discord gave; none where it cannot be told from its name.
pub fn session_id(name: &str) -> Option<String> {
    unescaped(name)
}

/// What the names begin with that the fleet makes up for a shard's sessions, where Discord's cannot be used.
fn made_up(shard: ShardId) -> String {
    format!("unnamed-{shard}-")
}

/// A name for a session of a shard that no other has; `count` tells those of one moment apart.
pub fn made_up_name(shard: ShardId, at_ms: u64, count: u64) -> String {
    format!("{}{at_ms}-{count}", made_up(shard))
}

/// True for a name that was made up for a session of the shard.
pub fn is_made_up(name: &str, shard: ShardId) -> bool {
    name.starts_with(&made_up(shard))
}

/// The message id of an event.
pub fn message_id(session: &str, seq: u64) -> String {
    // One an event: `format!` costs six times as much.
    let mut buffer = itoa::Buffer::new();
    let seq = buffer.format(seq);
    let mut id = String::with_capacity(session.len() + 1 + seq.len());
    id.push_str(session);
    id.push(':');
    id.push_str(seq);
    id
}

/// The message id of an event without a number that can be believed: the `count`th behind `last_seq`.
pub fn unnumbered_id(session: &str, last_seq: u64, count: u32) -> String {
    format!("{session}:{last_seq}:+{count}")
}

/// The message id of the gap after the last stored event of a session. One that the session outlives names
/// its reason: others may stand behind the same event, and each is stored.
pub fn gap_id(session: &str, last_seq: u64, reason: GapReason) -> String {
    if reason.session_lives() {
        return format!("{session}:{last_seq}:{}:{GAP}", reason.as_str());
    }
    format!("{session}:{last_seq}:{GAP}")
}

/// What stands at a sequence of a session, in the stream's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The event with this number.
    Event,
    /// The so many-th event behind it that has none.
    Unnumbered(u32),
    /// A loss behind them that the session outlives.
    GapWithin(GapReason),
    /// The loss behind all of them.
    Gap,
}

impl Part {
    /// True for a loss.
    pub fn is_gap(self) -> bool {
        matches!(self, Self::GapWithin(_) | Self::Gap)
    }
}

/// The session and sequence that a message id names; of what has no number of its own, the last before it.
pub fn parse_message_id(id: &str) -> Option<(&str, u64)> {
    parse_id(id).map(|(session, seq, _)| (session, seq))
}

/// The same, and what stands there.
pub fn parse_id(id: &str) -> Option<(&str, u64, Part)> {
    // A session id may hold colons; an event's id ends with digits, and neither a gap's nor the third kind.
    let (rest, last) = id.rsplit_once(':')?;
    let part = match last.strip_prefix('+') {
        Some(count) => Part::Unnumbered(number(count)?.try_into().ok()?),
        None if last == GAP => return gap(rest),
        None => return Some((rest, number(last)?, Part::Event)),
    };
    let (session, seq) = rest.rsplit_once(':')?;
    Some((session, number(seq)?, part))
}

/// What stands before `:gap`: earlier releases name no reason.
fn gap(rest: &str) -> Option<(&str, u64, Part)> {
    let (place, last) = rest.rsplit_once(':')?;
    if let Some(seq) = number(last) {
        return Some((place, seq, Part::Gap));
    }
    let mut within = GapReason::ALL.into_iter().filter(|one| one.session_lives());
    let reason = within.find(|reason| reason.as_str() == last)?;
    let (session, seq) = place.rsplit_once(':')?;
    Some((session, number(seq)?, Part::GapWithin(reason)))
}

/// Digits and nothing else: not the sign that Rust would take.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_id_names_session_and_sequence() {
        assert_eq!(message_id("abc", 7), "abc:7");
        assert_eq!(parse_message_id("abc:7"), Some(("abc", 7)));
        assert_eq!(parse_message_id("abc:7:gap"), Some(("abc", 7)));
        for none in [
            "abc", "abc:x", "abc:", "abc:+7", "abc:-7", "abc::gap", "gap", ":gap",
        ] {
            assert_eq!(parse_message_id(none), None, "{none}");
        }
    }

    #[test]
    fn an_event_without_a_number_stands_between_the_last_one_and_a_gap() {
        assert_eq!(unnumbered_id("abc", 7, 2), "abc:7:+2");
        assert_eq!(parse_id("abc:7:+2"), Some(("abc", 7, Part::Unnumbered(2))));
        assert_eq!(parse_message_id("abc:7:+2"), Some(("abc", 7)));
        assert_eq!(parse_id("abc:7:+99999999999"), None);
        assert!(Part::Event < Part::Unnumbered(1) && Part::Unnumbered(1) < Part::Unnumbered(2));
        let hole = Part::GapWithin(GapReason::Hole);
        assert!(Part::Unnumbered(u32::MAX) < hole && hole < Part::Gap);
    }

    #[test]
    fn gaps_behind_one_event_have_ids_of_their_own() {
        assert_eq!(gap_id("a", 7, GapReason::StreamLost), "a:7:stream_lost:gap");
        assert_eq!(gap_id("a", 7, GapReason::SessionInvalidated), "a:7:gap");
        for none in [
            "a:7:resume_failed:gap",
            "a:7::gap",
            "a:x:hole:gap",
            "7:hole:gap",
        ] {
            assert_eq!(parse_id(none), None, "{none}");
        }
        // As earlier releases wrote a hole, or a session is called.
        assert_eq!(parse_id("a:7:gap"), Some(("a", 7, Part::Gap)));
        assert_eq!(parse_id("a:7:gap:8:gap"), Some(("a:7:gap", 8, Part::Gap)));
    }

    #[test]
    fn a_session_id_is_named_as_it_is_unless_it_would_break_a_header() {
        for plain in [
            "0123456789abcdef0123456789abcdef",
            "a:b",
            "a:7:gap",
            ":",
            "+1",
        ] {
            assert_eq!(session_name(plain), plain);
        }
        assert_eq!(session_name("cr\r\nlf"), "cr%0D%0Alf");
        assert_eq!(session_name("50%"), "50%25");
        assert_eq!(session_name("é "), "%C3%A9%20");
        let long = session_name(&"x".repeat(129)).into_owned();
        assert!(long.starts_with("%h") && long.len() == 34, "{long}");
        assert_eq!(session_id(&long), None);
        assert_ne!(session_name(&"x".repeat(130)), long);
    }

    #[test]
    fn a_made_up_name_is_known_by_its_shard() {
        let name = made_up_name(ShardId(1), 5, 7);
        assert_eq!(name, "unnamed-1-5-7");
        assert!(is_made_up(&name, ShardId(1)) && !is_made_up(&name, ShardId(15)));
    }

    proptest! {
        #[test]
        fn every_session_id_makes_ids_that_fit_a_header_and_are_read_back(
            id in any::<String>(), seq in any::<u64>(), count in any::<u32>(),
        ) {
            let name = session_name(&id);
            prop_assert!(name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_graphic()));
            let known = session_id(&name);
            prop_assert!(known.as_ref() == Some(&id) || (known.is_none() && name.starts_with("%h")));
            let event = message_id(&name, seq);
            prop_assert_eq!(parse_id(&event), Some((&*name, seq, Part::Event)));
            let unnumbered = unnumbered_id(&name, seq, count);
            prop_assert_eq!(parse_id(&unnumbered), Some((&*name, seq, Part::Unnumbered(count))));
            for reason in GapReason::ALL {
                let gap = gap_id(&name, seq, reason);
                let part = if reason.session_lives() { Part::GapWithin(reason) } else { Part::Gap };
                prop_assert_eq!(parse_id(&gap), Some((&*name, seq, part)));
            }
        }
    }
}
