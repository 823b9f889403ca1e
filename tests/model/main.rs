//! Promise 5 in virtual time: many askers, several coordinators, a network that loses, delays,
//! doubles and reorders, processes that freeze and die, writes that time out though applied, reads
//! that tell what was, clocks that disagree, leases believed in too long. The state machines are the
//! real ones; the judge knows Discord's rules and nothing of how they are kept.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asker;
mod coordinator;
mod discord;
mod event;
mod judge;
mod kv;
mod network;
mod plan;
mod process;
mod world;

use std::time::Duration;

use plan::Plan;
use world::World;

/// How many seeds an ordinary run tries; `SHARDFLEET_MODEL_SEEDS` asks for more.
const SEEDS: u64 = 2_000;

#[test]
fn no_rule_is_broken_whatever_fails() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("SHARDFLEET_MODEL_SEED") {
        return try_seed(seed);
    }
    let first = number("SHARDFLEET_MODEL_FIRST").unwrap_or(1);
    let seeds = number("SHARDFLEET_MODEL_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for thread in 0..threads as u64 {
            scope.spawn(move || {
                for seed in (first + thread..first + seeds).step_by(threads) {
                    try_seed(seed);
                }
            });
        }
    });
}

fn try_seed(seed: u64) {
    let mut world = World::new(Plan::wild(seed));
    if let Err(broken) = world.run() {
        panic!(
            "{broken}\nreplay: SHARDFLEET_MODEL_SEED={seed} cargo test --test model \
             no_rule_is_broken -- --nocapture\n{:#?}",
            Plan::wild(seed)
        );
    }
}

#[test]
fn a_cold_start_of_sixteen_thousand_takes_no_longer_than_discord_makes_it() {
    let (askers, max_concurrency) = (16_384, 256);
    let mut world = World::new(Plan::calm(askers, max_concurrency));
    world.run().unwrap();
    let received = &world.judge.received;
    let took = received[askers - 1].0.saturating_sub(received[0].0);
    let least = Duration::from_secs(5) * u32::try_from(askers).unwrap().div_ceil(max_concurrency);
    let ratio = took.as_secs_f64() / least.as_secs_f64();
    println!("{askers} shards at {max_concurrency}: {took:?}, {ratio:.4} of Discord's {least:?}");
    assert_eq!(received.len(), askers);
    assert!(ratio <= 1.06, "{ratio}");
}

/// A limit falls while nobody identifies, then every session ends: not one IDENTIFY goes by what was.
#[test]
fn a_limit_that_fell_is_read_before_the_next_round() {
    for second in 40..100 {
        let at = Duration::from_secs(second);
        let mut world = World::new(Plan {
            recuts: vec![(at, 1)],
            invalidated: Some(at + Duration::from_secs(11)),
            ..Plan::calm(16, 16)
        });
        if let Err(broken) = world.run() {
            panic!("it fell at {at:?}: {broken}");
        }
        // The run ends when the last one has left.
        assert!(world.judge.received.len() >= 31);
        assert_eq!(world.discord.refused, 0, "it fell at {at:?}");
    }
}

/// A limit falls in the midst of a cold start: what is under way is refused, and stops the rest.
#[test]
fn a_limit_that_falls_meanwhile_costs_one_round() {
    for half_seconds in 20..60 {
        let at = Duration::from_millis(half_seconds * 500);
        let mut world = World::new(Plan {
            recuts: vec![(at, 1)],
            patience: Duration::from_secs(15),
            rush: Duration::from_secs(1),
            ..Plan::calm(128, 16)
        });
        if let Err(broken) = world.run() {
            panic!("it fell at {at:?}: {broken}");
        }
        let refused = world.discord.refused;
        assert!(refused < 16, "it fell at {at:?}: {refused} were refused");
    }
}

/// Discord tells nothing any more, and what it told last is no longer true: one at a time is right
/// whatever it has become, and everybody is served.
#[test]
fn a_limit_that_fell_unheard_is_kept_all_the_same() {
    for second in 40..100 {
        let at = Duration::from_secs(second);
        let mut world = World::new(Plan {
            recuts: vec![(at, 1)],
            barred: at..at + Duration::from_secs(3_600),
            invalidated: Some(at + Duration::from_secs(11)),
            ..Plan::calm(16, 16)
        });
        if let Err(broken) = world.run() {
            panic!("it fell at {at:?}: {broken}");
        }
        assert!(world.judge.received.len() >= 31);
        assert_eq!(world.discord.refused, 0, "it fell at {at:?}");
    }
}
