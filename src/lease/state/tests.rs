use super::*;

const TTL: Duration = Duration::from_secs(15);

fn at(secs: u64) -> Boottime {
    Boottime(Duration::from_secs(secs))
}

fn holder() -> State {
    let mut state = State::new(TTL, false, at(0));
    assert_eq!(state.step(at(0)), Step::Bid(1));
    state.wrote(Outcome::Applied(7), at(1));
    state
}

#[test]
fn a_bid_that_wins_holds_from_the_moment_it_was_sent() {
    let state = holder();
    let held = Held {
        epoch: Epoch(7),
        until: at(12),
    };
    assert_eq!(state.held(at(1)), Some(held));
    assert_eq!(state.held(at(12)), None);
}

#[test]
fn a_renewal_moves_the_end_and_keeps_the_epoch() {
    let mut state = holder();
    assert_eq!(state.step(at(1)), Step::Wait(at(2)));
    assert_eq!(
        state.step(at(2)),
        Step::Renew {
            revision: 7,
            write: 2
        }
    );
    state.wrote(Outcome::Applied(9), at(3));
    assert_eq!(
        state.held(at(3)),
        Some(Held {
            epoch: Epoch(7),
            until: at(14)
        })
    );
    assert_eq!(state.revision(), Some(9));
}

#[test]
fn a_lost_ack_is_read_back_and_credited_with_its_own_time() {
    let mut state = holder();
    state.step(at(2));
    state.wrote(Outcome::Unknown, at(4));
    assert_eq!(state.step(at(4)), Step::Look);
    state.saw(
        Found::Ours {
            revision: 9,
            write: 2,
        },
        at(5),
    );
    assert_eq!(state.held(at(5)).map(|h| h.until), Some(at(14)));
}

/// A leader without a majority refuses every write at once, and goes on answering reads.
#[test]
fn refused_without_a_word_it_lasts_to_its_end_and_does_not_spin() {
    let ttl = Duration::from_secs(60);
    let mut state = State::new(ttl, false, at(0));
    state.step(at(0));
    state.wrote(Outcome::Applied(7), at(0));
    let (mut now, mut writes) = (at(0), 0);
    while state.held(now).is_some() {
        match state.step(now) {
            Step::Renew { .. } => {
                writes += 1;
                assert!(writes <= 240, "it never ends");
                state.wrote(Outcome::Unknown, now);
            }
            Step::Look => state.saw(
                Found::Ours {
                    revision: 7,
                    write: 1,
                },
                now,
            ),
            Step::Wait(until) => now = until,
            step => panic!("{step:?} at {now:?}"),
        }
    }
    assert_eq!(now, at(57));
    assert!(writes >= 64, "{writes}");
}

#[test]
fn another_owner_ends_it_at_once() {
    let mut state = holder();
    state.step(at(2));
    state.wrote(Outcome::Refused, at(3));
    assert_eq!(state.step(at(3)), Step::Look);
    state.saw(Found::Other, at(3));
    assert_eq!(state.held(at(3)), None);
    assert_eq!(state.step(at(3)), Step::End);
}

#[test]
fn a_holder_that_slept_past_its_end_has_lost_whatever_arrives() {
    let mut state = holder();
    state.step(at(2));
    assert_eq!(state.step(at(100)), Step::End);
    state.wrote(Outcome::Applied(9), at(100));
    assert_eq!(state.held(at(100)), None);
}

/// A holder whose renewal found no key.
fn vanished() -> State {
    let mut state = holder();
    state.step(at(2));
    state.wrote(Outcome::Refused, at(3));
    assert_eq!(state.step(at(3)), Step::Look);
    state.saw(Found::Nothing, at(3));
    state
}

#[test]
fn a_key_that_vanished_is_taken_again_while_held_under_the_same_epoch() {
    let mut state = vanished();
    assert_eq!(state.step(at(3)), Step::Bid(3));
    state.wrote(Outcome::Applied(2), at(4));
    let held = Held {
        epoch: Epoch(7),
        until: at(15),
    };
    assert_eq!((state.held(at(4)), state.revision()), (Some(held), Some(2)));
}

#[test]
fn whoever_finds_another_s_key_in_its_place_loses_at_once() {
    let mut state = vanished();
    assert_eq!(state.step(at(3)), Step::Bid(3));
    state.wrote(Outcome::Refused, at(3));
    assert_eq!(state.step(at(3)), Step::Look);
    state.saw(Found::Other, at(3));
    assert_eq!((state.held(at(3)), state.step(at(3))), (None, Step::End));
}

#[test]
fn an_unanswered_taking_again_is_read_back_and_does_not_spin() {
    let mut state = vanished();
    assert_eq!(state.step(at(3)), Step::Bid(3));
    state.wrote(Outcome::Unknown, at(3));
    state.saw(Found::Nothing, at(3));
    let Step::Wait(until) = state.step(at(3)) else {
        panic!("it spins");
    };
    assert_eq!(state.step(until), Step::Bid(4));
    state.wrote(Outcome::Refused, until);
    state.saw(ours(2, 3), until);
    assert_eq!(state.held(until).map(|held| held.until), Some(at(15)));
}

/// A key is not taken again by whoever slept past the end of its lease.
#[test]
fn a_vanished_key_is_lost_with_the_lease() {
    let mut state = holder();
    state.step(at(2));
    state.wrote(Outcome::Unknown, at(4));
    state.saw(Found::NoBucket, at(4));
    assert!(state.held(at(11)).is_some(), "it lasts to its end");
    assert_eq!(state.step(at(12)), Step::End);
    let mut state = vanished();
    assert_eq!(state.step(at(12)), Step::End);
}

#[test]
fn nobody_bids_in_a_bucket_that_is_not_there() {
    let mut state = State::new(TTL, false, at(0));
    state.step(at(0));
    state.wrote(Outcome::Unknown, at(0));
    assert_eq!(state.step(at(0)), Step::Look);
    state.saw(Found::NoBucket, at(0));
    assert_eq!(state.step(at(0)), Step::End);
    let mut state = State::new(TTL, true, at(0));
    state.step(at(0));
    state.wrote(Outcome::Unknown, at(0));
    state.saw(Found::NoBucket, at(0));
    assert_eq!(state.step(at(0)), Step::Wait(at(1)));
}

/// A bidder whose first bid was sent at 0 and is unanswered; it finds nothing.
fn unanswered() -> State {
    let mut state = State::new(TTL, false, at(0));
    assert_eq!(state.step(at(0)), Step::Bid(1));
    state.wrote(Outcome::Unknown, at(2));
    assert_eq!(state.step(at(2)), Step::Look);
    state.saw(Found::Nothing, at(2));
    assert_eq!(state.step(at(2)), Step::Wait(at(3)));
    state
}

fn ours(revision: u64, write: u64) -> Found {
    Found::Ours { revision, write }
}

#[test]
fn a_bid_that_was_applied_late_is_known_again_and_holds_from_when_it_was_sent() {
    let mut state = unanswered();
    assert_eq!(state.step(at(5)), Step::Bid(2));
    state.wrote(Outcome::Refused, at(5));
    assert_eq!(state.step(at(5)), Step::Look);
    state.saw(ours(9, 1), at(6));
    let held = Held {
        epoch: Epoch(9),
        until: at(12),
    };
    assert_eq!(state.held(at(6)), Some(held));
}

#[test]
fn a_bid_that_was_applied_too_late_is_not_believed_but_written_over() {
    let mut state = unanswered();
    assert_eq!(state.step(at(20)), Step::Bid(2));
    state.wrote(Outcome::Refused, at(20));
    state.saw(ours(9, 1), at(20));
    assert_eq!((state.held(at(20)), state.revision()), (None, Some(9)));
    let renewal = Step::Renew {
        revision: 9,
        write: 3,
    };
    assert_eq!(state.step(at(21)), renewal);
    state.wrote(Outcome::Applied(11), at(22));
    let held = Held {
        epoch: Epoch(11),
        until: at(33),
    };
    assert_eq!(state.held(at(22)), Some(held));
}

#[test]
fn a_key_that_is_another_s_after_all_ends_the_bid() {
    for late in [5, 20] {
        let mut state = unanswered();
        state.step(at(late));
        state.wrote(Outcome::Refused, at(late));
        state.saw(Found::Other, at(late));
        assert_eq!(state.step(at(late)), Step::End);
    }
    // Written over after it expired and another took it.
    let mut state = unanswered();
    state.step(at(20));
    state.wrote(Outcome::Refused, at(20));
    state.saw(ours(9, 1), at(20));
    state.step(at(21));
    state.wrote(Outcome::Refused, at(21));
    state.saw(Found::Other, at(21));
    assert_eq!((state.held(at(21)), state.step(at(21))), (None, Step::End));
}

#[test]
fn a_bidder_refused_by_another_does_not_look() {
    let mut state = State::new(TTL, false, at(0));
    state.step(at(0));
    state.wrote(Outcome::Refused, at(0));
    assert_eq!(state.step(at(0)), Step::End);
}

#[test]
fn a_persistent_bidder_bids_again() {
    let mut state = State::new(TTL, true, at(0));
    state.step(at(0));
    state.wrote(Outcome::Refused, at(0));
    assert_eq!(state.step(at(0)), Step::Wait(at(1)));
    assert_eq!(state.step(at(1)), Step::Bid(2));
}
