//! What a shard knows of a kind of event: looked up once an event, and carried with it.

use std::sync::Arc;

use ::metrics::Counter;
use async_nats::Subject;

use super::metrics;
use crate::{fleet::ShardId, subject::Names, wire::topology::Topology};

/// More kinds than Discord has; what goes beyond is not remembered.
const MOST: usize = 256;

/// A kind of event of one shard.
#[derive(Debug)]
pub struct Kind {
    /// Discord's name of it.
    pub name: Box<str>,
    /// Where it goes.
    pub subject: Subject,
    /// Those that are stored.
    pub stored: Counter,
    /// Somebody wants it.
    pub forwarded: bool,
    /// Dropped first when NATS is away and the buffer is nearly full.
    pub sheddable: bool,
}

/// The kinds that one shard has met.
pub struct Kinds {
    names: Names,
    shard: ShardId,
    shed: Arc<[String]>,
    topology: Arc<Topology>,
    /// Those that come often stand in front: a few comparisons cost less than a hash.
    met: Vec<Arc<Kind>>,
}

impl Kinds {
    /// None met yet. `shed`: events dropped first.
    pub fn new(names: Names, shard: ShardId, shed: Arc<[String]>, topology: Arc<Topology>) -> Self {
        let met = Vec::new();
        Self {
            names,
            shard,
            shed,
            topology,
            met,
        }
    }

    /// Another choice of events.
    pub fn choose(&mut self, topology: Arc<Topology>) {
        self.topology = topology;
        self.met.clear();
    }

    /// The kind of this name; none for what cannot stand in a subject: it would be refused for ever.
    pub fn of(&mut self, name: &str) -> Option<Arc<Kind>> {
        if let Some(at) = self.met.iter().position(|kind| &*kind.name == name) {
            let before = at.saturating_sub(1);
            self.met.swap(at, before);
            return Some(Arc::clone(&self.met[before]));
        }
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(word) {
            return None;
        }
        let kind = Arc::new(Kind {
            name: name.into(),
            subject: self.names.event(self.shard, name).into(),
            stored: metrics::stored(name),
            forwarded: self.topology.forwards(name),
            sheddable: self.shed.iter().any(|shed| shed == name),
        });
        if self.met.len() < MOST {
            self.met.push(Arc::clone(&kind));
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Layout;

    fn topology(deny: &[&str]) -> Arc<Topology> {
        let layout = Layout {
            generation: 1,
            shards: 8,
            group_size: 8,
        };
        Arc::new(Topology {
            v: 1,
            layout,
            application: None,
            allow: Vec::new(),
            deny: deny.iter().map(ToString::to_string).collect(),
        })
    }

    fn kinds() -> Kinds {
        let shed: Arc<[String]> = Arc::from(["TYPING_START".to_owned()]);
        Kinds::new(Names::new("discord"), ShardId(5), shed, topology(&[]))
    }

    #[test]
    fn a_kind_knows_its_subject_and_whether_it_may_be_shed() {
        let mut kinds = kinds();
        let typing = kinds.of("TYPING_START").unwrap();
        assert_eq!(typing.subject.as_str(), "discord.5.TYPING_START");
        assert!(typing.sheddable && typing.forwarded);
        assert!(Arc::ptr_eq(&typing, &kinds.of("TYPING_START").unwrap()));
        assert!(!kinds.of("READY").unwrap().sheddable);
    }

    #[test]
    fn another_choice_holds_at_once() {
        let mut kinds = kinds();
        assert!(kinds.of("READY").unwrap().forwarded && kinds.of("X").unwrap().forwarded);
        kinds.choose(topology(&["X", "READY"]));
        assert!(kinds.of("READY").unwrap().forwarded && !kinds.of("X").unwrap().forwarded);
    }

    #[test]
    fn what_cannot_stand_in_a_subject_is_no_kind() {
        for name in ["", "A B", "A.B", "*", "Ä"] {
            assert!(kinds().of(name).is_none(), "{name}");
        }
    }
}
