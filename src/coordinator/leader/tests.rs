mod guests;
mod limits;
mod waits;

use super::*;
use crate::{
    coordinator::budget::Answer,
    fleet::Epoch,
    wire::{
        VERSION,
        identify::{Ask, Confirm, ReleaseReserve, Reply, Request, WaitReason},
    },
};

/// A leader with a ledger that answers as told, and a clock.
struct Desk {
    leader: Leader<u32>,
    now: Boottime,
    stored: Option<(Ledger, u64)>,
    revisions: u64,
    remaining: u32,
    max_concurrency: u32,
    /// None: Discord answers. Else it does not, and wants so long a pause; zero: it does not say.
    unread: Option<Duration>,
    /// Questions put to Discord.
    asked: u32,
}

impl Desk {
    fn follower() -> Self {
        let options = Options {
            process: "p".into(),
            margin: Duration::from_millis(250),
            reserve: 50,
        };
        Self {
            leader: Leader::new(options),
            now: Boottime(Duration::from_secs(1_000)),
            stored: None,
            revisions: 0,
            remaining: 1_000,
            max_concurrency: 16,
            unread: None,
            asked: 0,
        }
    }

    /// Leads, open, every bucket free.
    fn leading() -> Self {
        let mut desk = Self::follower();
        desk.apply(Input::Shards(64));
        desk.apply(Input::Halted(false));
        desk.win(5);
        desk.pass(8_000);
        desk
    }

    fn win(&mut self, epoch: u64) -> Vec<Effect<u32>> {
        let held = Held {
            epoch: Epoch(epoch),
            until: self.now.plus(Duration::from_secs(1_000)),
        };
        let effects = self.apply(Input::Held(Some(held)));
        self.serve(effects)
    }

    fn apply(&mut self, input: Input<u32>) -> Vec<Effect<u32>> {
        self.leader.apply(input, self.now)
    }

    /// Does what the effects say until nothing is left to do; gives back what goes out.
    fn serve(&mut self, effects: Vec<Effect<u32>>) -> Vec<Effect<u32>> {
        let mut todo: std::collections::VecDeque<_> = effects.into();
        let mut out = Vec::new();
        while let Some(effect) = todo.pop_front() {
            let input = match effect {
                Effect::Read => Input::Read(Ok(self.stored.clone())),
                Effect::Write(ledger, over) => Input::Wrote(self.store(*ledger, over)),
                Effect::AskLimits => {
                    self.asked += 1;
                    match self.unread {
                        None => Input::Limits(self.answer()),
                        Some(pause) => {
                            Input::NoLimits(Some(pause).filter(|pause| !pause.is_zero()))
                        }
                    }
                }
                other => {
                    out.push(other);
                    continue;
                }
            };
            todo.extend(self.apply(input));
        }
        out
    }

    fn store(&mut self, ledger: Ledger, over: Option<u64>) -> Written {
        if self.stored.as_ref().map(|(_, revision)| *revision) != over {
            return Written::Conflict;
        }
        self.revisions += 1;
        self.stored = Some((ledger, self.revisions));
        Written::Applied(self.revisions)
    }

    fn answer(&self) -> Answer {
        Answer {
            asked: self.now,
            total: 1_000,
            remaining: self.remaining,
            reset_after: Duration::from_secs(3_600),
            reset_at_ms: 1,
            max_concurrency: self.max_concurrency,
            shards: 64,
        }
    }

    fn pass(&mut self, ms: u64) -> Vec<Effect<u32>> {
        self.now = self.now.plus(Duration::from_millis(ms));
        let effects = self.apply(Input::Tick);
        self.serve(effects)
    }

    fn ask(&mut self, shard: u32, counter: u64) -> Vec<Effect<u32>> {
        self.apply(Input::Request(ask(shard, counter), shard))
    }
}

fn ask(shard: u32, counter: u64) -> Request {
    Request::Ask(Ask {
        v: VERSION,
        shard,
        shards: 64,
        nonce: format!("n{shard}"),
        counter,
        process: "g".into(),
        http: false,
        shardless: false,
    })
}

fn granted(effects: &[Effect<u32>]) -> Vec<u32> {
    let grants = effects.iter().filter_map(|effect| match effect {
        Effect::Reply(to, Reply::Grant { .. }) => Some(*to),
        _ => None,
    });
    grants.collect()
}

fn write(effects: &[Effect<u32>]) -> (Ledger, Option<u64>) {
    let write = effects.iter().find_map(|effect| match effect {
        Effect::Write(ledger, over) => Some((ledger.as_ref().clone(), *over)),
        _ => None,
    });
    write.expect("a write")
}

fn wait(effects: &[Effect<u32>]) -> WaitReason {
    let wait = effects.iter().find_map(|effect| match effect {
        Effect::Reply(_, Reply::Wait { reason, .. }) => Some(*reason),
        _ => None,
    });
    wait.expect("a wait")
}

fn refusal(effects: &[Effect<u32>]) -> &str {
    match effects {
        [Effect::Reply(_, Reply::Refused { reason, .. })] => reason,
        other => panic!("not a refusal: {other:?}"),
    }
}

#[test]
fn no_grant_leaves_before_its_write_stands() {
    let mut desk = Desk::leading();
    let effects = desk.ask(0, 1);
    assert!(granted(&effects).is_empty());
    let (ledger, _) = write(&effects);
    assert_eq!((ledger.granted, ledger.remaining), (1, Some(999)));
    assert_eq!(granted(&desk.serve(effects)), [0]);
}

#[test]
fn what_becomes_due_during_a_write_shares_the_next() {
    let mut desk = Desk::leading();
    let first = desk.ask(0, 1);
    for shard in 1..16 {
        assert!(!matches!(desk.ask(shard, 2)[..], [Effect::Write(..)]));
    }
    let writes = desk.stored.as_ref().unwrap().0.writes;
    let out = desk.serve(first);
    assert_eq!(granted(&out).len(), 16);
    assert_eq!(desk.stored.as_ref().unwrap().0.writes, writes + 2);
}

#[test]
fn a_grant_names_the_counter_from_before_the_write() {
    let mut desk = Desk::leading();
    let effects = desk.ask(0, 1);
    desk.ask(0, 2);
    let out = desk.serve(effects);
    assert!(
        out.iter()
            .any(|e| matches!(e, Effect::Reply(0, Reply::Grant { counter: 1, .. })))
    );
}

#[test]
fn an_unknown_write_that_was_applied_grants() {
    let mut desk = Desk::leading();
    let (ledger, over) = write(&desk.ask(0, 1));
    desk.store(ledger, over);
    let effects = desk.apply(Input::Wrote(Written::Unknown));
    assert_eq!(effects, [Effect::Read]);
    assert_eq!(granted(&desk.serve(effects)), [0]);
}

#[test]
fn an_unknown_write_that_is_not_there_is_written_again_the_same() {
    let mut desk = Desk::leading();
    let (ledger, over) = write(&desk.ask(0, 1));
    let effects = desk.apply(Input::Wrote(Written::Unknown));
    assert!(granted(&desk.serve(effects)).is_empty());
    desk.now = desk.leader.next_wakeup().unwrap();
    let effects = desk.apply(Input::Tick);
    assert_eq!(write(&effects), (ledger.clone(), over));
    // The first copy arrives after all, before the second.
    desk.store(ledger, over);
    assert_eq!(granted(&desk.serve(effects)), [0]);
}

#[test]
fn a_grant_too_old_to_be_used_is_kept_back_and_its_bucket_stays_free() {
    let mut desk = Desk::leading();
    let (ledger, over) = write(&desk.ask(0, 1));
    desk.now = desk.now.plus(Duration::from_secs(3));
    let applied = desk.store(ledger, over);
    let effects = desk.apply(Input::Wrote(applied));
    assert!(granted(&desk.serve(effects)).is_empty());
    let effects = desk.ask(0, 4);
    assert_eq!(granted(&desk.serve(effects)), [0]);
    assert_eq!(desk.stored.as_ref().unwrap().0.remaining, Some(999));
}

#[test]
fn who_was_deposed_grants_nothing() {
    let mut desk = Desk::leading();
    let effects = desk.ask(0, 1);
    let newer = Ledger {
        epoch: 6,
        nonce: "other".into(),
        ..desk.stored.clone().unwrap().0
    };
    desk.stored = Some((newer, 99));
    let out = desk.serve(effects);
    assert!(granted(&out).is_empty());
    assert!(!desk.leader.status(desk.now).leader);
    assert_eq!(desk.stored.as_ref().unwrap().0.epoch, 6);
}

#[test]
fn a_lease_bucket_made_anew_does_not_lock_the_ledger() {
    let mut desk = Desk::leading();
    desk.apply(Input::Held(None));
    assert_eq!(desk.win(1), [Effect::Announce]);
}

#[test]
fn a_write_by_an_older_leader_is_taken_in_before_anything_is_granted() {
    let mut desk = Desk::leading();
    let effects = desk.ask(0, 1);
    let zombie = Ledger {
        epoch: 4,
        nonce: "zombie".into(),
        uses: [(0, 1_900)].into(),
        remaining: Some(700),
        ..desk.stored.clone().unwrap().0
    };
    desk.stored = Some((zombie, 99));
    assert!(granted(&desk.serve(effects)).is_empty());
    assert_eq!(desk.leader.status(desk.now).remaining, 700);
    desk.ask(0, 7);
    assert!(granted(&desk.pass(7_000)).is_empty());
    let effects = desk.ask(0, 8);
    assert!(granted(&desk.serve(effects)).is_empty());
    assert_eq!(granted(&desk.pass(200)), [0]);
}

#[test]
fn nothing_is_done_at_or_after_the_end_of_the_lease() {
    let mut desk = Desk::leading();
    let (ledger, over) = write(&desk.ask(0, 1));
    desk.now = desk.now.plus(Duration::from_secs(1_000));
    let applied = desk.store(ledger, over);
    assert!(desk.apply(Input::Wrote(applied)).is_empty());
    assert!(desk.ask(1, 1).is_empty());
    assert_eq!(desk.leader.next_wakeup(), None);
}

#[test]
fn a_renewal_heard_after_the_old_end_opens_again() {
    let mut desk = Desk::leading();
    desk.now = desk.now.plus(Duration::from_secs(1_000));
    assert!(desk.apply(Input::Tick).is_empty());
    assert!(!desk.leader.leads());
    assert_eq!(desk.win(5), [Effect::Announce]);
    desk.apply(Input::Drain);
    desk.apply(Input::Held(None));
    assert!(desk.win(6).is_empty());
}

#[test]
fn a_new_leader_writes_first_and_spares_the_buckets_of_the_last() {
    let mut first = Desk::leading();
    let effects = first.ask(0, 1);
    first.serve(effects);
    let mut second = Desk {
        stored: first.stored.clone(),
        revisions: first.revisions,
        ..Desk::follower()
    };
    second.apply(Input::Shards(64));
    second.apply(Input::Halted(false));
    let out = second.win(6);
    assert_eq!(out, [Effect::Announce]);
    assert_eq!(second.stored.as_ref().unwrap().0.epoch, 6);
    let effects = second.ask(16, 1);
    assert!(granted(&second.serve(effects)).is_empty());
    second.ask(16, 8);
    second.now = second.now.plus(Duration::from_secs(7));
    let effects = second.ask(16, 9);
    assert!(granted(&second.serve(effects)).is_empty());
    assert_eq!(granted(&second.pass(251)), [16]);
}

#[test]
fn a_follower_that_saw_the_last_write_need_not_wait_again() {
    let mut first = Desk::leading();
    let effects = first.ask(0, 1);
    first.serve(effects);
    let mut second = Desk {
        stored: first.stored.clone(),
        revisions: first.revisions,
        ..Desk::follower()
    };
    second.apply(Input::Shards(64));
    second.apply(Input::Halted(false));
    let (ledger, revision) = first.stored.unwrap();
    let nonce = ledger.nonce;
    second.apply(Input::Sighted(Sighting { revision, nonce }));
    second.pass(7_300);
    second.win(6);
    let effects = second.ask(16, 1);
    assert_eq!(granted(&second.serve(effects)), [16]);
}

/// Another may lead meanwhile; later this one may again.
#[test]
fn whoever_yields_settles_the_ledger_and_leads_again() {
    let mut desk = Desk::leading();
    let written = desk.revisions;
    let effects = desk.apply(Input::Yield);
    assert_eq!(desk.serve(effects), [Effect::Drained]);
    assert!(desk.revisions > written && !desk.leader.leads());
    desk.apply(Input::Held(None));
    assert_eq!(desk.win(6), [Effect::Announce]);
    assert!(desk.leader.leads());
    // A follower has nothing to settle.
    let mut follower = Desk::follower();
    assert_eq!(follower.apply(Input::Yield), [Effect::Drained]);
}

#[test]
fn a_halted_fleet_waits_and_goes_on() {
    let mut desk = Desk::leading();
    desk.apply(Input::Halted(true));
    let effects = desk.ask(0, 1);
    assert_eq!(wait(&effects), WaitReason::Halted);
    assert!(desk.leader.next_wakeup() > Some(desk.now));
    let effects = desk.apply(Input::Halted(false));
    assert_eq!(granted(&desk.serve(effects)), [0]);
}

#[test]
fn an_exhausted_day_keeps_places_and_goes_on_asking_discord() {
    let mut desk = Desk::leading();
    desk.remaining = 50;
    desk.pass(61_000);
    let effects = desk.ask(0, 1);
    assert_eq!(wait(&effects), WaitReason::Budget);
    desk.serve(effects);
    for second in 1..200 {
        let effects = desk.ask(0, 1 + second);
        assert!(granted(&desk.serve(effects)).is_empty());
        desk.pass(1_000);
    }
    desk.remaining = 1_000;
    let mut grants = Vec::new();
    for second in 200..262 {
        let effects = desk.ask(0, 1 + second);
        grants.extend(granted(&desk.serve(effects)));
        grants.extend(granted(&desk.pass(1_000)));
    }
    assert_eq!(grants.first(), Some(&0));
}

#[test]
fn an_operators_word_is_in_the_ledger_before_it_is_acknowledged() {
    let mut desk = Desk::leading();
    desk.remaining = 50;
    desk.pass(61_000);
    let release = |n| ReleaseReserve {
        v: VERSION,
        n,
        nonce: "word".into(),
    };
    let effects = desk.apply(Input::Request(Request::ReleaseReserve(release(60)), 9));
    assert!(refusal(&effects).contains("the reserve holds 50"));
    let effects = desk.apply(Input::Request(Request::ReleaseReserve(release(2)), 9));
    let (ledger, _) = write(&effects);
    assert_eq!((ledger.released, effects.len()), (2, 1));
    let out = desk.serve(effects);
    assert!(matches!(
        out[..],
        [Effect::Reply(9, Reply::Released { released: 2, .. })]
    ));
    let mut grants = Vec::new();
    for shard in 0..4 {
        let effects = desk.ask(shard, 1);
        grants.extend(granted(&desk.serve(effects)));
    }
    assert_eq!(grants, [0, 1]);
}

#[test]
fn a_changed_concurrency_waits_for_every_bucket() {
    let mut desk = Desk::leading();
    let effects = desk.ask(0, 1);
    desk.serve(effects);
    let mut answer = desk.answer();
    answer.max_concurrency = 32;
    let effects = desk.apply(Input::Limits(answer));
    desk.serve(effects);
    desk.now = desk.now.plus(Duration::from_millis(7_249));
    let effects = desk.ask(16, 9);
    assert!(granted(&desk.serve(effects)).is_empty());
    assert_eq!(granted(&desk.pass(1)), [16]);
    assert_eq!(desk.stored.as_ref().unwrap().0.max_concurrency, 32);
}

#[test]
fn bad_requests_are_refused_and_change_nothing() {
    let mut desk = Desk::leading();
    let good = Ask {
        v: VERSION,
        shard: 3,
        shards: 64,
        nonce: "n".into(),
        counter: 1,
        process: "g".into(),
        http: false,
        shardless: false,
    };
    let bad = [
        (
            Ask {
                shard: 64,
                ..good.clone()
            },
            "no shard 64",
        ),
        (
            Ask {
                shards: 32,
                ..good.clone()
            },
            "one of 32 shards",
        ),
        (
            Ask {
                counter: 0,
                ..good.clone()
            },
            "starts at 1",
        ),
        (
            Ask {
                nonce: String::new(),
                ..good.clone()
            },
            "a nonce has",
        ),
        (
            Ask {
                process: "x".repeat(129),
                ..good.clone()
            },
            "a nonce has",
        ),
    ];
    for (ask, why) in bad {
        let effects = desk.apply(Input::Request(Request::Ask(ask), 1));
        assert!(refusal(&effects).contains(why), "{effects:?}");
    }
    assert_eq!(desk.leader.status(desk.now).queue, 0);
}

#[test]
fn a_planned_end_tells_the_next_leader_what_was_confirmed() {
    let mut desk = Desk::leading();
    let effects = desk.ask(0, 1);
    desk.serve(effects);
    desk.now = desk.now.plus(Duration::from_millis(10));
    let confirm = Confirm {
        v: VERSION,
        shard: 0,
        nonce: "n0".into(),
        refused: false,
    };
    desk.apply(Input::Request(Request::Confirm(confirm), 0));
    desk.now = desk.now.plus(Duration::from_secs(1));
    let effects = desk.apply(Input::Drain);
    assert_eq!(desk.serve(effects), [Effect::Drained]);
    assert_eq!(desk.stored.as_ref().unwrap().0.uses[&0], -1_000);
    assert!(!desk.leader.leads());
}

#[test]
fn a_malformed_ledger_stops_the_leader_rather_than_being_overwritten() {
    let mut desk = Desk::leading();
    desk.stored = None;
    desk.apply(Input::Held(None));
    let held = Held {
        epoch: Epoch(9),
        until: desk.now.plus(Duration::from_secs(100)),
    };
    desk.apply(Input::Held(Some(held)));
    let effects = desk.apply(Input::Read(Err(Unreadable::Malformed)));
    assert!(effects.is_empty());
    let effects = desk.ask(0, 1);
    assert_eq!(wait(&effects), WaitReason::Ledger);
}

/// Nobody has to ask for it: a leader without work writes what it knows, and every bucket counts as used.
#[test]
fn a_ledger_that_was_lost_is_written_again_at_once() {
    let mut desk = Desk::leading();
    let effects = desk.ask(0, 1);
    desk.serve(effects);
    desk.pass(60_000);
    let known = desk.stored.take().unwrap().0;
    let effects = desk.apply(Input::Lost);
    let out = desk.serve(effects);
    assert_eq!(out, [Effect::Announce]);
    let written = desk.stored.clone().unwrap().0;
    assert_eq!((written.epoch, written.remaining), (5, known.remaining));
    let effects = desk.ask(1, 1);
    assert!(granted(&desk.serve(effects)).is_empty());
    desk.pass(7_200);
    let effects = desk.ask(1, 2);
    assert!(granted(&desk.serve(effects)).is_empty());
    assert_eq!(granted(&desk.pass(51)), [1]);
}

/// An old copy of it knows of fewer grants than its leader, which writes over it.
#[test]
fn an_older_copy_of_the_ledger_gives_way_to_what_its_leader_knows() {
    let mut desk = Desk::leading();
    let copy = desk.stored.clone();
    for shard in 0..16 {
        let effects = desk.ask(shard, 1);
        desk.serve(effects);
    }
    let known = desk.stored.clone().unwrap().0;
    desk.stored = copy;
    // Discord does not answer just now: its word is not what this rests on.
    desk.pass(1_000);
    let effects = desk.apply(Input::Lost);
    desk.serve(effects);
    let written = desk.stored.clone().unwrap().0;
    assert_eq!(
        (written.remaining, written.granted),
        (known.remaining, known.granted)
    );
    assert!(written.writes > known.writes);
    let effects = desk.ask(16, 2);
    assert!(granted(&desk.serve(effects)).is_empty());
}

/// Whoever takes over an older copy does not believe what it says of the buckets.
#[test]
fn a_follower_that_heard_of_the_loss_counts_every_bucket_from_then_on() {
    let mut first = Desk::leading();
    let mut copy = first.stored.clone();
    copy.as_mut().unwrap().0.uses.clear();
    let effects = first.ask(0, 1);
    first.serve(effects);
    let mut second = Desk {
        stored: copy,
        revisions: first.revisions,
        ..Desk::follower()
    };
    second.now = first.now;
    second.apply(Input::Shards(64));
    second.apply(Input::Halted(false));
    second.apply(Input::Lost);
    second.pass(1_000);
    second.win(6);
    second.pass(6_200);
    let effects = second.ask(16, 1);
    assert!(granted(&second.serve(effects)).is_empty());
    assert_eq!(granted(&second.pass(51)), [16]);
}
