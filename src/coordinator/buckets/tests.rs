use super::*;
use crate::wire::VERSION;

fn at(ms: u64) -> Boottime {
    Boottime(Duration::from_millis(100_000 + ms))
}

fn buckets(max_concurrency: u32) -> Buckets<u32> {
    let mut buckets = Buckets::new(Duration::from_millis(250));
    buckets.inherit(max_concurrency, &BTreeMap::new(), at(0));
    buckets
}

fn ask(shard: u32, nonce: &str, counter: u64) -> Ask {
    Ask {
        v: VERSION,
        shard,
        shards: 64,
        nonce: nonce.into(),
        counter,
        process: "p".into(),
        http: false,
        shardless: false,
    }
}

fn picked(buckets: &mut Buckets<u32>, now: Boottime) -> Vec<u32> {
    let picks = buckets.pick(usize::MAX, |_| Boottime::default(), now);
    picks.iter().map(|pick| pick.grant().0).collect()
}

#[test]
fn spacing_counts_from_the_confirmation_if_it_came() {
    let mut buckets = buckets(1);
    buckets.ask(&ask(0, "a", 1), 0, at(0));
    assert_eq!(picked(&mut buckets, at(0)), [0]);
    buckets.confirm(0, "a", at(100));
    buckets.ask(&ask(1, "b", 1), 0, at(5_000));
    assert_eq!(buckets.next_wakeup(), Some(at(5_350)));
    assert!(picked(&mut buckets, at(5_349)).is_empty());
    assert_eq!(picked(&mut buckets, at(5_350)), [1]);
}

#[test]
fn without_a_confirmation_the_grant_may_be_used_until_it_is_stale() {
    let mut buckets = buckets(1);
    buckets.ask(&ask(0, "a", 1), 0, at(0));
    assert_eq!(picked(&mut buckets, at(500)), [0]);
    buckets.confirm(0, "another", at(600));
    buckets.ask(&ask(1, "b", 1), 0, at(7_000));
    assert!(picked(&mut buckets, at(7_249)).is_empty());
    assert_eq!(picked(&mut buckets, at(7_250)), [1]);
}

#[test]
fn a_late_confirmation_brings_nothing_forward() {
    let mut buckets = buckets(1);
    buckets.ask(&ask(0, "a", 1), 0, at(0));
    picked(&mut buckets, at(0));
    buckets.confirm(0, "a", at(9_000));
    assert_eq!(buckets.uses(at(0)), BTreeMap::from([(0, 2_001)]));
}

#[test]
fn an_http_client_has_slack_after_its_answer() {
    let mut buckets = buckets(1);
    let http = Ask {
        http: true,
        ..ask(0, "a", 1)
    };
    buckets.ask(&http, 0, at(0));
    picked(&mut buckets, at(0));
    assert_eq!(buckets.uses(at(0)), BTreeMap::from([(0, 4_001)]));
    buckets.confirm(0, "a", at(100));
    assert_eq!(buckets.uses(at(0)), BTreeMap::from([(0, 2_101)]));
}

#[test]
fn a_cold_start_goes_in_discords_order_and_later_ones_queue_behind() {
    let mut buckets = buckets(2);
    for shard in [5, 3, 4, 1, 2, 0] {
        buckets.ask(&ask(shard, &format!("n{shard}"), 1), 0, at(0));
    }
    let mut order = picked(&mut buckets, at(0));
    for round in 1..3 {
        let now = at(round * 8_000);
        // Shard 1 identifies again: its turn is over.
        buckets.ask(&ask(1, &format!("again{round}"), 1), 0, now);
        for shard in [2, 3, 4, 5] {
            buckets.ask(&ask(shard, &format!("n{shard}"), round * 8), 0, now);
        }
        order.extend(picked(&mut buckets, now));
    }
    assert_eq!(order, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn who_is_not_heard_is_passed_over_and_then_forgotten() {
    let mut buckets = buckets(1);
    buckets.ask(&ask(0, "gone", 1), 0, at(0));
    buckets.ask(&ask(1, "here", 1), 0, at(1_600));
    assert_eq!(picked(&mut buckets, at(1_600)), [1]);
    assert_eq!(buckets.waiting(), 1);
    buckets.sweep(at(4_000));
    assert_eq!(buckets.waiting(), 0);
    assert_eq!(buckets.next_wakeup(), None);
}

#[test]
fn an_ask_that_the_network_held_up_does_not_ask_twice() {
    let mut buckets = buckets(1);
    buckets.ask(&ask(0, "a", 2), 0, at(0));
    assert_eq!(buckets.ask(&ask(0, "a", 2), 0, at(1)), Asked::Ignored);
    picked(&mut buckets, at(10));
    assert_eq!(buckets.ask(&ask(0, "a", 1), 0, at(20)), Asked::Ignored);
    assert_eq!(buckets.ask(&ask(0, "a", 3), 0, at(20)), Asked::Waits);
    buckets.confirm(0, "a", at(30));
    assert_eq!(buckets.waiting(), 0);
    assert_eq!(buckets.ask(&ask(0, "a", 4), 0, at(40)), Asked::Ignored);
}

#[test]
fn a_new_enqueue_of_a_process_takes_the_place_of_the_old() {
    let mut buckets = buckets(1);
    buckets.ask(&ask(7, "old", 1), 0, at(0));
    buckets.ask(&ask(1, "b", 1), 0, at(9_000));
    buckets.ask(&ask(7, "old", 10), 0, at(9_000));
    buckets.ask(&ask(7, "new", 1), 0, at(9_100));
    assert_eq!(buckets.waiting(), 2);
    let picks = buckets.pick(1, |_| Boottime::default(), at(9_200));
    assert_eq!(picks[0].grant(), (7, "new", 1));
}

#[test]
fn a_grant_that_never_left_keeps_place_and_bucket() {
    let mut buckets = buckets(1);
    buckets.ask(&ask(0, "a", 1), 0, at(0));
    let mut picks = buckets.pick(1, |_| Boottime::default(), at(0));
    buckets.ask(&ask(0, "a", 2), 0, at(1_000));
    buckets.put_back(picks.remove(0));
    assert_eq!(buckets.waiting(), 1);
    let picks = buckets.pick(1, |_| Boottime::default(), at(1_000));
    assert_eq!(picks[0].grant(), (0, "a", 2));
}

#[test]
fn a_slowed_shard_lets_others_pass_and_scarce_grants_go_to_the_oldest() {
    let mut buckets = buckets(4);
    buckets.ask(&ask(3, "d", 1), 0, at(0));
    for (shard, nonce) in [(0, "a"), (4, "e"), (1, "b")] {
        buckets.ask(&ask(shard, nonce, 1), 0, at(20_000));
    }
    buckets.ask(&ask(3, "d", 20), 0, at(20_000));
    let slow = |shard| if shard == Some(0) { at(99_000) } else { at(0) };
    let picks = buckets.pick(2, slow, at(20_000));
    let shards: Vec<_> = picks.iter().map(|pick| pick.grant().0).collect();
    assert_eq!(shards, [3, 1]);
    let picks = buckets.pick(9, slow, at(20_000));
    assert_eq!(picks[0].grant().0, 4);
}

#[test]
fn a_changed_concurrency_counts_every_bucket_as_just_used() {
    let mut buckets = buckets(1);
    buckets.ask(&ask(0, "a", 1), 0, at(0));
    buckets.cut(4, at(1_000));
    buckets.ask(&ask(0, "a", 9), 0, at(8_249));
    assert!(picked(&mut buckets, at(8_249)).is_empty());
    assert_eq!(picked(&mut buckets, at(8_250)), [0]);
    buckets.cut(4, at(9_000));
    assert_eq!(buckets.uses(at(9_000)).values().min(), Some(&-6_000));
}

#[test]
fn a_successor_waits_as_long_as_the_last_grant_can_be_used() {
    let mut first = buckets(2);
    first.ask(&ask(0, "a", 1), 0, at(0));
    picked(&mut first, at(300));
    let mut second = buckets(1);
    // Seen later than written, by a clock that says something else: only later, never earlier.
    second.inherit(2, &first.uses(at(300)), at(50_000));
    second.ask(&ask(1, "b", 1), 0, at(50_000));
    assert_eq!(picked(&mut second, at(50_000)), [1]);
    second.ask(&ask(2, "c", 1), 0, at(55_900));
    assert!(picked(&mut second, at(56_949)).is_empty());
    assert_eq!(picked(&mut second, at(56_951)), [2]);
}

#[test]
fn a_grant_that_never_left_may_come_back_to_fewer_buckets() {
    let mut buckets = buckets(8);
    buckets.ask(&ask(7, "a", 1), 0, at(0));
    let mut picks = buckets.pick(1, |_| Boottime::default(), at(0));
    buckets.cut(2, at(10));
    buckets.put_back(picks.remove(0));
    assert_eq!(buckets.waiting(), 1);
}
