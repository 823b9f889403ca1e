//! What a shard knows of a kind of event: looked up once an event, and carried with it.

use std::sync::Arc;

use ::metrics::Counter;
use async_nats::Subject;

use super::metrics;
use crate::{
    fleet::ShardId,
    subject::{Names, UNNAMED_EVENT, is_event},
    wire::{event::event_name, topology::Topology},
};

/// More kinds than Discord has; of what goes beyond, only the last is remembered.
const MOST: usize = 256;

/// A kind of event of one shard.
#[derive(Debug)]
pub struct Kind {
    /// Discord's name of it, or the fleet's for those whose name cannot stand in a subject.
    pub name: Box<str>,
    /// Of those, Discord's name as a header has it; none where there was none.
    pub original: Option<Box<str>>,
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

    /// The kind of this name.
    pub fn of(&mut self, name: Option<&str>) -> Arc<Kind> {
        let name = name.unwrap_or_default();
        if let Some(at) = self.met.iter().position(|kind| &*kind.name == name) {
            let before = at.saturating_sub(1);
            self.met.swap(at, before);
            return Arc::clone(&self.met[before]);
        }
        if !is_event(name) {
            // Not remembered: a flood of strange names would put the others out.
            let original = Some(name).filter(|name| !name.is_empty());
            return Arc::new(Kind {
                original: original.map(|name| event_name(name).into()),
                ..self.kind(UNNAMED_EVENT)
            });
        }
        let kind = Arc::new(self.kind(name));
        self.met.truncate(MOST - 1);
        self.met.push(Arc::clone(&kind));
        kind
    }

    fn kind(&self, name: &str) -> Kind {
        Kind {
            name: name.into(),
            original: None,
            subject: self.names.event(self.shard, name).into(),
            stored: metrics::stored(name),
            forwarded: self.topology.forwards(name),
            sheddable: self.shed.iter().any(|shed| shed == name),
        }
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
        let typing = kinds.of(Some("TYPING_START"));
        assert_eq!(typing.subject.as_str(), "discord.5.TYPING_START");
        assert!(typing.sheddable && typing.forwarded);
        assert!(Arc::ptr_eq(&typing, &kinds.of(Some("TYPING_START"))));
        assert!(!kinds.of(Some("READY")).sheddable);
    }

    #[test]
    fn another_choice_holds_at_once() {
        let mut kinds = kinds();
        assert!(kinds.of(Some("READY")).forwarded && kinds.of(Some("X")).forwarded);
        kinds.choose(topology(&["X", "READY"]));
        assert!(kinds.of(Some("READY")).forwarded && !kinds.of(Some("X")).forwarded);
    }

    #[test]
    fn what_cannot_stand_in_a_subject_goes_under_a_name_of_the_fleet() {
        let mut kinds = kinds();
        let long = "Y".repeat(5_000);
        for (name, original) in [
            (None, None),
            (Some(""), None),
            (Some("a.b *>"), Some("a.b%20%2A%3E")),
            (Some("FLEET_GAP"), Some("FLEET_GAP")),
            (Some("FLEET_UNNAMED"), Some("FLEET_UNNAMED")),
            (Some("Ä"), Some("%C3%84")),
            (Some("a\r\nb\0"), Some("a%0D%0Ab%00")),
            (Some(&long), Some(&*("Y".repeat(256) + "*"))),
        ] {
            let kind = kinds.of(name);
            assert_eq!(kind.subject.as_str(), "discord.5.FLEET_UNNAMED");
            assert_eq!(
                (&*kind.name, kind.original.as_deref()),
                (UNNAMED_EVENT, original)
            );
            assert!(kind.forwarded && !kind.sheddable);
        }
        assert!(kinds.of(Some("READY")).original.is_none());
        kinds.choose(topology(&["FLEET_UNNAMED"]));
        assert!(!kinds.of(Some("a.b")).forwarded && !kinds.of(None).forwarded);
    }

    #[test]
    fn a_flood_of_names_is_not_remembered() {
        let mut kinds = kinds();
        let ready = kinds.of(Some("READY"));
        for number in 0..10_000 {
            kinds.of(Some(&format!("A_{number}")));
            kinds.of(Some(&format!("a b {number}")));
            assert!(Arc::ptr_eq(&ready, &kinds.of(Some("READY"))));
        }
        assert_eq!(kinds.met.len(), MOST);
        let late = kinds.of(Some("TYPING_START"));
        assert!(Arc::ptr_eq(&late, &kinds.of(Some("TYPING_START"))));
    }
}
