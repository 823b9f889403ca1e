//! Pure: when a connection sends heartbeats, and when a missing answer means that it is dead.
//!
//! <https://discord.com/developers/docs/events/gateway#sending-heartbeats>

use std::time::Duration;

use rand::Rng;

use crate::clock::Instant;

/// A shorter interval would flood Discord, which takes 120 frames a minute.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// A longer one would let a dead connection pass for a living one. Discord says 41 to 45 s.
pub const LONGEST: Duration = Duration::from_secs(600);
/// How long after the next heartbeat was due an answer is still waited for: what came before it may lie
/// unread.
const GRACE: Duration = Duration::from_secs(5);
/// A wake-up later than this means that the process stood still, and has to read before it judges.
const STOOD_STILL: Duration = Duration::from_secs(2);
/// Heartbeats that Discord itself may ask for in a minute; more would use up the connection's frames.
const MOST_ASKED: u32 = 8;
const MINUTE: Duration = Duration::from_secs(60);

/// The heartbeats of one connection.
#[derive(Clone, Debug)]
pub struct Heartbeats {
    interval: Duration,
    next: Instant,
    /// The oldest heartbeat that is not acknowledged.
    unanswered: Option<Instant>,
    /// When the last one was sent, until it is acknowledged.
    sent: Option<Instant>,
    /// How many Discord has asked for, since when.
    asked: (u32, Instant),
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A heartbeat; it counts as sent.
    Beat,
    /// The last one was never acknowledged: the connection is a zombie.
    Dead,
}

impl Heartbeats {
    /// The first one goes out after a random part of the interval.
    pub fn new(interval: Duration, now: Instant, rng: &mut impl Rng) -> Self {
        Self {
            interval,
            next: now + interval.mul_f64(rng.random_range(0.0..1.0)),
            unanswered: None,
            sent: None,
            asked: (0, now),
        }
    }

    /// What is due at `now`. `slow`: the connection is not read freely, so that an answer may lie unread.
    pub fn due(&mut self, now: Instant, slow: bool) -> Due {
        let planned = self.next_wakeup();
        if (slow || now > planned + STOOD_STILL)
            && let Some(unanswered) = &mut self.unanswered
        {
            *unanswered = now;
        }
        if self.dead_at().is_some_and(|at| now >= at) {
            return Due::Dead;
        }
        if now < self.next {
            return Due::Nothing;
        }
        self.next = now + self.interval;
        self.beat(now);
        Due::Beat
    }

    /// Discord asks for one at once. True: send it.
    pub fn asked(&mut self, now: Instant) -> bool {
        let (count, since) = &mut self.asked;
        if now >= *since + MINUTE {
            (*count, *since) = (0, now);
        }
        *count += 1;
        let answers = *count <= MOST_ASKED;
        if answers {
            self.beat(now);
        }
        answers
    }

    /// Discord acknowledges. How long it took, where somebody waited for it.
    pub fn acknowledged(&mut self, now: Instant) -> Option<Duration> {
        self.unanswered = None;
        self.sent.take().map(|sent| now.duration_since(sent))
    }

    /// When [`Heartbeats::due`] will say something new.
    pub fn next_wakeup(&self) -> Instant {
        self.dead_at().map_or(self.next, |at| at.min(self.next))
    }

    fn dead_at(&self) -> Option<Instant> {
        let grace = (self.interval / 4).min(GRACE);
        self.unanswered.map(|sent| sent + self.interval + grace)
    }

    fn beat(&mut self, now: Instant) {
        self.sent = Some(now);
        self.unanswered.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(40);

    fn beats() -> (Heartbeats, Instant) {
        let now = crate::clock::now();
        let mut beats = Heartbeats::new(INTERVAL, now, &mut StdRng::seed_from_u64(1));
        assert!(beats.next_wakeup() < now + INTERVAL);
        let first = beats.next_wakeup();
        assert_eq!(beats.due(first, false), Due::Beat);
        (beats, first)
    }

    #[test]
    fn an_answer_keeps_the_connection() {
        let (mut beats, mut at) = beats();
        for _ in 0..10 {
            let rtt = beats.acknowledged(at + Duration::from_millis(80));
            assert_eq!(rtt, Some(Duration::from_millis(80)));
            assert_eq!(beats.due(at + INTERVAL / 2, false), Due::Nothing);
            at += INTERVAL;
            assert_eq!(beats.next_wakeup(), at);
            assert_eq!(beats.due(at, false), Due::Beat);
        }
        assert!(beats.acknowledged(at).is_some());
        assert_eq!(beats.acknowledged(at), None, "nobody waited for it");
    }

    #[test]
    fn without_an_answer_it_is_dead_after_one_interval() {
        let (mut beats, at) = beats();
        assert_eq!(beats.due(at + INTERVAL, false), Due::Beat);
        assert_eq!(beats.next_wakeup(), at + INTERVAL + GRACE);
        assert_eq!(beats.due(at + INTERVAL + GRACE, false), Due::Dead);
    }

    #[test]
    fn whoever_reads_slowly_or_stood_still_reads_first() {
        let (mut beats, at) = beats();
        let later = at + INTERVAL * 10;
        let mut asleep = beats.clone();
        assert_eq!(asleep.due(later, false), Due::Beat);
        assert_eq!(asleep.due(later + INTERVAL, false), Due::Beat);
        assert_eq!(asleep.due(later + INTERVAL + GRACE, false), Due::Dead);
        for second in 1..1_000 {
            let now = at + Duration::from_secs(second);
            assert_ne!(beats.due(now, true), Due::Dead);
        }
    }

    #[test]
    fn discord_may_ask_for_some_and_no_flood() {
        let (mut beats, at) = beats();
        let sent = (0..1_000).filter(|_| beats.asked(at)).count();
        assert_eq!(sent, 8);
        assert!(beats.asked(at + MINUTE));
    }
}
