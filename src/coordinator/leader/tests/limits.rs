//! Limits that fall, that cannot be read, and that Discord holds against an IDENTIFY.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

impl Desk {
    /// So many shards without a session ask every second from now on: who is granted, and when.
    fn all_ask(&mut self, shards: u32, seconds: u64) -> Vec<(Boottime, u32)> {
        let mut waiting: Vec<_> = (0..shards).collect();
        let mut grants = Vec::new();
        for counter in 1..=seconds {
            for shard in waiting.clone() {
                let effects = self.ask(shard, counter);
                let out = self.serve(effects);
                self.take(&out, &mut waiting, &mut grants);
            }
            for _ in 0..20 {
                let out = self.pass(50);
                self.take(&out, &mut waiting, &mut grants);
            }
        }
        grants
    }

    /// Whoever is granted identifies at once, and says so.
    fn take(
        &mut self,
        out: &[Effect<u32>],
        waiting: &mut Vec<u32>,
        grants: &mut Vec<(Boottime, u32)>,
    ) {
        for shard in granted(out) {
            waiting.retain(|other| *other != shard);
            grants.push((self.now, shard));
            self.confirm(shard, false);
        }
    }

    fn confirm(&mut self, shard: u32, refused: bool) -> Vec<Effect<u32>> {
        let confirm = Confirm {
            v: VERSION,
            shard,
            nonce: format!("n{shard}"),
            refused,
        };
        self.apply(Input::Request(Request::Confirm(confirm), shard))
    }
}

/// No two of them within Discord's spacing, whatever their shards.
fn one_at_a_time(grants: &[(Boottime, u32)]) {
    for pair in grants.windows(2) {
        assert!(pair[1].0.since(pair[0].0) >= 5 * SECOND, "{grants:?}");
    }
}

#[test]
fn the_first_grant_after_a_quiet_time_waits_for_the_limits() {
    let mut desk = Desk::leading();
    desk.pass(3_000);
    desk.max_concurrency = 1;
    let effects = desk.ask(0, 1);
    assert_eq!(wait(&effects), WaitReason::Limits);
    assert!(effects.contains(&Effect::AskLimits), "{effects:?}");
    assert!(granted(&desk.serve(effects)).is_empty());
    let grants = desk.all_ask(8, 60);
    assert_eq!(grants.len(), 8);
    one_at_a_time(&grants);
}

#[test]
fn a_quiet_fleet_asks_once_a_minute_and_a_waiting_one_ahead_of_need() {
    let mut desk = Desk::leading();
    desk.asked = 0;
    (0..600).for_each(|_| _ = desk.pass(1_000));
    assert!((9..=11).contains(&desk.asked), "{}", desk.asked);
    desk.pass(9_000);
    desk.asked = 0;
    let grants = desk.all_ask(64, 30);
    assert_eq!(grants.len(), 64);
    let took = grants[63].0.since(grants[0].0);
    assert!(took < Duration::from_millis(3 * 5_250 + 200), "{took:?}");
    assert!((2..=6).contains(&desk.asked), "{}", desk.asked);
}

#[test]
fn whoever_waits_for_something_else_has_nobody_asked() {
    let mut desk = Desk::leading();
    desk.remaining = 50;
    desk.pass(60_000);
    desk.asked = 0;
    assert!(desk.all_ask(8, 600).is_empty());
    assert!(desk.asked <= 11, "{}", desk.asked);
}

#[test]
fn a_lower_value_counts_for_what_is_being_written() {
    let mut desk = Desk::leading();
    let first = desk.ask(0, 1);
    for shard in 1..16 {
        desk.ask(shard, 1);
    }
    desk.max_concurrency = 1;
    let heard = Input::Limits(desk.answer());
    assert!(desk.apply(heard).is_empty());
    assert!(granted(&desk.serve(first)).is_empty());
    let remaining = desk.leader.status(desk.now).remaining;
    assert_eq!((remaining, desk.leader.status(desk.now).queue), (1_000, 16));
    let grants = desk.all_ask(16, 120);
    assert_eq!(grants.len(), 16);
    one_at_a_time(&grants);
    assert!(grants[0].0.since(Boottime(Duration::from_secs(1_008))) >= 7 * SECOND);
}

#[test]
fn a_grant_that_is_being_written_when_an_identify_is_refused_stays() {
    let mut desk = Desk::leading();
    let effects = desk.ask(0, 1);
    desk.serve(effects);
    desk.confirm(0, false);
    let writing = desk.ask(1, 1);
    desk.max_concurrency = 1;
    let asks = desk.confirm(0, true);
    let refused = Effect::Refused {
        shard: 0,
        holds: true,
    };
    assert_eq!(asks, [refused, Effect::AskLimits]);
    assert!(granted(&desk.serve(writing)).is_empty());
    assert!(granted(&desk.serve(asks)).is_empty());
    assert_eq!(desk.leader.status(desk.now).max_concurrency, 1);
    // The second word of the same refusal, and one of a nonce that nobody knows.
    for shard in [0, 33] {
        assert!(desk.confirm(shard, true).is_empty(), "{shard}");
    }
}

#[test]
fn an_answer_asked_for_before_the_refusal_does_not_settle_it() {
    let mut desk = Desk::leading();
    let effects = desk.ask(0, 1);
    desk.serve(effects);
    desk.now = desk.now.plus(52 * SECOND);
    assert_eq!(desk.apply(Input::Tick), [Effect::AskLimits]);
    let old = desk.answer();
    desk.now = desk.now.plus(SECOND);
    desk.confirm(0, true);
    desk.max_concurrency = 1;
    let effects = desk.apply(Input::Limits(old));
    desk.serve(effects);
    let grants = desk.all_ask(8, 60);
    assert!(grants.len() > 6, "{grants:?}");
    one_at_a_time(&grants);
}

#[test]
fn refusals_without_end_leave_time_for_grants() {
    let mut desk = Desk::leading();
    let mut grants = Vec::new();
    for counter in 1..=120 {
        for shard in 0..64 {
            let effects = desk.ask(shard, counter);
            let out = desk.serve(effects);
            grants.extend(granted(&out));
        }
        let out = desk.pass(1_000);
        grants.extend(granted(&out));
        // Each is refused, and says so again and again.
        for shard in grants.clone() {
            let effects = desk.confirm(shard, true);
            desk.serve(effects);
        }
    }
    grants.truncate(64);
    grants.sort_unstable();
    assert!(grants.into_iter().eq(0..64));
    assert!(desk.asked <= 125, "{}", desk.asked);
}

#[test]
fn where_discord_does_not_answer_one_shard_at_a_time_identifies() {
    for pause in [Duration::ZERO, Duration::from_secs(86_400)] {
        let mut desk = Desk::leading();
        desk.pass(3_000);
        desk.unread = Some(pause);
        desk.asked = 0;
        let grants = desk.all_ask(16, 120);
        assert_eq!(grants.len(), 16);
        one_at_a_time(&grants);
        assert!(desk.leader.limits_unread(desk.now));
        assert!(desk.asked <= if pause.is_zero() { 8 } else { 1 });
        assert_eq!(desk.leader.status(desk.now).remaining, 984);
    }
}

#[test]
fn an_answer_after_all_opens_every_bucket() {
    let mut desk = Desk::leading();
    desk.pass(3_000);
    desk.unread = Some(Duration::ZERO);
    let grants = desk.all_ask(2, 12);
    assert_eq!(grants.len(), 2);
    desk.unread = None;
    desk.pass(70_000);
    assert!(!desk.leader.limits_unread(desk.now));
    let grants = desk.all_ask(18, 4);
    assert_eq!(grants.len(), 16, "one of each bucket");
    assert!(grants[15].0.since(grants[0].0) < SECOND);
}

#[test]
fn a_pause_that_discord_wants_outlives_a_leadership() {
    let mut desk = Desk::leading();
    desk.unread = Some(Duration::from_secs(3_600));
    desk.pass(60_000);
    desk.asked = 0;
    for epoch in 6..10 {
        desk.apply(Input::Held(None));
        assert_eq!(desk.win(epoch), [Effect::Announce]);
        (0..80).for_each(|_| _ = desk.pass(10_000));
    }
    let grants = desk.all_ask(4, 40);
    assert_eq!(grants.len(), 4);
    one_at_a_time(&grants);
    assert_eq!(desk.asked, 0);
    desk.win(10);
    (0..40).for_each(|_| _ = desk.pass(10_000));
    assert_eq!(desk.asked, 1);
}

#[test]
fn where_no_limits_were_ever_read_nobody_identifies() {
    let mut desk = Desk::follower();
    desk.unread = Some(Duration::ZERO);
    desk.apply(Input::Shards(64));
    desk.apply(Input::Halted(false));
    desk.win(5);
    assert!(desk.all_ask(4, 120).is_empty());
    let effects = desk.ask(0, 121);
    assert_eq!(wait(&effects), WaitReason::Limits);
    desk.serve(effects);
    desk.unread = None;
    desk.pass(60_000);
    assert_eq!(desk.all_ask(4, 130).len(), 4);
}

/// A successor that Discord does not answer goes by what its predecessor heard, one at a time.
#[test]
fn a_successor_without_an_answer_never_grants_one_too_many() {
    let mut first = Desk::leading();
    first.remaining = 53;
    first.pass(60_000);
    let mut second = Desk {
        stored: first.stored.clone(),
        revisions: first.revisions,
        unread: Some(Duration::from_secs(36_000)),
        ..Desk::follower()
    };
    second.apply(Input::Shards(64));
    second.apply(Input::Halted(false));
    second.win(6);
    let grants = second.all_ask(16, 240);
    assert_eq!(grants.len(), 3, "three above the reserve");
    one_at_a_time(&grants);
}
