//! Clean records pass; a record doctored anywhere does not.

use proptest::prelude::*;

use super::*;

/// Sessions of one shard after another: how many events each sent, and how many were delivered.
type Lives = Vec<(u64, u64)>;

#[derive(Clone, Debug)]
enum Message {
    Event {
        session: String,
        seq: u64,
        hash: Hash,
    },
    Gap {
        session: String,
        last_seq: u64,
    },
}

fn bytes(session: &str, seq: u64) -> Hash {
    evidence::hash(format!("{session}:{seq}").as_bytes())
}

fn event(session: &str, seq: u64) -> Message {
    let (session, hash) = (session.to_owned(), bytes(session, seq));
    Message::Event { session, seq, hash }
}

/// The shard's stream as it must be: each session's delivered events, and a gap before the next.
fn clean(lives: &Lives) -> Vec<Message> {
    let mut stream = Vec::new();
    for (number, (_, delivered)) in lives.iter().enumerate() {
        let session = format!("s{number}");
        stream.extend((1..=*delivered).map(|seq| event(&session, seq)));
        if number + 1 < lives.len() {
            let last_seq = *delivered;
            stream.push(Message::Gap { session, last_seq });
        }
    }
    stream
}

fn audited(lives: &Lives, stream: &[Message]) -> Report {
    let mut audit = Audit::default();
    for (number, (sent, delivered)) in lives.iter().enumerate() {
        let id = format!("s{number}");
        audit.session(&id, 3, *delivered);
        (1..=*sent).for_each(|seq| audit.sent(&id, seq, "MESSAGE_CREATE", bytes(&id, seq)));
    }
    for message in stream {
        match message {
            Message::Event { session, seq, hash } => audit.event(Stored {
                shard: 3,
                session,
                seq: *seq,
                unnumbered: false,
                event: "MESSAGE_CREATE",
                hash: *hash,
            }),
            Message::Gap { session, last_seq } => audit.gap(Announced {
                shard: 3,
                session,
                last_seq: *last_seq,
                reason: GapReason::SessionInvalidated,
            }),
        }
    }
    audit.report()
}

fn lives() -> impl Strategy<Value = Lives> {
    prop::collection::vec((1..40_u64, 0..5_u64), 1..5).prop_map(|sessions| {
        let told = |(delivered, more): (u64, u64)| (delivered + more, delivered);
        sessions.into_iter().map(told).collect()
    })
}

proptest! {
    #[test]
    fn a_clean_record_passes(lives in lives()) {
        let report = audited(&lives, &clean(&lives));
        prop_assert!(report.clean(), "{report:?}");
        prop_assert_eq!(report.sent, lives.iter().map(|life| life.0).sum::<u64>());
        prop_assert_eq!(report.stored + report.told, report.sent);
        prop_assert_eq!(report.gaps, lives.len() as u64 - 1);
    }

    #[test]
    fn a_dropped_message_is_caught(lives in lives(), at in any::<prop::sample::Index>()) {
        let mut stream = clean(&lives);
        let dropped = stream.remove(at.index(stream.len()));
        let report = audited(&lives, &stream);
        match dropped {
            Message::Event { .. } => prop_assert!(report.lost >= 1, "{report:?}"),
            Message::Gap { .. } => prop_assert_eq!(report.missing_gaps, 1, "{:?}", report),
        }
        prop_assert!(!report.clean());
    }

    #[test]
    fn two_swapped_messages_are_caught(lives in lives(), at in any::<prop::sample::Index>()) {
        let mut stream = clean(&lives);
        prop_assume!(stream.len() > 1);
        let at = at.index(stream.len() - 1);
        stream.swap(at, at + 1);
        let report = audited(&lives, &stream);
        prop_assert!(!report.clean(), "{:?}", stream);
        if let (Message::Event { .. }, Message::Event { .. }) = (&stream[at], &stream[at + 1]) {
            prop_assert_eq!(report.out_of_order, 1, "{:?}", report);
        }
    }

    #[test]
    fn a_repeated_message_is_caught(
        lives in lives(), at in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(),
    ) {
        let mut stream = clean(&lives);
        let at = at.index(stream.len());
        let to = at + 1 + to.index(stream.len() - at);
        stream.insert(to, stream[at].clone());
        let report = audited(&lives, &stream);
        prop_assert_eq!(report.duplicated, 1, "{:?}", report);
    }

    #[test]
    fn an_altered_message_is_caught(lives in lives(), at in any::<prop::sample::Index>()) {
        let mut stream = clean(&lives);
        let at = at.index(stream.len());
        match &mut stream[at] {
            Message::Event { hash, .. } => hash[0] ^= 1,
            Message::Gap { last_seq, .. } => *last_seq += 1,
        }
        let report = audited(&lives, &stream);
        prop_assert!(report.altered + report.unexpected >= 1, "{report:?}");
    }
}

#[test]
fn what_was_never_sent_is_caught() {
    let lives = vec![(5, 5)];
    for foreign in [event("s0", 6), event("other", 1)] {
        let mut stream = clean(&lives);
        stream.push(foreign);
        assert_eq!(audited(&lives, &stream).unexpected, 1);
    }
}

#[test]
fn a_session_that_returns_after_the_next_began_is_out_of_order() {
    let lives = vec![(3, 3), (2, 2)];
    let mut stream = clean(&lives);
    let late = stream.remove(2);
    stream.push(late);
    let report = audited(&lives, &stream);
    assert_eq!((report.out_of_order, report.lost), (1, 0), "{report:?}");
}

#[test]
fn another_shard_or_another_name_is_caught() {
    let mut audit = Audit::default();
    audit.session("a", 1, 2);
    (1..=2).for_each(|seq| audit.sent("a", seq, "READY", bytes("a", seq)));
    let stored = |shard, seq, event| Stored {
        shard,
        session: "a",
        seq,
        unnumbered: false,
        event,
        hash: bytes("a", seq),
    };
    audit.event(stored(1, 1, "RESUMED"));
    audit.event(stored(2, 2, "READY"));
    let report = audit.report();
    assert_eq!((report.altered, report.unexpected, report.lost), (1, 1, 1));
}

#[test]
fn an_oversize_event_is_told_not_lost() {
    let mut audit = Audit::default();
    audit.session("a", 1, 2);
    (1..=2).for_each(|seq| audit.sent("a", seq, "READY", bytes("a", seq)));
    let gap = Announced {
        shard: 1,
        session: "a",
        last_seq: 1,
        reason: GapReason::Oversize,
    };
    audit.gap(gap);
    audit.event(Stored {
        shard: 1,
        session: "a",
        seq: 2,
        unnumbered: false,
        event: "READY",
        hash: bytes("a", 2),
    });
    let report = audit.report();
    assert!(report.clean() && report.told == 1, "{report:?}");
}

#[test]
fn a_strange_name_goes_under_the_fleets_and_no_other_does() {
    for (sent, event, altered) in [
        ("a.b *>", "FLEET_UNNAMED", 0),
        ("", "FLEET_UNNAMED", 0),
        ("FLEET_GAP", "FLEET_UNNAMED", 0),
        ("MESSAGE_CREATE", "FLEET_UNNAMED", 1),
        ("a.b", "MESSAGE_CREATE", 1),
    ] {
        let mut audit = Audit::default();
        audit.session("a", 1, 1);
        audit.sent("a", 1, sent, bytes("a", 1));
        audit.event(Stored {
            shard: 1,
            session: "a",
            seq: 1,
            unnumbered: false,
            event,
            hash: bytes("a", 1),
        });
        assert_eq!(audit.report().altered, altered, "{sent} as {event}");
    }
}

/// Its number tells nothing: it is known by its bytes, once.
#[test]
fn an_event_without_a_number_is_known_by_its_bytes() {
    let audited = |hashes: &[u64]| {
        let mut audit = Audit::default();
        audit.session("a", 1, 3);
        for seq in [1, u64::MAX, 2, 3] {
            audit.sent("a", seq, "X", bytes("a", seq));
        }
        let stored = |seq, unnumbered, hash| Stored {
            shard: 1,
            session: "a",
            seq,
            unnumbered,
            event: "X",
            hash: bytes("a", hash),
        };
        audit.event(stored(1, false, 1));
        for hash in hashes {
            audit.event(stored(1, true, *hash));
        }
        (2..=3).for_each(|seq| audit.event(stored(seq, false, seq)));
        audit.gap(Announced {
            shard: 1,
            session: "unnamed-1-0-0",
            last_seq: 0,
            reason: GapReason::BeforeReady,
        });
        audit.report()
    };
    assert!(audited(&[u64::MAX]).clean());
    assert_eq!(audited(&[u64::MAX, u64::MAX]).duplicated, 1);
    assert_eq!(audited(&[7]).unexpected, 1);
}
