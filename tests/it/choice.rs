//! The choice of events changes while the fleet runs, without a restart and without a gap.

use shardfleet::{
    broker::bucket::Bucket,
    subject::TOPOLOGY,
    wire::{self, topology::Topology},
};

use crate::support::fleet::{
    Fleet,
    wait::{LIMIT, eventually},
};

impl Fleet {
    /// Writes another choice of events, as an operator's command does.
    async fn choose(&self, allow: &[&str], deny: &[&str]) {
        let name = self.broker.names.state_bucket();
        let state = Bucket::open(&self.broker, &name).await.unwrap();
        let entry = state.get(TOPOLOGY).await.unwrap().unwrap();
        let mut topology: Topology = wire::decode(&entry.value).unwrap();
        topology.allow = allow.iter().map(ToString::to_string).collect();
        topology.deny = deny.iter().map(ToString::to_string).collect();
        let value = wire::encode(&topology);
        state.update(TOPOLOGY, value, entry.revision).await.unwrap();
    }

    /// How many events of each kind are stored while so many more are sent.
    async fn stored_of_the_next(&mut self, events: u64) -> (usize, usize) {
        let from = self.last_stored().await;
        self.flow(events).await;
        let messages = self.messages().await;
        let new = messages.iter().filter(|message| message.seq > from);
        let (wanted, others): (Vec<_>, Vec<_>) =
            new.partition(|message| message.subject.ends_with(".MESSAGE_CREATE"));
        (wanted.len(), others.len())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_choice_changes_without_a_restart() {
    let mut fleet = Fleet::start().events_per_second(400).await;
    let sessions = fleet.discord.figures().await.connections;
    let (wanted, _) = fleet.stored_of_the_next(400).await;
    assert!(wanted > 0);

    fleet.choose(&[], &["MESSAGE_CREATE"]).await;
    let quiet = eventually("no MESSAGE_CREATE is stored", LIMIT, async || {
        let (wanted, others) = fleet.stored_of_the_next(400).await;
        (wanted == 0).then_some(others)
    });
    assert!(quiet.await > 0, "the others are");

    fleet.choose(&["MESSAGE_CREATE"], &[]).await;
    eventually("nothing but MESSAGE_CREATE is stored", LIMIT, async || {
        let (wanted, others) = fleet.stored_of_the_next(400).await;
        (wanted > 0 && others == 0).then_some(())
    })
    .await;

    // Nobody reconnected for it, and what was left out is no gap.
    let figures = fleet.discord.figures().await;
    assert_eq!(figures.connections, sessions);
    let messages = fleet.messages().await;
    let gaps = messages
        .iter()
        .filter(|message| message.subject.ends_with(".FLEET_GAP"));
    assert_eq!(gaps.count(), 0);
}
