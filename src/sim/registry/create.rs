//! A new session: its id, its guilds and its traffic, all of which follow from the seed.

use std::sync::{Arc, Mutex};

use super::super::admission::{Admitted, Caller};
use super::super::dice::Dice;
use super::super::frame::Identify;
use super::super::record::Rows;
use super::super::session::{Bounds, Identity, Session};
use super::super::stencil::Stencils;
use super::super::traffic::Traffic;
use super::super::world::World;
use super::{Registry, Shared};

impl Registry {
    /// A session of this shard pair, with its caller listening.
    pub(super) fn create(
        &mut self,
        ask: &Identify,
        Admitted {
            bot,
            shard,
            shards,
            intents,
        }: Admitted,
        id: Option<String>,
        caller: Caller,
        at_ms: u64,
    ) -> Arc<Shared> {
        let options = &self.options;
        let world = World {
            seed: options.world_seed(),
            guilds_per_shard: options.guilds_per_shard,
        };
        let nth = self
            .all
            .iter()
            .filter(|other| {
                let identity = &other.lock().identity;
                (identity.shard, identity.shards) == (shard, shards)
            })
            .count() as u64;
        // Not by how many there are: in which order shards identify is chance.
        let pair = u64::from(shards) << 32 | u64::from(shard);
        let mut name = Dice::of(&[self.nonce, pair, nth]);
        let identity = Identity {
            id: id
                .filter(|id| !self.live.contains_key(id))
                .unwrap_or_else(|| format!("{:016x}{:016x}", name.next(), name.next())),
            bot,
            shard,
            shards,
            intents,
            large_threshold: ask.large_threshold.unwrap_or(50).clamp(50, 250),
            guilds: world.guilds(shard, shards),
            started_ms: at_ms,
        };
        let dice = Dice::of(&[world.seed, u64::from(shard), u64::from(shards), nth]);
        let traffic = Traffic::new(
            dice,
            identity.guilds.clone(),
            intents,
            options.presences,
            shard == 0,
        );
        let bounds = Bounds {
            events: options.replay_buffer,
            bytes: options.replay_bytes,
            trim_at_heartbeat: options.replay_trim_at_heartbeat,
        };
        let id = identity.id.clone();
        let mut session = Session::new(
            identity,
            bounds,
            traffic,
            Rows::new(Arc::clone(&self.record)),
        );
        session.stencils = Stencils::new(options.pre_encoded);
        session.attach(caller.connection, caller.mailbox);
        let made = Arc::new(Shared(Mutex::new(session)));
        self.all.push(Arc::clone(&made));
        self.live.insert(id, Arc::clone(&made));
        made
    }
}
