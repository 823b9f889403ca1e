//! The coordinator's queue with 16,384 shards waiting.

use std::time::Duration;

use divan::{Bencher, black_box};
use shardfleet::{
    clock::Boottime,
    coordinator::buckets::Buckets,
    wire::{VERSION, identify::Ask},
};

const WAITING: u32 = 16_384;

fn main() {
    divan::main();
}

fn at(ms: u64) -> Boottime {
    Boottime(Duration::from_millis(1_000_000 + ms))
}

fn ask(shard: u32, counter: u64) -> Ask {
    Ask {
        v: VERSION,
        shard,
        shards: WAITING,
        nonce: format!("nonce-of-shard-{shard}"),
        counter,
        process: "gateway".to_owned(),
        http: false,
        shardless: false,
    }
}

/// Every shard waits and no bucket is free.
fn full(max_concurrency: u32) -> Buckets<u32> {
    let mut buckets = Buckets::new(Duration::from_millis(250));
    buckets.cut(max_concurrency, at(0));
    for shard in 0..WAITING {
        buckets.ask(&ask(shard, 1), shard, at(7_000));
    }
    buckets
}

/// One repetition of a request, as each waiting shard sends every second.
#[divan::bench(args = [16, 256])]
fn repeat(bencher: Bencher<'_, '_>, max_concurrency: u32) {
    let mut buckets = full(max_concurrency);
    let mut asks: Vec<_> = (0..WAITING).map(|shard| ask(shard, 1)).collect();
    let mut next = 0;
    bencher.bench_local(|| {
        let ask = &mut asks[next % WAITING as usize];
        next += 1;
        ask.counter += 1;
        black_box(buckets.ask(ask, 0, at(7_100)))
    });
}

/// One round: every bucket is free and grants its first.
#[divan::bench(args = [16, 256], sample_count = 20, sample_size = 1)]
fn grant_a_round(bencher: Bencher<'_, '_>, max_concurrency: u32) {
    bencher
        .with_inputs(|| full(max_concurrency))
        .bench_local_values(|mut buckets| {
            let picks = buckets.pick(usize::MAX, |_| Boottime::default(), at(8_000));
            assert_eq!(picks.len(), max_concurrency as usize);
            (picks, buckets)
        });
}

/// Looking for requests that nobody repeats any more, as is done four times a second.
#[divan::bench(sample_count = 20)]
fn sweep(bencher: Bencher<'_, '_>) {
    let mut buckets = full(16);
    bencher.bench_local(|| buckets.sweep(at(7_500)));
}
