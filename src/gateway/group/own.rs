//! The last message of a shard that is the fleet's own, and whether its stream has lost what stood behind it.

use anyhow::{Result, bail};

use crate::{
    fleet::ShardId,
    gateway::{
        forward::{Last, Outlet, foreign},
        session::Ready,
    },
    wire::{
        event::{Gap, is_made_up, parse_id, session_name},
        session::StoredSession,
    },
};

/// So many in a row that are none of the fleet's are passed over.
const MOST: usize = 1024;

/// What the stream holds of a shard.
pub(super) struct Own {
    /// The last message that is the fleet's own …
    pub(super) last: Last,
    /// … and what it says, if it is a gap.
    pub(super) gap: Option<Gap>,
    /// Where a foreign one stands behind it; 0: none does.
    pub(super) behind: u64,
    /// It ends before what its session's key says that it held.
    pub(super) cut_off: bool,
}

/// Looks for it, from the stream's end on.
///
/// # Errors
/// Where the stream's leader does not answer.
pub(super) async fn look(
    outlet: &Outlet,
    key: Option<&StoredSession>,
    ready: Option<&Ready>,
) -> Result<Own> {
    let shard = outlet.shard();
    let (mut last, mut gap) = outlet.last_and_gap().await;
    let (mut behind, mut passed, mut cut_off) = (0, 0, false);
    for _ in 0..MOST {
        let (sequence, place) = match &last {
            Last::Unknown => bail!("the stream of shard {shard} does not answer"),
            Last::Message(sequence, id) => (*sequence, place(id, shard, key, ready)),
            Last::Nothing | Last::Lost => break,
        };
        let (before, said) = outlet.before(sequence).await;
        if place != Place::Foreign && !goes_on(&before, &last) {
            cut_off = place == Place::Before;
            if cut_off && before == Last::Unknown {
                bail!("the stream of shard {shard} does not answer");
            }
            break;
        }
        behind = behind.max(sequence);
        passed += 1;
        (last, gap) = (before, said);
    }
    foreign::say(shard, passed, behind);
    Ok(Own {
        last,
        gap,
        behind,
        cut_off,
    })
}

/// What a message is to a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// One of its own.
    Own,
    /// Of its session, and before what the stream is known to have held.
    Before,
    /// None of the fleet's, or another shard's.
    Foreign,
}

fn place(id: &str, shard: ShardId, key: Option<&StoredSession>, ready: Option<&Ready>) -> Place {
    let Some((name, seq, _)) = parse_id(id) else {
        return Place::Foreign;
    };
    if let Some(key) = key.filter(|key| session_name(&key.session) == name) {
        return if seq < key.stored {
            Place::Before
        } else {
            Place::Own
        };
    }
    let is_ready = |ready: &Ready| session_name(&ready.session_id) == name;
    // Of a session that neither knows nothing can be told, unless both know of another one.
    let known = key.is_some_and(|key| !key.session.is_empty()) && ready.is_some();
    if !known || is_made_up(name, shard) || ready.is_some_and(is_ready) {
        Place::Own
    } else {
        Place::Foreign
    }
}

/// True where the message before another one has a later number of the same session: the other is a copy.
fn goes_on(before: &Last, last: &Last) -> bool {
    let (Last::Message(_, before), Last::Message(_, last)) = (before, last) else {
        return false;
    };
    let pair = parse_id(before).zip(parse_id(last));
    pair.is_some_and(|((session, before, _), (same, last, _))| session == same && before > last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_message_is_is_told_by_its_session() {
        let key = StoredSession {
            v: 1,
            session: "a".to_owned(),
            resume_url: String::new(),
            epoch: 1,
            seq: 30,
            stream_at_ms: 0,
            stored: 20,
        };
        let ready = |id: &str| Ready {
            session_id: id.to_owned(),
            resume_gateway_url: String::new(),
        };
        let of = |id, ready: Option<&Ready>| place(id, ShardId(3), Some(&key), ready);
        let (a, b) = (ready("a"), ready("b"));
        assert_eq!(of("a:20", Some(&a)), Place::Own);
        assert_eq!(of("a:19", Some(&a)), Place::Before);
        // Its READY is stored, and the key is written only after.
        assert_eq!(of("b:2", Some(&b)), Place::Own);
        assert_eq!(of("c:2", Some(&b)), Place::Foreign);
        assert_eq!(of("c:2", None), Place::Own);
        assert_eq!(of("unnamed-3-1-1:2", Some(&a)), Place::Own);
        for none in ["", "hi", "a"] {
            assert_eq!(of(none, Some(&a)), Place::Foreign);
        }
        assert_eq!(place("c:2", ShardId(3), None, Some(&b)), Place::Own);
    }

    #[test]
    fn a_copy_stands_behind_a_later_number() {
        let message = |id: &str| Last::Message(1, id.to_owned());
        assert!(goes_on(&message("a:27"), &message("a:5")));
        assert!(!goes_on(&message("a:4"), &message("a:5")));
        assert!(!goes_on(&message("b:9"), &message("a:5")));
        assert!(!goes_on(&Last::Nothing, &message("a:5")));
    }
}
