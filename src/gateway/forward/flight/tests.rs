use std::ops::RangeInclusive;

use super::*;

fn after(secs: u64) -> Instant {
    // The runtime's time is paused and stands at zero.
    crate::clock::now() + Duration::from_secs(secs)
}

#[tokio::test(start_paused = true)]
async fn an_ack_lets_the_next_one_go_with_a_higher_fence() {
    let mut flight = Flight::new(7);
    assert_eq!(
        flight.step(after(0)),
        Step::Publish {
            attempt: 1,
            expected: 7
        }
    );
    assert_eq!(
        flight.answered(1, Answer::Stored(9), after(0)),
        Some(Step::Stored(1))
    );
    assert_eq!(
        flight.step(after(0)),
        Step::Publish {
            attempt: 2,
            expected: 9
        }
    );
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_an_earlier_attempt_is_nobodys() {
    let mut flight = Flight::new(0);
    flight.step(after(0));
    assert_eq!(
        flight.step(after(2)),
        Step::Publish {
            attempt: 2,
            expected: 0
        }
    );
    assert_eq!(flight.answered(1, Answer::Stored(1), after(2)), None);
    assert_eq!(
        flight.answered(2, Answer::Fenced, after(2)),
        Some(Step::Look)
    );
    assert_eq!(
        flight.saw(&Last::Message(1, "s:1".into()), ["s:1"], after(2)),
        Step::Stored(1)
    );
    assert_eq!(flight.last(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_stands_before_the_last_stored_message_is_stored_too() {
    let mut flight = Flight::new(7);
    flight.step(after(0));
    flight.answered(1, Answer::Fenced, after(0));
    let ids = ["s:1", "s:2", "s:3"];
    let last = Last::Message(9, "s:2".into());
    assert_eq!(flight.saw(&last, ids, after(0)), Step::Stored(2));
    let step = flight.step(after(0));
    assert_eq!(
        step,
        Step::Publish {
            attempt: 2,
            expected: 9
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_will_pass_is_tried_again() {
    let mut flight = Flight::new(4);
    flight.step(after(0));
    let step = flight.answered(1, Answer::Later, after(0));
    assert!(matches!(step, Some(Step::Wait(_))), "{step:?}");
    let (attempt, expected) = (2, 4);
    assert_eq!(flight.step(after(1)), Step::Publish { attempt, expected });
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_while_something_is_under_way() {
    let mut flight = Flight::new(4);
    flight.step(after(0));
    assert!(matches!(flight.step(after(1)), Step::Wait(_)));
}

#[tokio::test(start_paused = true)]
async fn a_later_owner_ends_it() {
    let mut flight = Flight::new(4);
    flight.step(after(0));
    flight.answered(1, Answer::Fenced, after(0));
    let step = flight.saw(&Last::Message(5, "s:9".into()), ["s:2"], after(0));
    assert_eq!(
        (step, flight.step(after(9))),
        (Step::Usurped, Step::Usurped)
    );
}

/// A look in each of these seconds, each finding the same; what the last one leads to.
fn saw(flight: &mut Flight, last: &Last, seconds: RangeInclusive<u64>) -> Step {
    let looks = seconds.map(|time| {
        assert_eq!(flight.step(after(time)), Step::Look);
        flight.saw(last, ["s:5"], after(time))
    });
    looks.last().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_the_stream_forgot_after_its_ack_is_lost_unless_a_later_look_finds_it() {
    let older = Last::Message(4, "s:1".into());
    let mut flight = Flight::new(9);
    flight.step(after(0));
    flight.answered(1, Answer::Fenced, after(0));
    assert!(matches!(saw(&mut flight, &older, 1..=2), Step::Wait(_)));
    let mut lagged = flight.clone();
    assert_eq!(saw(&mut flight, &older, 3..=3), Step::Lost);
    // The leader that answered before lagged.
    let found = Last::Message(9, "s:4".into());
    assert!(matches!(
        lagged.saw(&found, ["s:5"], after(9)),
        Step::Wait(_)
    ));
    let (attempt, expected) = (2, 9);
    assert_eq!(lagged.step(after(19)), Step::Publish { attempt, expected });
}

/// Replayed from before what is stored, and the stream so small that nothing is left of it.
#[tokio::test(start_paused = true)]
async fn what_was_known_and_is_gone_goes_by() {
    let mut flight = Flight::new(0);
    for attempt in 1..=3 {
        let expected = 0;
        assert_eq!(flight.step(after(0)), Step::Publish { attempt, expected });
        let id = format!("s:{attempt}");
        let sequence = 10 + attempt;
        let known = Answer::Duplicate { id, sequence };
        let step = flight.answered(attempt, known, after(0));
        assert_eq!(step, Some(Step::LookAt(sequence)));
        let step = flight.stands(Standing::Gone, after(0));
        assert_eq!((step, flight.is_settled()), (Step::Stored(1), false));
    }
    flight.step(after(0));
    let mut there = flight.clone();
    flight.answered(4, Answer::Stored(70), after(0));
    assert!(flight.is_settled());
    // The last one known is there after all: its first ack was lost.
    there.answered(4, Answer::Fenced, after(0));
    let (attempt, expected) = (5, 60);
    let step = saw(&mut there, &Last::Message(60, "s:3".into()), 1..=1);
    assert_eq!(step, Step::Publish { attempt, expected });
}

/// The first ack was lost, or two sessions have one name.
#[tokio::test(start_paused = true)]
async fn an_id_that_is_known_is_looked_at_before_it_counts_as_stored() {
    let known = |standing, sequence| {
        let mut flight = Flight::new(9);
        flight.step(after(0));
        let id = "s:1".to_owned();
        let answer = Answer::Duplicate { id, sequence };
        let step = flight.answered(1, answer, after(0));
        assert_eq!(step, Some(Step::LookAt(sequence)));
        let step = flight.stands(standing, after(0));
        (step, flight)
    };
    let (step, flight) = known(Standing::Own, 12);
    assert_eq!((step, flight.last()), (Step::Stored(1), 12));
    for (standing, sequence) in [
        (Standing::Another, 12),
        (Standing::Another, 4),
        (Standing::Own, 4),
        (Standing::Gone, 4),
    ] {
        let (step, mut flight) = known(standing, sequence);
        assert_eq!(step, Step::Collides, "{standing:?} at {sequence}");
        let (attempt, expected) = (2, 9);
        assert_eq!(flight.step(after(0)), Step::Publish { attempt, expected });
    }
    let (step, mut flight) = known(Standing::Unknown, 12);
    let Step::Wait(until) = step else {
        panic!("{step:?}")
    };
    let (attempt, expected) = (2, 9);
    assert_eq!(flight.step(until), Step::Publish { attempt, expected });
}

/// A shard that stood at 9 and rode in a batch, where `last` was acknowledged.
fn rode(last: Option<&str>) -> Flight {
    let mut flight = Flight::new(9);
    flight.rode(last.map(ToOwned::to_owned), after(0));
    flight
}

#[tokio::test(start_paused = true)]
async fn after_a_batch_its_last_message_is_looked_up() {
    let (attempt, expected) = (1, 40);
    let step = saw(
        &mut rode(Some("s:4")),
        &Last::Message(40, "s:4".into()),
        1..=1,
    );
    assert_eq!(step, Step::Publish { attempt, expected });
    let mut flight = rode(None);
    assert!(!flight.is_settled());
    let expected = 9;
    let step = saw(&mut flight, &Last::Message(9, "s:3".into()), 1..=1);
    assert_eq!(step, Step::Publish { attempt, expected });
    // What waits may be stored already: its ack was lost with the batch.
    let step = saw(
        &mut rode(Some("s:4")),
        &Last::Message(41, "s:5".into()),
        1..=1,
    );
    assert_eq!(step, Step::Stored(1));
}

#[tokio::test(start_paused = true)]
async fn after_a_batch_an_older_message_of_the_session_means_a_loss() {
    let mut gap = rode(Some("s:4:gap"));
    let step = saw(&mut gap, &Last::Message(39, "s:4".into()), 1..=3);
    assert_eq!(step, Step::Lost, "the gap behind it");
    for (place, id) in [(39, "s:3"), (9, "s:3"), (7, "r:3")] {
        let step = saw(
            &mut rode(Some("s:4")),
            &Last::Message(place, id.into()),
            1..=3,
        );
        assert_eq!(step, Step::Lost, "{id} at {place}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_batch_a_later_message_is_a_later_owners() {
    for id in ["s:6", "t:1"] {
        let step = saw(&mut rode(Some("s:4")), &Last::Message(41, id.into()), 1..=1);
        assert_eq!(step, Step::Usurped, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_evicted_message_moves_the_fence() {
    let mut flight = Flight::new(4);
    flight.step(after(0));
    flight.answered(1, Answer::Fenced, after(0));
    assert!(matches!(
        flight.saw(&Last::Nothing, ["s:2"], after(0)),
        Step::Wait(_)
    ));
    assert_eq!(
        flight.step(after(1)),
        Step::Publish {
            attempt: 2,
            expected: 0
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_look_without_answer_is_repeated() {
    let mut flight = Flight::new(4);
    flight.step(after(0));
    flight.answered(1, Answer::Fenced, after(0));
    assert!(matches!(
        flight.saw(&Last::Unknown, ["s:2"], after(0)),
        Step::Wait(_)
    ));
    assert_eq!(flight.step(after(1)), Step::Look);
}
