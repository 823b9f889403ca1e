//! What is counted: pure, the same work every time, and on the way of every event or every round.

use std::{hint::black_box, time::Duration};

use pure::{
    clock::Boottime,
    coordinator::buckets::Buckets,
    fleet::ShardId,
    gateway::peek::peek,
    subject::Names,
    wire::{self, VERSION, event::message_id, identify::Ask},
};

use crate::heads;

/// Shards that wait for their IDENTIFY.
const WAITING: u32 = 4_096;
const CONCURRENCY: u32 = 16;

/// A case: its name, and what sets it up and gives what is counted.
pub(crate) type Case = (&'static str, fn() -> Box<dyn FnMut()>);

/// All of them.
pub(crate) const CASES: &[Case] = &[
    ("peek, as Discord writes it", peek_usual),
    ("peek, in another order", peek_data_first),
    ("message id", id),
    ("message id, read", id_read),
    ("subject", subject),
    ("buckets: a request again", ask_again),
    ("buckets: a round of grants, put back", grant),
    ("buckets: a sweep", sweep),
];

fn peek_usual() -> Box<dyn FnMut()> {
    peek_all(heads::usual)
}

fn peek_data_first() -> Box<dyn FnMut()> {
    peek_all(heads::data_first)
}

/// The small ones: a GUILD_CREATE would drown them.
fn peek_all(written: fn(&str) -> String) -> Box<dyn FnMut()> {
    let payloads: Vec<_> = heads::NAMES[..3].iter().map(|name| written(name)).collect();
    Box::new(move || {
        for payload in &payloads {
            assert!(black_box(peek(black_box(payload))).is_some());
        }
    })
}

fn id() -> Box<dyn FnMut()> {
    Box::new(|| {
        let session = black_box("0123456789abcdef0123456789abcdef");
        black_box(message_id(session, black_box(123_456)));
    })
}

fn id_read() -> Box<dyn FnMut()> {
    let id = message_id("0123456789abcdef0123456789abcdef", 123_456);
    Box::new(move || {
        black_box(wire::event::parse_message_id(black_box(&id)));
    })
}

fn subject() -> Box<dyn FnMut()> {
    let names = Names::new("discord");
    Box::new(move || {
        black_box(names.event(black_box(ShardId(1_023)), black_box("MESSAGE_CREATE")));
    })
}

fn at(ms: u64) -> Boottime {
    Boottime(Duration::from_millis(1_000_000 + ms))
}

fn ask(shard: u32) -> Ask {
    Ask {
        v: VERSION,
        shard,
        shards: WAITING,
        nonce: format!("nonce-of-shard-{shard}"),
        counter: 1,
        process: "gateway".to_owned(),
        http: false,
        shardless: false,
    }
}

/// Every shard waits.
fn full() -> Buckets<u32> {
    let mut buckets = Buckets::new(Duration::from_millis(250));
    buckets.cut(CONCURRENCY, at(0));
    for shard in 0..WAITING {
        buckets.ask(&ask(shard), shard, at(7_000));
    }
    buckets
}

/// One after the other, as each does every second.
fn ask_again() -> Box<dyn FnMut()> {
    let mut buckets = full();
    let mut asks: Vec<_> = (0..WAITING).map(ask).collect();
    let mut next = 0;
    Box::new(move || {
        let ask = &mut asks[next % WAITING as usize];
        next += 1;
        ask.counter += 1;
        black_box(buckets.ask(ask, 0, at(7_100)));
    })
}

/// Every bucket is free and grants its first, which is put back, so that the next round is the same.
fn grant() -> Box<dyn FnMut()> {
    let mut buckets = full();
    Box::new(move || {
        let picks = buckets.pick(usize::MAX, |_| Boottime::default(), at(8_000));
        assert_eq!(picks.len(), CONCURRENCY as usize);
        for pick in picks {
            buckets.put_back(pick);
        }
    })
}

/// Four times a second, and mostly for nothing.
fn sweep() -> Box<dyn FnMut()> {
    let mut buckets = full();
    Box::new(move || buckets.sweep(black_box(at(7_500))))
}
