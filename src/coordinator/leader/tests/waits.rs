//! What the leader tells people of those that wait.

use super::*;

impl Desk {
    /// Shard 0 asks every second, for so many of them; who was granted.
    fn asks_on(&mut self, counters: std::ops::Range<u64>) -> Vec<u32> {
        let mut all = Vec::new();
        for counter in counters {
            let effects = self.ask(0, counter);
            let out = self.serve(effects);
            all.extend(granted(&out));
            let out = self.pass(1_000);
            all.extend(granted(&out));
        }
        all
    }

    fn status(&self) -> crate::wire::status::CoordinatorStatus {
        self.leader.status(self.now)
    }
}

/// Nothing is said of a next grant that nobody knows; Discord is asked every minute, though the day that it
/// told of is long: the day may have been raised.
#[test]
fn at_the_reserve_discord_is_asked_every_minute() {
    let mut desk = Desk::leading();
    desk.remaining = 50;
    desk.pass(61_000);
    assert!(!desk.status().at_reserve, "nobody waits");
    let asked = desk.asked;
    assert!(desk.asks_on(1..200).is_empty());
    assert!((3..=4).contains(&(desk.asked - asked)), "{}", desk.asked);
    let status = desk.status();
    assert!(status.at_reserve && status.next_grant_ms.is_none());
    desk.remaining = 300;
    assert_eq!(desk.asks_on(200..262).first(), Some(&0));
    assert!(!desk.status().at_reserve);
}

/// Discord's limits are not known yet: that is no reserve.
#[test]
fn who_has_heard_no_limits_is_not_at_the_reserve() {
    let mut desk = Desk::follower();
    desk.unread = Some(Duration::ZERO);
    desk.apply(Input::Shards(64));
    desk.apply(Input::Halted(false));
    desk.win(5);
    desk.ask(0, 1);
    let status = desk.status();
    assert!(status.queue == 1 && !status.at_reserve);
}

#[test]
fn a_slowdown_tells_its_pause_its_end_and_how_long_all_wait() {
    let mut desk = Desk::leading();
    // 144 are free in a fleet of 64, each eight more double the pause.
    for grant in 0..176 {
        desk.leader.slowdown.granted(grant % 64, desk.now);
    }
    assert_eq!(desk.status().slowdown, None, "nobody waits");
    for shard in 0..4 {
        let effects = desk.ask(shard, 1);
        assert!(granted(&desk.serve(effects)).is_empty());
    }
    let status = desk.status();
    let slow = status.slowdown.unwrap();
    assert_eq!((slow.identifies, slow.pause_ms), (176, 16_000));
    assert_eq!((slow.ends_ms, slow.all_ms), (3_600_000, 64_000));
    assert_eq!(status.next_grant_ms, Some(16_000));
}

/// A shard that identifies again and again is named, and the next grant is not before it may go.
#[test]
fn a_shard_that_is_slowed_down_for_itself_is_named() {
    let mut desk = Desk::leading();
    for _ in 0..4 {
        desk.leader.slowdown.granted(7, desk.now);
    }
    let effects = desk.ask(7, 1);
    assert!(granted(&desk.serve(effects)).is_empty());
    let status = desk.status();
    let slow = status.slowdown.unwrap();
    assert_eq!((slow.shards, slow.pause_ms), (vec![7], 0));
    assert_eq!(status.next_grant_ms, Some(20_000));
}
