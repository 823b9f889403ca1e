//! How what happens outside of a session comes into it: news from REST, guilds that go and come back.

use serde_json::json;
use tokio::time::Instant;

use super::answer;
use super::api::{News, Scope};
use super::event::Event;
use super::fault::Shards;
use super::hub::Hub;
use super::session::Session;
use super::world::World;
use crate::clock;

impl Hub {
    /// Which guilds REST knows: those of the shard counts in use.
    pub(super) fn scope(&self) -> Scope {
        Scope {
            world: World {
                seed: self.options.world_seed(),
                guilds_per_shard: self.options.guilds_per_shard,
            },
            counts: self.registry().counts.clone(),
        }
    }

    /// Tells every session that may hear of it: those of the guild's shard, or of shard 0.
    pub(super) fn tell(&self, news: &News) {
        let data = news.data.to_string();
        let mut scratch = String::new();
        self.each(&Shards::All, |session| {
            let identity = &session.identity;
            let shard = news
                .guild
                .map_or(0, |guild| (guild >> 22) % u64::from(identity.shards));
            if shard != u64::from(identity.shard) || !news.event.allowed(identity.intents) {
                return false;
            }
            self.dispatch(session, news.event, &mut scratch, |_, out| {
                out.push_str(&data);
            });
            true
        });
    }

    /// The session's next guild loads, unless an outage holds it back.
    pub(super) fn load(&self, session: &mut Session, scratch: &mut String) {
        let (shard, index) = (session.identity.shard, session.loaded);
        let Some(guild) = session.identity.guilds.get(index).copied() else {
            return;
        };
        session.loaded += 1;
        if self.script().is_out(shard, index, clock::now()) {
            session.darken(guild.id);
        } else if Event::GuildCreate.allowed(session.identity.intents) {
            self.dispatch(session, Event::GuildCreate, scratch, |session, out| {
                answer::guild_create(session, &guild, out);
            });
        }
    }

    /// The first `most` guilds become unavailable.
    pub(super) fn darken(&self, session: &mut Session, most: usize) -> bool {
        let loaded = session.identity.guilds.iter().take(session.loaded);
        let gone: Vec<u64> = loaded
            .take(most)
            .map(|guild| guild.id)
            .filter(|id| !session.traffic.dark().contains(id))
            .collect();
        let heard = Event::GuildDelete.allowed(session.identity.intents);
        let mut scratch = String::new();
        for id in gone {
            session.darken(id);
            if heard {
                self.dispatch(session, Event::GuildDelete, &mut scratch, |_, out| {
                    let data = json!({ "id": id.to_string(), "unavailable": true });
                    out.push_str(&data.to_string());
                });
            }
        }
        true
    }

    /// Guilds whose outage is over come back.
    pub(super) fn lighten(&self, session: &mut Session, now: Instant) {
        if session.traffic.dark().is_empty() {
            return;
        }
        let shard = session.identity.shard;
        let all = session.identity.guilds.iter().enumerate();
        let back: Vec<_> = all
            .filter(|(index, guild)| {
                session.traffic.dark().contains(&guild.id)
                    && !self.script().is_out(shard, *index, now)
            })
            .map(|(_, guild)| *guild)
            .collect();
        let heard = Event::GuildCreate.allowed(session.identity.intents);
        let mut scratch = String::new();
        for guild in back {
            session.light(guild.id);
            if heard {
                self.dispatch(session, Event::GuildCreate, &mut scratch, |session, out| {
                    answer::guild_create(session, &guild, out);
                });
            }
        }
    }
}
