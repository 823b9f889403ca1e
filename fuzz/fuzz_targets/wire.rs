//! Every message between processes and every value of a key: what is understood is written and
//! understood again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use shardfleet::{
    audit::{
        Audit,
        evidence::{SentLine, Sessions, StoredLine},
    },
    lease,
    wire::{
        self, command, drain, event,
        identify::{Leader, Ledger, Reply, Request},
        session::StoredSession,
        status::Status,
        topology::{Halt, Topology},
    },
};

fn round<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    let Ok(value) = wire::decode::<T>(bytes) else {
        return;
    };
    let written = wire::encode(&value);
    let again = wire::decode::<T>(&written).expect("what was written is understood");
    assert_eq!(wire::encode(&again), written);
}

fuzz_target!(|bytes: &[u8]| {
    round::<Request>(bytes);
    round::<Reply>(bytes);
    round::<Leader>(bytes);
    round::<Ledger>(bytes);
    round::<command::Reply>(bytes);
    round::<drain::Drain>(bytes);
    round::<drain::Draining>(bytes);
    round::<event::Gap>(bytes);
    round::<StoredSession>(bytes);
    round::<Status>(bytes);
    round::<Topology>(bytes);
    round::<Halt>(bytes);
    _ = lease::holder(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some((session, seq, part)) = event::parse_id(text) {
        let id = match part {
            event::Part::Event => event::message_id(session, seq),
            event::Part::Unnumbered(count) => event::unnumbered_id(session, seq, count),
            event::Part::GapWithin(reason) => event::gap_id(session, seq, reason),
            event::Part::Gap => event::gap_id(session, seq, event::GapReason::ResumeFailed),
        };
        assert_eq!(event::parse_id(&id), Some((session, seq, part)));
    }
    let name = event::session_name(text);
    let id = event::message_id(&name, 7);
    assert_eq!(event::parse_message_id(&id), Some((&*name, 7)));
    assert!(event::session_id(&name).is_none_or(|id| id == text));
    let mut audit = Audit::default();
    if let Ok(sessions) = serde_json::from_str::<Sessions>(text) {
        audit.read_sessions(&sessions);
    }
    _ = serde_json::from_str::<SentLine<'_>>(text);
    _ = audit.read_sent(text);
    if let Ok(line) = serde_json::from_str::<StoredLine>(text) {
        _ = audit.read_stored(&line);
    }
    _ = StoredLine::new(1, "discord.0.FLEET_GAP", text, Some("zstd"), bytes);
    _ = audit.report();
});
