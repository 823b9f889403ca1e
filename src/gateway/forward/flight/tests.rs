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
        Some(Step::Done)
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
        Step::Part(1)
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
    assert_eq!(flight.saw(&last, ids, after(0)), Step::Part(2));
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
async fn a_refused_batch_goes_on_at_once_message_by_message_for_a_while() {
    let mut flight = Flight::new(7);
    flight.step(after(0));
    assert!(!flight.alone(after(0)));
    let step = flight.answered(1, Answer::Unbatched, after(0));
    let (attempt, expected) = (2, 7);
    assert_eq!(step, Some(Step::Publish { attempt, expected }));
    assert!(flight.alone(after(0)));
    flight.answered(2, Answer::Stored(8), after(0));
    flight.step(after(0));
    assert!(flight.alone(after(0)) && !flight.alone(after(1)));
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

/// The last message acknowledged stands at 9, and a look found one at 4; the second attempt is under way.
fn behind() -> Flight {
    let mut flight = Flight::new(9);
    flight.step(after(0));
    flight.answered(1, Answer::Fenced, after(0));
    flight.saw(&Last::Message(4, "s:1".into()), ["s:3"], after(0));
    flight.step(after(1));
    flight
}

#[tokio::test(start_paused = true)]
async fn what_the_stream_forgot_after_its_ack_is_a_loss() {
    let mut flight = behind();
    assert_eq!(
        flight.answered(2, Answer::Stored(5), after(1)),
        Some(Step::Done)
    );
    let loss = Loss {
        acknowledged: 9,
        found: 4,
    };
    assert_eq!((flight.loss(), flight.loss()), (Some(loss), None));
}

#[tokio::test(start_paused = true)]
async fn the_word_of_a_leader_that_lags_is_no_loss() {
    let mut flight = behind();
    flight.answered(2, Answer::Fenced, after(1));
    // The leader of now: the batch was stored by its first attempt.
    let step = flight.saw(&Last::Message(10, "s:3".into()), ["s:3"], after(1));
    assert_eq!((step, flight.loss()), (Step::Part(1), None));
}

#[tokio::test(start_paused = true)]
async fn who_lagged_and_then_knows_what_was_acknowledged_is_no_usurper() {
    let mut flight = behind();
    flight.answered(2, Answer::Fenced, after(1));
    let step = flight.saw(&Last::Message(9, "s:2".into()), ["s:3"], after(1));
    assert!(matches!(step, Step::Wait(_)), "{step:?}");
    assert_eq!((flight.last(), flight.loss()), (9, None));
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
