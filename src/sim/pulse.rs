//! The heartbeat of the world: makes events happen at the rate asked for, and sessions run out of time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::event::Event;
use super::fault::Shards;
use super::hub::Hub;
use super::pace::Pace;
use super::registry::Shared;
use super::rhythm;
use crate::clock;

/// How often events are handed out.
const TICK: Duration = Duration::from_millis(5);
/// Sessions that get events in one tick.
const MOST_WOKEN: u64 = 64;
/// Ticks between two looks at which sessions there are.
const LOOK: u32 = 10;

/// Runs until shutdown.
pub(super) async fn run(hub: Arc<Hub>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let start = clock::now();
    let day = hub.options.daily_rhythm.0;
    let mut pace = Pace::new(start);
    let mut sessions: Vec<Arc<Shared>> = Vec::new();
    let (mut tick, mut turn) = (0_u32, 0_usize);
    let mut scratch = String::new();
    loop {
        tokio::select! {
            () = hub.shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = clock::now();
        if tick.is_multiple_of(LOOK) {
            let mut registry = hub.registry();
            registry.expire(now, clock::unix_ms());
            let live: Vec<Arc<Shared>> = registry.live().cloned().collect();
            drop(registry);
            for session in &live {
                let mut session = session.lock();
                // Guilds load as fast as their client reads; without a socket they load all the same.
                if session.listener().is_none() && session.last() > 0 && !session.flows() {
                    hub.load(&mut session, &mut scratch);
                }
            }
            sessions = live;
            sessions.retain(|session| session.lock().flows());
            for session in &sessions {
                hub.lighten(&mut session.lock(), now);
            }
        }
        tick = tick.wrapping_add(1);
        let raids = hub.script().raids(now);
        for session in sessions.iter().filter(|_| !raids.is_empty()) {
            raid(&hub, session, &raids, &mut scratch);
        }
        let mean = hub.rate.load(Ordering::Relaxed);
        let due = pace.due(rhythm::rate(mean, now.duration_since(start), day), now);
        if sessions.is_empty() {
            continue;
        }
        // Several events for one session cost one wake-up and one write: at high rates they come so.
        let burst = due.div_ceil(MOST_WOKEN).max(1);
        let mut left = due;
        while left > 0 {
            turn = (turn + 1) % sessions.len();
            let count = left.min(burst);
            left -= count;
            if let Some(session) = sessions.get(turn) {
                happen(&hub, session, count, &mut scratch);
            }
        }
    }
}

/// Who storms a guild joins, types and writes.
fn raid(hub: &Hub, session: &Shared, raids: &[(Shards, u64)], scratch: &mut String) {
    let mut session = session.lock();
    let shard = session.identity.shard;
    let due = raids.iter().filter(|(shards, _)| shards.has(shard));
    let due: u64 = due.map(|(_, due)| due).sum();
    let intents = session.identity.intents;
    session.asked.focus_first();
    for _ in 0..due {
        for event in [
            Event::GuildMemberAdd,
            Event::TypingStart,
            Event::MessageCreate,
        ] {
            if event.allowed(intents) {
                hub.dispatch(&mut session, event, scratch, |session, out| {
                    session.asked.write(event, out);
                });
            }
        }
    }
    session.asked.focus(None);
}

fn happen(hub: &Hub, session: &Shared, count: u64, scratch: &mut String) {
    let mut session = session.lock();
    for _ in 0..count {
        if !hub.flow(&mut session, scratch) {
            return;
        }
    }
}
