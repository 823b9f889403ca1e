//! What every event passes that is pure: its head, its message id, its subject.

use divan::{Bencher, black_box};
use shardfleet::{fleet::ShardId, gateway::peek::peek, subject::Names, wire::event::message_id};

#[path = "path/heads.rs"]
mod heads;

fn main() {
    divan::main();
}

/// What stands behind the head is not looked at.
#[divan::bench(args = heads::NAMES)]
fn peek_usual(bencher: Bencher<'_, '_>, name: &str) {
    let payload = heads::usual(name);
    bencher.bench_local(|| peek(black_box(&payload)).is_some());
}

/// All of it is read.
#[divan::bench(args = heads::NAMES)]
fn peek_data_first(bencher: Bencher<'_, '_>, name: &str) {
    let payload = heads::data_first(name);
    bencher.bench_local(|| peek(black_box(&payload)).is_some());
}

#[divan::bench(args = [1, 1_000_000_000])]
fn name_for_deduplication(bencher: Bencher<'_, '_>, seq: u64) {
    let session = "0123456789abcdef0123456789abcdef";
    bencher.bench_local(|| message_id(black_box(session), black_box(seq)));
}

#[divan::bench]
fn subject(bencher: Bencher<'_, '_>) {
    let names = Names::new("discord");
    bencher.bench_local(|| names.event(black_box(ShardId(1_023)), black_box("MESSAGE_CREATE")));
}
