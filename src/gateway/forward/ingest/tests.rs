use super::*;

fn after(ms: u64) -> Instant {
    // The runtime's time is paused and stands at zero.
    crate::clock::now() + Duration::from_millis(ms)
}

/// Busy enough for a batch, which has its name.
fn prepared() -> Ingest {
    let mut ingest = Ingest::new(after(0));
    let wanted = (0..BUSY).filter(|_| ingest.passed(after(0))).count();
    assert_eq!((wanted, ingest.step(after(0))), (1, Step::Prepare));
    assert!(!ingest.joins());
    ingest.prepared(after(0));
    ingest
}

fn flow(upto: u64, every: u64) -> Said {
    Said::Flow { upto, every }
}

/// A batch whose first message is acknowledged, and `sent` are sent.
fn open(sent: u64, every: u64) -> Ingest {
    let mut ingest = prepared();
    ingest.send(after(0));
    ingest.heard(&flow(0, every), after(0));
    (1..sent).for_each(|_| _ = ingest.send(after(0)));
    ingest
}

#[tokio::test(start_paused = true)]
async fn a_quiet_group_has_no_batch() {
    let mut ingest = Ingest::new(after(0));
    assert!((0..100).all(|n| !ingest.passed(after(n * 20))));
    assert_eq!((ingest.step(after(2000)), ingest.room()), (Step::Idle, 0));
}

#[tokio::test(start_paused = true)]
async fn the_first_message_waits_for_the_server_to_say_how_many_may_follow() {
    let mut ingest = prepared();
    assert_eq!((ingest.joins(), ingest.room()), (true, 1));
    assert_eq!((ingest.send(after(0)), ingest.room()), (1, 0));
    ingest.heard(&flow(0, 10), after(1));
    let window = 10 * OUTSTANDING;
    assert_eq!(ingest.room(), window - 1);
    (1..window).for_each(|_| _ = ingest.send(after(1)));
    assert_eq!((ingest.room(), ingest.acked()), (0, 0));
    ingest.heard(&flow(10, 20), after(2));
    let window = 20 * OUTSTANDING;
    assert_eq!(
        (ingest.room(), ingest.acked()),
        (10 + window - 10 * OUTSTANDING, 10)
    );
}

#[tokio::test(start_paused = true)]
async fn a_lull_ends_it_and_its_end_acknowledges_all() {
    let mut ingest = open(5, 10);
    assert_eq!(ingest.step(after(0)), Step::Wait(after(0) + LULL));
    assert_eq!(ingest.step(after(0) + LULL), Step::End(6));
    assert_eq!((ingest.room(), ingest.joins()), (0, false));
    assert!(!ingest.is_over());
    ingest.heard(&Said::Ended { count: 5 }, after(300));
    assert_eq!((ingest.acked(), ingest.is_over()), (5, true));
    assert_eq!(ingest.step(after(300)), Step::Idle);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_the_last_acks_ends_it_soon() {
    let mut ingest = open(5, 10);
    ingest.finish();
    assert_eq!(ingest.step(after(0)), Step::Wait(after(0) + SHORT_LULL));
    assert_eq!(ingest.step(after(0) + SHORT_LULL), Step::End(6));
    let mut full = open(10 * OUTSTANDING, 10);
    full.finish();
    assert_eq!(full.room(), 0);
    let answer_by = after(0) + ANSWER_LIMIT;
    assert_eq!(full.step(after(0) + SHORT_LULL), Step::Wait(answer_by));
    let mut unused = prepared();
    unused.finish();
    assert_eq!(unused.step(after(0)), Step::Idle);
    assert!(unused.is_over());
}

#[tokio::test(start_paused = true)]
async fn silence_breaks_it_and_it_is_over_once_the_server_says_so() {
    for mut ingest in [prepared(), open(10 * OUTSTANDING, 10), open(5, 10)] {
        if ingest.room() == 1 {
            ingest.send(after(0));
        }
        if ingest.room() > 0 {
            assert_eq!(ingest.step(after(300)), Step::End(6));
        }
        let late = after(300) + ANSWER_LIMIT;
        assert_eq!(ingest.step(late), Step::Close);
        assert_eq!(ingest.step(late), Step::Wait(late + CLOSE_AGAIN));
        assert_eq!(ingest.step(late + CLOSE_AGAIN), Step::Close);
        // The word of the gap that closes it, and a late ack of what came before.
        ingest.heard(&Said::Refused("a gap".to_owned()), late);
        ingest.heard(&flow(5, 10), late);
        assert_eq!((ingest.is_over(), ingest.room()), (false, 0));
        ingest.heard(&Said::Unknown, late);
        assert_eq!((ingest.is_over(), ingest.acked()), (true, 0));
        assert!(!(0..100).any(|_| ingest.passed(late)), "it pauses");
        assert!((0..100).any(|_| ingest.passed(late + PAUSE)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_closes_it() {
    for said in [Said::Refused("full".to_owned()), Said::Away] {
        let mut ingest = open(5, 10);
        ingest.heard(&said, after(1));
        assert_eq!(
            (ingest.step(after(1)), ingest.joins()),
            (Step::Close, false)
        );
        ingest.heard(&Said::Ended { count: 3 }, after(2));
        assert_eq!((ingest.is_over(), ingest.acked()), (true, 0));
    }
}

/// As after ten seconds of silence, or with a leader that never heard of it.
#[tokio::test(start_paused = true)]
async fn a_batch_that_the_server_does_not_know_is_over() {
    let mut ingest = open(5, 10);
    ingest.heard(&Said::Unknown, after(1));
    assert_eq!((ingest.is_over(), ingest.acked()), (true, 0));
}

#[tokio::test(start_paused = true)]
async fn an_end_with_too_few_messages_is_no_ack() {
    let mut ingest = open(5, 10);
    assert_eq!(ingest.step(after(0) + LULL), Step::End(6));
    ingest.heard(&Said::Ended { count: 3 }, after(300));
    assert_eq!((ingest.is_over(), ingest.acked()), (true, 0));
}

/// One message now and then never makes a lull, and never the next ack.
#[tokio::test(start_paused = true)]
async fn a_trickle_ends_it() {
    let mut ingest = open(1, 64);
    let mut at = 0;
    while matches!(ingest.step(after(at)), Step::Wait(_)) {
        at += 200;
        ingest.send(after(at));
    }
    assert_eq!((ingest.joins(), at), (false, 2000));
}
