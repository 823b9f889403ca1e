//! Pure: Discord's limits on what one connection sends, kept ahead of Discord and of twilight.
//!
//! Discord takes 120 frames in 60 s and ends the connection at one more. Heartbeats, RESUME and
//! IDENTIFY count, and twilight keeps up to ten for them: it delays whatever is above 110. Here fewer
//! go through, so that nothing ever waits in twilight. The windows live on through a reconnect, which
//! Discord would not ask for: what is too little for two connections is too little for one.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::{
    clock::Instant,
    wire::command::{Command, Op},
};

/// Commands in [`MINUTE`], 120 less what twilight keeps, RESUME and a few more.
///
/// <https://discord.com/developers/docs/events/gateway#rate-limiting>
const MOST: usize = 105;
/// Of these, the most that anything but voice and presence takes: a flood of op 8 leaves room.
const MOST_PATIENT: usize = 85;
/// A second more than Discord's: what left evenly may arrive closer together.
const MINUTE: Duration = Duration::from_secs(61);
/// Presences in [`PRESENCE_WINDOW`].
const MOST_PRESENCES: usize = 5;
/// A second more than Discord's 20.
const PRESENCE_WINDOW: Duration = Duration::from_secs(21);
/// All members of one guild, at most once in this time; a second more than Discord's 30.
///
/// <https://discord.com/developers/docs/events/gateway-events#request-guild-members>
const MEMBERS_EVERY: Duration = Duration::from_secs(31);
/// Guilds remembered; in [`MEMBERS_EVERY`] a connection can send no more requests than this.
const MOST_GUILDS: usize = 128;

/// What one shard has sent lately.
#[derive(Debug, Default)]
pub struct Limits {
    sent: VecDeque<Instant>,
    patient: VecDeque<Instant>,
    presences: VecDeque<Instant>,
    /// From when all members of a guild may be asked for again.
    members: HashMap<u64, Instant>,
}

/// Which limit is in the way, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// For people.
    pub limit: &'static str,
    /// Until it is worth another try.
    pub after: Duration,
}

impl Limits {
    /// Counts a command that goes out now, or says what is in its way: then it does not count.
    ///
    /// # Errors
    /// The limit with the longest wait.
    pub fn admit(&mut self, command: &Command, now: Instant) -> Result<(), Wait> {
        forget(&mut self.sent, now, MINUTE);
        forget(&mut self.patient, now, MINUTE);
        forget(&mut self.presences, now, PRESENCE_WINDOW);
        self.members.retain(|_, free| *free > now);
        let patient = !urgent(command.op);
        let guild = command.guilds.first().filter(|_| command.all_members);
        let waits = [
            full(&self.sent, MOST, now, MINUTE, "105 commands a minute"),
            full(
                &self.patient,
                MOST_PATIENT,
                now,
                MINUTE,
                "85 requests a minute",
            )
            .filter(|_| patient),
            full(
                &self.presences,
                MOST_PRESENCES,
                now,
                PRESENCE_WINDOW,
                "5 presences in 20 s",
            )
            .filter(|_| command.op == Op::Presence),
            guild
                .and_then(|guild| self.members.get(guild))
                .map(|free| Wait {
                    limit: "all members of a guild once in 30 s",
                    after: free.duration_since(now),
                }),
        ];
        if let Some(wait) = waits.into_iter().flatten().max_by_key(|wait| wait.after) {
            return Err(wait);
        }
        self.sent.push_back(now);
        if patient {
            self.patient.push_back(now);
        }
        if command.op == Op::Presence {
            self.presences.push_back(now);
        }
        if let Some(guild) = guild
            && self.members.len() < MOST_GUILDS
        {
            self.members.insert(*guild, now + MEMBERS_EVERY);
        }
        Ok(())
    }

    /// Discord said `RATE_LIMITED` for all members of this guild.
    pub fn limited(&mut self, guild: u64, wait: Duration, now: Instant) {
        // Whatever Discord says, no guild is shut out for good.
        let wait = wait.min(Duration::from_secs(600));
        if self.members.len() < MOST_GUILDS {
            self.members.insert(guild, now + wait);
        }
    }
}

/// True for what never waits behind a flood of requests.
pub fn urgent(op: Op) -> bool {
    matches!(op, Op::Voice | Op::Presence)
}

fn forget(sent: &mut VecDeque<Instant>, now: Instant, window: Duration) {
    while sent.front().is_some_and(|at| *at + window <= now) {
        sent.pop_front();
    }
}

fn full(
    sent: &VecDeque<Instant>,
    most: usize,
    now: Instant,
    window: Duration,
    limit: &'static str,
) -> Option<Wait> {
    let oldest = sent.front().filter(|_| sent.len() >= most)?;
    let after = (*oldest + window).duration_since(now);
    Some(Wait { limit, after })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(json: &str) -> Command {
        Command::parse(json.as_bytes()).unwrap()
    }

    fn presence() -> Command {
        command(r#"{"op":3,"d":{"since":null,"activities":[],"status":"idle","afk":false}}"#)
    }

    fn voice() -> Command {
        command(
            r#"{"op":4,"d":{"guild_id":"1","channel_id":null,"self_mute":false,"self_deaf":false}}"#,
        )
    }

    fn members(guild: u64) -> Command {
        command(&format!(
            r#"{{"op":8,"d":{{"guild_id":"{guild}","query":"","limit":0}}}}"#
        ))
    }

    #[test]
    fn never_more_than_discord_takes_in_any_minute() {
        let start = crate::clock::now();
        let mut limits = Limits::default();
        let mut sent = Vec::new();
        for ms in (0..200_000).step_by(50) {
            let now = start + Duration::from_millis(ms);
            if limits.admit(&voice(), now).is_ok() {
                sent.push(now);
            }
        }
        for (index, at) in sent.iter().enumerate() {
            let minute = sent[index..]
                .iter()
                .take_while(|other| **other - *at < Duration::from_secs(60));
            assert!(minute.count() <= 105);
        }
        assert!(sent.len() >= 3 * 105, "no slot is wasted: {}", sent.len());
    }

    #[test]
    fn a_flood_of_requests_leaves_room_for_voice() {
        let now = crate::clock::now();
        let mut limits = Limits::default();
        let went = (0..500).filter(|guild| limits.admit(&members(*guild), now).is_ok());
        assert_eq!(went.count(), 85);
        let wait = limits.admit(&members(999), now).unwrap_err();
        assert_eq!(wait.after, Duration::from_secs(61));
        assert!((0..20).all(|_| limits.admit(&voice(), now).is_ok()));
        assert!(limits.admit(&voice(), now).is_err());
        let later = now + Duration::from_secs(61);
        assert!(limits.admit(&members(999), later).is_ok());
    }

    #[test]
    fn five_presences_in_twenty_seconds() {
        let now = crate::clock::now();
        let mut limits = Limits::default();
        for second in 0..5 {
            let at = now + Duration::from_secs(second);
            assert_eq!(limits.admit(&presence(), at), Ok(()));
        }
        let at = now + Duration::from_secs(5);
        let wait = limits.admit(&presence(), at).unwrap_err();
        assert_eq!(
            (wait.limit, wait.after),
            ("5 presences in 20 s", Duration::from_secs(16))
        );
        assert!(limits.admit(&voice(), at).is_ok());
        assert!(
            limits
                .admit(&presence(), now + Duration::from_secs(21))
                .is_ok()
        );
    }

    #[test]
    fn all_members_of_a_guild_once() {
        let now = crate::clock::now();
        let mut limits = Limits::default();
        assert!(limits.admit(&members(1), now).is_ok());
        assert!(limits.admit(&members(2), now).is_ok());
        let wait = limits
            .admit(&members(1), now + Duration::from_secs(1))
            .unwrap_err();
        assert_eq!(wait.after, Duration::from_secs(30));
        let some = command(r#"{"op":8,"d":{"guild_id":"1","query":"a","limit":5}}"#);
        assert!(limits.admit(&some, now).is_ok());
        limits.limited(3, Duration::from_millis(7_500), now);
        let wait = limits.admit(&members(3), now).unwrap_err();
        assert_eq!(wait.after, Duration::from_millis(7_500));
        assert!(
            limits
                .admit(&members(1), now + Duration::from_secs(31))
                .is_ok()
        );
    }
}
