//! `docs/WIRE.md` is a contract: every JSON line in it is read with the fleet's own types, and every
//! word of theirs stands in it.

use serde_json::Value;
use shardfleet::wire::{
    self,
    command::{Command, Reason, Reply},
    event::{Gap, GapReason},
    topology::Topology,
};

const TEXT: &str = include_str!("../../docs/WIRE.md");

fn examples() -> impl Iterator<Item = &'static str> {
    TEXT.lines().filter(|line| line.starts_with('{'))
}

#[test]
fn every_example_is_what_the_fleet_reads_and_writes() {
    let (mut commands, mut replies, mut gaps, mut topologies) = (0, 0, 0, 0);
    for line in examples() {
        let value: Value = serde_json::from_str(line).unwrap();
        if value.get("op").is_some() {
            assert_eq!(Command::parse(line.as_bytes()).unwrap().json, line);
            commands += 1;
        } else if value.get("kind").is_some() {
            let reply: Reply = wire::decode(line.as_bytes()).unwrap();
            assert_eq!(wire::encode(&reply), line);
            replies += 1;
        } else if value.get("reason").is_some() {
            let gap: Gap = wire::decode(line.as_bytes()).unwrap();
            assert_eq!(wire::encode(&gap), line);
            gaps += 1;
        } else {
            let topology: Topology = wire::decode(line.as_bytes()).unwrap();
            assert_eq!(wire::encode(&topology), line);
            topologies += 1;
        }
    }
    assert_eq!((commands, replies, gaps, topologies), (5, 3, 2, 1));
}

#[test]
fn every_reason_has_its_row() {
    let refusals = [
        Reason::Malformed,
        Reason::TooLarge,
        Reason::UnknownOp,
        Reason::WrongShard,
        Reason::NoSession,
        Reason::Limited,
    ];
    let words = GapReason::ALL.map(GapReason::as_str).into_iter();
    for word in words.chain(refusals.map(Reason::as_str)) {
        assert!(
            TEXT.contains(&format!("\n| `{word}` | ")),
            "no row for {word}"
        );
    }
}
