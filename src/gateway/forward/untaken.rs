//! Nobody takes what a shard publishes, though NATS is there: no stream has its subject, or its stream has no
//! leader. That is not refused, so nobody else says it.

use std::time::Duration;

use super::{outlet::Outlet, tend::Tender};
use crate::{
    broker::Broker,
    clock::{self, Instant},
    fleet::ShardId,
    telemetry::seldom::Seldom,
};

/// An election takes less.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is said.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How long a shard's message, or the end of its group's batch, has found nobody who takes it.
#[derive(Debug)]
pub struct Untaken {
    since: Instant,
    lines: Seldom,
}

impl Untaken {
    /// What a lane says of this.
    pub fn lines() -> Seldom {
        Seldom::once_in(SAY_EVERY)
    }

    /// With the lines of its lane.
    pub fn new(lines: Seldom) -> Self {
        let since = clock::now();
        Self { since, lines }
    }

    /// It takes off, or its stream has spoken.
    pub fn begins(&mut self, now: Instant) {
        self.since = now;
    }

    /// Says, seldom, that nobody takes what is sent to `subject`.
    pub fn look(&mut self, broker: &Broker, shard: ShardId, subject: &str, now: Instant) {
        let Some((waited, more)) = self.due(broker.connected(), now) else {
            return;
        };
        let seconds = waited.as_secs();
        tracing::warn!(
            %shard,
            subject,
            more,
            "nobody has taken what shard {shard} publishes to {subject} for {seconds} s, though NATS is \
             connected: is there a stream with this subject, has it a leader, can the server write (its /healthz, its \
             disk)? See `shardfleet check` and `nats stream report`. Events wait, then shards park; they are stored as soon as one takes them"
        );
    }

    /// Some: it is time to say for how long, and that so many were not said.
    fn due(&mut self, connected: bool, now: Instant) -> Option<(Duration, u64)> {
        if !connected {
            self.begins(now);
        }
        let waited = now - self.since;
        if waited < PATIENCE {
            return None;
        }
        Some((waited, self.lines.one_more(now)?))
    }
}

impl Outlet {
    /// Is anybody there for the message under way?
    pub(super) fn look_for_a_taker(&mut self) {
        let (shard, broker) = (self.form.shard, &self.form.broker);
        let subject = broker.names.shard(shard);
        self.untaken.look(broker, shard, &subject, clock::now());
    }
}

impl Tender {
    /// Is anybody there for the end of a batch that broke?
    pub(super) fn look_for_a_taker(&mut self) {
        self.untaken
            .look(&self.broker, self.first, &self.end, clock::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn is_said_after_ten_seconds_and_once_a_minute_of_all_shards() {
        let (lines, start) = (Untaken::lines(), clock::now());
        let mut one = Untaken::new(lines.clone());
        let mut other = Untaken::new(lines);
        let almost = start + PATIENCE - Duration::from_millis(1);
        assert_eq!(one.due(true, almost), None);
        let first = start + PATIENCE;
        assert_eq!(one.due(true, first), Some((PATIENCE, 0)));
        assert_eq!((one.due(true, first), other.due(true, first)), (None, None));
        let again = first + SAY_EVERY;
        let waited = PATIENCE + SAY_EVERY;
        assert_eq!(other.due(true, again), Some((waited, 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_of_the_stream_or_no_connection_begins_anew() {
        let start = clock::now();
        let mut untaken = Untaken::new(Untaken::lines());
        let late = start + PATIENCE * 2;
        assert_eq!(untaken.due(false, late), None);
        assert_eq!(untaken.due(true, late + PATIENCE / 2), None);
        untaken.begins(late + PATIENCE);
        assert_eq!(untaken.due(true, late + PATIENCE), None);
        let due = untaken.due(true, late + PATIENCE * 2);
        assert_eq!(due, Some((PATIENCE, 0)));
    }
}
