//! Whoever asks over HTTP and is no shard of the fleet, as far as anybody knows.

use super::*;
use crate::wire::identify::Withdraw;

/// An HTTP client's call; without a shard it is one of which nobody knows which it is.
fn call(shard: Option<u32>, nonce: &str, counter: u64) -> Request {
    Request::Ask(Ask {
        v: VERSION,
        shard: shard.unwrap_or(0),
        shards: 0,
        nonce: nonce.into(),
        counter,
        process: "c".into(),
        http: true,
        shardless: shard.is_none(),
    })
}

impl Desk {
    fn call(&mut self, shard: Option<u32>, nonce: &str, counter: u64) -> Vec<Effect<u32>> {
        let to = shard.unwrap_or(99);
        let effects = self.apply(Input::Request(call(shard, nonce, counter), to));
        self.serve(effects)
    }

    /// Calls one after the other, each until it is answered: how long each took, in seconds.
    fn calls(&mut self, shard: impl Fn(u32) -> Option<u32>, times: u32) -> Vec<u64> {
        let mut took = Vec::new();
        for turn in 0..times {
            let (shard, nonce) = (shard(turn), format!("call{turn}"));
            let begun = self.now;
            let mut out = self.call(shard, &nonce, 1);
            let mut counter = 1;
            while granted(&out).is_empty() {
                counter += 1;
                assert!(counter < 2_000, "call {turn} was never answered");
                out = self.pass(1_000);
                out.extend(self.call(shard, &nonce, counter));
            }
            let confirm = Request::Confirm(Confirm {
                v: VERSION,
                shard: shard.unwrap_or(0),
                nonce,
                refused: false,
            });
            self.apply(Input::Request(confirm, 0));
            took.push(self.now.since(begun).as_secs());
        }
        took
    }
}

fn one_bucket(shards: u32) -> Desk {
    let mut desk = Desk::leading();
    desk.apply(Input::Shards(shards));
    desk.max_concurrency = 1;
    desk.pass(61_000);
    desk.pass(8_000);
    desk
}

/// 5 s, the margin and the slack after an answer, and then the next: after the seventh as after the first.
#[test]
fn a_client_without_a_shard_is_answered_as_often_as_discord_takes_one() {
    let mut desk = one_bucket(1);
    let took = desk.calls(|_| None, 100);
    assert!(took.iter().all(|secs| *secs <= 8), "{took:?}");
    // And the fleet's own shards are not slowed down by it, at once or under the next leader.
    desk.pass(8_000);
    assert_eq!(granted(&desk.call(Some(0), "own", 1)), [0]);
    let slowed = &desk.stored.as_ref().unwrap().0.slowed;
    assert_eq!((&slowed.fleet[..], slowed.shards.len()), (&[1][..], 0));
}

#[test]
fn a_shard_beyond_the_fleets_count_is_anothers_and_has_its_bucket() {
    let mut desk = Desk::leading();
    desk.apply(Input::Shards(4));
    assert_eq!(granted(&desk.call(Some(16), "sixteen", 1)), [16]);
    // The bucket of shard 0 was used; that of shard 1 was not.
    assert!(granted(&desk.call(Some(0), "zero", 1)).is_empty());
    assert_eq!(granted(&desk.call(Some(17), "seventeen", 1)), [17]);
    desk.pass(10_000);
    let took = desk.calls(|_| Some(16), 30);
    assert!(took.iter().all(|secs| *secs <= 8), "{took:?}");
}

/// A shard of the fleet is one, by whichever door it comes.
#[test]
fn a_client_that_names_a_shard_of_the_fleet_is_slowed_down_like_it() {
    let mut desk = one_bucket(4);
    let took = desk.calls(|_| Some(2), 8);
    assert!(took[7] > 60, "{took:?}");
    assert_eq!(granted(&desk.call(None, "other", 1)), [] as [u32; 0]);
    desk.pass(8_000);
    assert_eq!(granted(&desk.call(None, "other", 2)), [99]);
}

#[test]
fn a_fleet_that_is_slowed_down_holds_no_guest_up() {
    let mut desk = Desk::leading();
    desk.apply(Input::Shards(1));
    for turn in 0..40 {
        desk.leader.slowdown.granted(turn, desk.now);
    }
    let slowed = desk.leader.slowdown.fleet_ready(1).unwrap();
    assert!(slowed > desk.now.plus(Duration::from_secs(10)));
    assert!(granted(&desk.call(Some(0), "own", 1)).is_empty());
    assert_eq!(granted(&desk.call(Some(3), "guest", 1)), [3]);
    assert_eq!(granted(&desk.call(None, "nobody", 1)), [99]);
}

/// It goes away while its grant is being written: nothing leaves, and the next has the bucket and the day.
#[test]
fn a_client_that_goes_away_before_its_grant_spends_nothing() {
    let mut desk = one_bucket(4);
    let writing = desk.apply(Input::Request(call(None, "gone", 1), 1));
    write(&writing);
    let withdraw = Request::Withdraw(Withdraw {
        v: VERSION,
        shard: 0,
        nonce: "gone".into(),
    });
    desk.apply(Input::Request(withdraw, 1));
    assert!(granted(&desk.serve(writing)).is_empty());
    let before = desk.leader.status(desk.now);
    assert_eq!((before.granted, before.remaining), (0, 1_000));
    assert_eq!(granted(&desk.call(None, "next", 1)), [99]);
    let after = desk.leader.status(desk.now);
    assert_eq!((after.granted, after.remaining), (1, 999));
}
